//! People's own accounts: their sessions and passwords.

mod forms;
mod links;
mod mail;
mod pages;
mod password;
mod sessions;
