//! Deliveries: the queue, and its log.
//!
//! Deliveries of one lead to one subscription form a lane. Only the head of a lane has a due time; when it is finished
//! the next one gets one. A lease is a token and a due time in the future: when its holder dies, the delivery falls
//! due again by itself.

use async_trait::async_trait;

use super::{Outstanding, Result};
use crate::model::delivery::{
    Delivery, DeliveryDetails, DeliveryFilter, InLine, LeaseBatch, LeaseRequest, Outcome, Replay,
};
use crate::model::{DeliveryId, LeadId, SubscriptionId, Timestamp};

/// The queue and its log.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Leases due deliveries, longest-waiting subscriptions first, at most one of each lane.
    async fn lease_due(&self, request: LeaseRequest) -> Result<LeaseBatch>;

    /// The first of those who stand in line to be leased from at `now`, at most `limit`; of these, the ones that have something
    /// due. Takes nothing.
    async fn in_line(&self, now: Timestamp, limit: usize) -> Result<Vec<InLine>>;

    /// Records outcomes, and makes the next of each finished lane due. Those whose lease is no longer the holder's
    /// change nothing. Returns how many were recorded.
    async fn record_outcomes(&self, outcomes: Vec<Outcome>, now: Timestamp) -> Result<usize>;

    /// Those that are still under the leases under which they were recalled: their holders have not recorded what became of
    /// them, and the leases have not run out at `now`. Once there are none, nothing is sent any more as it was before the
    /// recall.
    async fn still_outstanding(&self, recalled: Outstanding, now: Timestamp) -> Result<Outstanding>;

    /// Deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>>;

    /// One delivery with its attempts.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetails>>;

    /// Sends finished deliveries again, under their own ids, with the attempts counted from zero; of each lane in the
    /// old order, after what already waits there. Skips those that are waiting, or whose subscription is gone.
    /// Returns the ids of those that wait now.
    async fn replay(&self, replay: Replay, now: Timestamp) -> Result<Vec<DeliveryId>>;

    /// Makes retries of a subscription that were put off due at `now`: its receiver is another one, or is back. Walks at
    /// most `limit` lanes, in the order of their leads, from behind `after`. Returns where to go on; `None` at the end.
    async fn hasten(
        &self,
        subscription: SubscriptionId,
        after: Option<LeadId>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Option<LeadId>>;
}
