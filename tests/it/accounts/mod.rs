//! People's own accounts: their sessions and passwords.

mod sessions;
