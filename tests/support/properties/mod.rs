//! What holds of every input that a stranger can send, however odd. Each property is a function that panics when it does
//! not hold: `tests/it/properties.rs` tries them on random input, `fuzz/` on what a fuzzer finds. Where a second, simpler
//! way to the same answer exists, both are taken and compared.

mod credentials;
mod destination;
mod form;
mod lead;
mod pkce;
mod redirect;

pub use credentials::credentials;
pub use destination::{address, destination};
pub use form::form;
pub use lead::lead;
pub use pkce::pkce;
pub use redirect::redirect;

/// The input cut in two at its first line feed, so that a fuzzer can vary both halves.
fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = input.splitn(2, |&byte| byte == b'\n');
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}
