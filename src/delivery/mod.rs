//! Deliveries on their way out: lease from the store, sign, send, record what became of it (API.md §5).
//!
//! [`Driver`] is the loop, and the `courier` takes what the store has just made straight to the board. What is held in memory
//! stands on the `board`, which obeys the `limits`, and the `pace` of each receiver, in time with the `pacer`; each `attempt` is a task of its own; the `recorder` writes outcomes down in
//! batches.

mod attempt;
mod board;
mod courier;
mod driver;
mod limits;
mod outcome;
mod pace;
mod pacer;
mod policy;
mod recorder;
mod schedule;
mod shared;
mod sign;
mod stats;
mod vitals;

pub use driver::Driver;
pub use policy::Policy;
pub use shared::DriverParts;
pub use stats::{Counts, DeliveryStats};
