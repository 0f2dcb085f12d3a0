//! The queue of deliveries and its log.

pub(super) mod lane;
pub(super) mod lease;
pub(super) mod line;
pub(super) mod log;
pub(super) mod merge;
pub(super) mod outbox;
pub(super) mod record;
pub(super) mod replay;

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};

use super::writer::Durability::{Full, Relaxed};
use super::{SqliteStore, recalls};
use crate::model::delivery::{
    Delivery, DeliveryDetails, DeliveryFilter, InLine, LeaseBatch, LeaseRequest, Outcome, Replay,
};
use crate::model::{DeliveryId, LeadId, SubscriptionId, Timestamp};
use crate::store::{Deliveries, Outstanding, Result};

#[async_trait]
impl Deliveries for SqliteStore {
    async fn lease_due(&self, request: LeaseRequest) -> Result<LeaseBatch> {
        self.write(Relaxed, move |tx| {
            recalls::heed(tx)?;
            lease::lease_due(tx, request)
        })
        .await
    }

    async fn in_line(&self, now: Timestamp, limit: usize) -> Result<Vec<InLine>> {
        self.read(move |db| line::in_line(db, now, limit)).await
    }

    async fn record_outcomes(&self, outcomes: Vec<Outcome>, now: Timestamp) -> Result<usize> {
        self.write(Relaxed, move |tx| record::record(tx, &outcomes, now)).await
    }

    async fn still_outstanding(&self, recalled: Outstanding, now: Timestamp) -> Result<Outstanding> {
        self.read(move |db| recalls::still_outstanding(db, &recalled, now)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        self.read(move |db| log::list(db, &filter)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetails>> {
        self.read(move |db| log::details(db, id)).await
    }

    async fn replay(&self, replay: Replay, now: Timestamp) -> Result<Vec<DeliveryId>> {
        match replay {
            Replay::These(ids) => self.write(Full, move |tx| replay::these(tx, &ids, now)).await,
            Replay::FailedOf(site) => {
                // In steps, so that a long list does not stop the writer; each delivery is replayed whole or not at all.
                let (mut replayed, mut after) = (Vec::new(), Some(0));
                while let Some(from) = after {
                    let step = self.write(Full, move |tx| replay::failed_of(tx, site, from, now)).await?;
                    replayed.extend(step.replayed);
                    after = step.go_on;
                }
                Ok(replayed)
            }
        }
    }

    async fn hasten(
        &self,
        subscription: SubscriptionId,
        after: Option<LeadId>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Option<LeadId>> {
        self.write(Full, move |tx| replay::hasten(tx, subscription, after, now, limit)).await
    }
}

/// Subscriptions of which something is under a lease stand first in line.
pub(super) const WAKE_LEASED: &str = "UPDATE subscriptions SET next_due_at = 0
     WHERE id IN (SELECT subscription_id FROM deliveries
                  WHERE lease > x'00000000000000000000000000000000')";

/// What is under a lease is due again, since its change; under the lease of nobody ([`crate::model::LeaseToken::NOBODYS`]), since
/// it may have been sent.
pub(super) const FREE_LEASED: &str =
    "UPDATE deliveries SET due_at = changed_at, lease = x'00000000000000000000000000000000'
     WHERE lease > x'00000000000000000000000000000000'";

/// Subscriptions that stand aside, because whoever is dead now had no room for them, are back in line.
pub(super) const WAKE_PASSED_OVER: &str = "UPDATE subscriptions SET next_due_at = 0
     WHERE next_due_at IS NOT NULL AND paused_at IS NULL AND removed_at IS NULL
       AND EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription_id = subscriptions.id
                   AND d.due_at < subscriptions.next_due_at)";

/// Gives back every delivery that a dead server left under a lease.
pub(super) fn free_all_leases(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(WAKE_LEASED, [])?;
    transaction.execute(FREE_LEASED, [])?;
    transaction.execute(WAKE_PASSED_OVER, [])?;
    transaction.commit()
}
