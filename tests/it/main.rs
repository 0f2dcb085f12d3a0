//! All integration tests, as one program: they speak to the real thing over real sockets and a real database.

mod delivery;
mod harness;
