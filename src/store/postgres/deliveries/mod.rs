//! The queue of deliveries and its log.
//!
//! Here the two are tables of their own, which the embedded engine keeps in one. SQLite deletes in place, by one writer that
//! has the pages at hand, and gains nothing from a second table. PostgreSQL leaves every old version of a row behind for
//! vacuum: in one table, the hot rows of the queue would lie scattered among millions of cold ones, each delivery would be
//! paid for again when it is deleted, and the longer the log, the dearer all of it. So the queue stays small, what is over
//! moves to the log in one statement for a whole batch (see `finish`), and the log goes a day at a time (see `partitions`).

mod decide;
pub(super) mod due;
mod finish;
pub(super) mod lane;
pub(super) mod lease;
pub(super) mod line;
pub(super) mod log;
pub(super) mod merge;
pub(super) mod outbox;
pub(super) mod recall;
pub(super) mod record;
pub(super) mod replay;

use async_trait::async_trait;

use super::PostgresStore;
use super::transaction::Durability::Full;
use super::transaction::{snapshot, write};
use crate::model::delivery::{
    Delivery, DeliveryDetails, DeliveryFilter, InLine, LeaseBatch, LeaseRequest, Outcome, Replay,
};
use crate::model::{DeliveryId, LeadId, SiteId, SubscriptionId, Timestamp};
use crate::store::{Deliveries, Outstanding, Result};

/// How many outcomes are recorded in one transaction: each takes its lead, and the server keeps a table of all locks.
const OUTCOMES: usize = 250;

#[async_trait]
impl Deliveries for PostgresStore {
    async fn lease_due(&self, request: LeaseRequest) -> Result<LeaseBatch> {
        write!(self, tx => lease::lease_due(&tx, &request))
    }

    async fn in_line(&self, now: Timestamp, limit: usize) -> Result<Vec<InLine>> {
        line::in_line(&self.database.read().await?, now, limit).await
    }

    async fn record_outcomes(&self, outcomes: Vec<Outcome>, now: Timestamp) -> Result<usize> {
        let mut recorded = 0;
        let (delivered, others) = record::sort(&outcomes);
        for some in delivered.chunks(OUTCOMES) {
            recorded += self.record_delivered(some, now).await?;
        }
        for some in others.chunks(OUTCOMES) {
            recorded += self.record_some(some, now).await?;
        }
        Ok(recorded)
    }

    async fn still_outstanding(&self, recalled: Outstanding, now: Timestamp) -> Result<Outstanding> {
        recall::still_outstanding(&self.database.read().await?, &recalled, now).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        log::list(&self.database.read().await?, &filter).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetails>> {
        snapshot!(self, tx => log::details(&tx, id))
    }

    async fn replay(&self, replay: Replay, now: Timestamp) -> Result<Vec<DeliveryId>> {
        match replay {
            Replay::These(ids) => self.replay_these(&ids, now).await,
            Replay::FailedOf(site) => self.replay_failed(site, now).await,
        }
    }

    async fn hasten(
        &self,
        subscription: SubscriptionId,
        after: Option<LeadId>,
        now: Timestamp,
        limit: usize,
    ) -> Result<Option<LeadId>> {
        write!(self, Full, tx => replay::hasten(&tx, subscription, after, now, limit))
    }
}

/// In steps, so that a long list does not hold up others; each delivery is recorded or replayed whole or not at all.
impl PostgresStore {
    async fn record_delivered(&self, outcomes: &[&Outcome], now: Timestamp) -> Result<usize> {
        write!(self, tx => record::record_delivered(&tx, outcomes, now))
    }

    async fn record_some(&self, outcomes: &[&Outcome], now: Timestamp) -> Result<usize> {
        write!(self, tx => record::record(&tx, outcomes, now))
    }

    async fn replay_these(&self, ids: &[DeliveryId], now: Timestamp) -> Result<Vec<DeliveryId>> {
        let ids: Result<Vec<_>> = snapshot!(self, tx => replay::in_order(&tx, ids));
        let mut replayed = Vec::new();
        for some in ids?.chunks(replay::STEP) {
            let step: Result<Vec<_>> = write!(self, Full, tx => replay::these(&tx, some, now));
            replayed.extend(step?);
        }
        Ok(replayed)
    }

    async fn replay_failed(&self, site: SiteId, now: Timestamp) -> Result<Vec<DeliveryId>> {
        let (mut replayed, mut after) = (Vec::new(), Some(0));
        while let Some(from) = after {
            let step: Result<_> = write!(self, Full, tx => replay::failed_of(&tx, site, from, now));
            let step: replay::Step = step?;
            replayed.extend(step.replayed);
            after = step.go_on;
        }
        Ok(replayed)
    }
}
