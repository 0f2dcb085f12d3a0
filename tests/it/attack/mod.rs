//! What a stranger could try, and does not get. `docs/security.md` has the list.

mod crowd;
mod guesses;
mod slow;
mod smuggling;
mod ssrf;
mod wire;
