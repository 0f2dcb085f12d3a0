//! The pages, in a real browser.

mod accessibility;
mod interrupted;
mod journey;
mod partner;
mod steps;
