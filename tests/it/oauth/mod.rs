//! OAuth: the checklist of what a first-rate authorization server does, each line a test of its number.

mod authorize;
mod clients;
mod codes;
pub mod door;
mod expiry;
mod faults;
mod keys;
mod logs;
mod nodes;
mod pages;
mod refresh;
mod request;
mod steps;
mod throttle;
mod token;
pub mod visitor;
