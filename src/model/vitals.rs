//! What the delivery driver tells about itself to those who watch over the gateway.

use std::collections::HashSet;

use super::{SubscriptionId, Timestamp};

/// A driver's signs of life.
pub trait Vitals: Send + Sync {
    /// When the driver was made.
    fn began(&self) -> Timestamp;

    /// When it was last done with a round, well or badly. It makes one each second at least.
    fn last_round(&self) -> Timestamp;

    /// Those who are sent less than they have due, and why that is their receivers' doing.
    fn held_back(&self) -> HeldBack;
}

/// Those whose receivers fail, are slow, or are sent to at a pace that they keep up with.
#[derive(Debug, Default)]
pub struct HeldBack {
    /// These subscriptions.
    pub subscriptions: HashSet<SubscriptionId>,
    /// All of these hosts, with their ports as in a URL: each has as many requests under way as one host may.
    pub hosts: HashSet<String>,
}
