//! The APIs that programs speak, row by row of the contract.

mod access;
mod bad_input;
mod bursts;
mod health;
mod idempotency;
mod leads;
mod outage;
mod subscription;
mod throttle;
