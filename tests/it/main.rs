//! The suite: one binary, so that everything is linked once.

mod harness;
mod store;
