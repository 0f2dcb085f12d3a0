//! The suite: one binary, so that everything is linked once. It speaks to the real thing over real sockets and a real
//! database.

mod delivery;
mod harness;
mod store;
