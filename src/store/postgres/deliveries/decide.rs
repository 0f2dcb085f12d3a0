//! What becomes of deliveries by their outcomes: the log, or the queue once more.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use super::lane::Look;
use crate::model::delivery::{Outcome, State, Verdict};
use crate::model::{DeliveryId, LeaseToken, SiteId, SubscriptionId, Timestamp};
use crate::store::postgres::statements::RowResult;
use crate::store::postgres::values::{at, count, maybe_at};
use crate::store::story;

/// A delivery that is under a lease.
pub(super) struct Held {
    pub(super) site: SiteId,
    pub(super) seq: i64,
    pub(super) id: DeliveryId,
    pub(super) lease: LeaseToken,
    pub(super) subscription: SubscriptionId,
    /// When its subscription was last set.
    pub(super) set: Timestamp,
    /// When its subscription was removed.
    pub(super) removed: Option<Timestamp>,
}

impl Held {
    pub(super) fn read(row: &Row) -> RowResult<Self> {
        Ok(Self {
            site: row.try_get("site_uuid")?,
            seq: row.try_get("seq")?,
            id: row.try_get("id")?,
            lease: row.try_get("lease")?,
            subscription: row.try_get("subscription_id")?,
            set: at(row, "updated_at")?,
            removed: maybe_at(row, "removed_at")?,
        })
    }
}

/// What an attempt has done to a delivery, if it is still under its lease.
pub(super) struct Change {
    pub(super) id: DeliveryId,
    pub(super) lease: LeaseToken,
    pub(super) counted: i64,
    /// What its story has to tell of the attempt.
    pub(super) told: Option<String>,
}

impl Change {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let counted = i64::from(outcome.counted());
        let told = outcome.attempt.as_ref().map(story::line);
        Self { id: outcome.delivery, lease: outcome.lease, counted, told }
    }
}

/// What goes into the log.
pub(super) struct Over {
    pub(super) change: Change,
    pub(super) state: State,
    pub(super) finished: Timestamp,
}

impl Over {
    pub(super) fn delivered(outcome: &Outcome, now: Timestamp) -> Self {
        Self { change: Change::of(outcome), state: State::Delivered, finished: now }
    }
}

/// Deliveries to a subscription that went into the log.
pub(super) struct Finished {
    site: SiteId,
    subscription: SubscriptionId,
    /// Whether others of their lanes are due now.
    pub(super) followed: bool,
    /// How many there are.
    pub(super) count: usize,
}

impl Finished {
    pub(super) fn read(row: &Row) -> RowResult<Self> {
        Ok(Self {
            site: row.try_get("site_uuid")?,
            subscription: row.try_get("subscription_id")?,
            followed: row.try_get("followed")?,
            count: count(row, "count")?,
        })
    }
}

/// What goes back into the queue.
pub(super) struct Back {
    pub(super) change: Change,
    pub(super) held: Held,
    pub(super) due: Timestamp,
    /// The receiver is gone.
    pub(super) pauses: bool,
}

/// What becomes of held deliveries.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) over: Vec<Over>,
    pub(super) back: Vec<Back>,
}

impl Decided {
    pub(super) fn add(&mut self, held: Held, outcome: &Outcome, now: Timestamp) {
        let change = Change::of(outcome);
        let (state, finished) = match (outcome.verdict, held.removed) {
            (Verdict::Delivered, _) => (State::Delivered, now),
            (_, Some(removed)) => (State::Cancelled, removed),
            (Verdict::Refused, None) => (State::Refused, now),
            (Verdict::Failed, None) => (State::Failed, now),
            (Verdict::Retry(due), None) => return self.back.push(Back { change, held, due, pauses: false }),
            (Verdict::Release, None) => return self.back.push(Back { change, held, due: now, pauses: false }),
            (Verdict::Pause, None) => {
                // Whoever set the subscription after the attempt began knows more than this answer: the old receiver's.
                let pauses = outcome.attempt.as_ref().is_none_or(|attempt| attempt.started >= held.set);
                return self.back.push(Back { change, held, due: now, pauses });
            }
        };
        self.over.push(Over { change, state, finished });
    }

    /// What is to be noted of the subscriptions, after what was still held has been changed.
    pub(super) fn looks(&self, finished: &[Finished], returned: &HashSet<DeliveryId>, now: Timestamp) -> Vec<Look> {
        let followed = finished.iter().filter(|finished| finished.followed);
        let followed = followed.map(|finished| (finished.site, finished.subscription, now, false));
        let back = self.back.iter().filter(|back| returned.contains(&back.held.id));
        let back = back.map(|back| (back.held.site, back.held.subscription, back.due, back.pauses));
        let mut looks = HashMap::new();
        for (site, subscription, due, pauses) in followed.chain(back) {
            let look = looks.entry(subscription).or_insert(Look::of(site, subscription));
            look.due = look.due.into_iter().chain([due]).min();
            look.paused = look.paused.or(pauses.then_some(now));
        }
        looks.into_values().collect()
    }
}

/// What both statements need of each change, column by column.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) ids: Vec<DeliveryId>,
    pub(super) leases: Vec<LeaseToken>,
    pub(super) counted: Vec<i64>,
    pub(super) told: Vec<Option<&'a str>>,
}

impl<'a> FromIterator<&'a Change> for Columns<'a> {
    fn from_iter<T: IntoIterator<Item = &'a Change>>(changes: T) -> Self {
        let mut columns = Self::default();
        for change in changes {
            columns.ids.push(change.id);
            columns.leases.push(change.lease);
            columns.counted.push(change.counted);
            columns.told.push(change.told.as_deref());
        }
        columns
    }
}
