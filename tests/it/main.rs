//! The specification: what Leadgate does, seen from outside.

mod accounts;
mod api;
mod attack;
mod cli;
mod clients;
mod crash;
mod delivery;
mod egress;
mod harness;
mod house_rules;
mod oauth;
mod pages;
mod properties;
mod store;
