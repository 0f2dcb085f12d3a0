//! The properties that the targets try: the same functions that the tests call.

#[path = "../tests/support/properties/mod.rs"]
mod held;

pub use held::*;
