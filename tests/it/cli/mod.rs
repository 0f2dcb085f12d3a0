//! The command line: each command is run as a process, as people and programs run it.

mod copy;
mod database;
mod deliveries;
mod documents;
mod listen;
mod office;
mod postgres;
mod rekey;
mod serve;
mod settings;
