//! OAuth: the checklist of what a first-rate authorization server does, each line a test of its number.

mod authorize;
mod bearer;
mod clients;
mod codes;
pub mod door;
mod expiry;
mod faults;
mod introspection;
mod keys;
mod logs;
mod metadata;
mod nodes;
mod pages;
mod races;
mod refresh;
mod request;
mod revocation;
mod steps;
mod throttle;
mod token;
pub mod visitor;
