//! OAuth: the checklist of what a first-rate authorization server does, each line a test of its number.

mod authorize;
mod clients;
mod codes;
pub mod door;
mod nodes;
mod pages;
mod refresh;
mod request;
mod steps;
mod token;
pub mod visitor;
