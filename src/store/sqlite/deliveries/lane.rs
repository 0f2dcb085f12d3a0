//! Lanes: the deliveries of one lead to one subscription, one at a time and in order.
//!
//! The head of a lane has a due time, the others have none; so an index of due times finds what can be sent, however
//! much waits behind. A subscription's `next_due_at` does the same one floor up: it says when to look into that index.

use rusqlite::params;

use crate::model::{LeadId, SubscriptionId, Timestamp};
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, rows};
use crate::store::sqlite::writer::Tx;
use crate::store::{Result, Signal};

pub(in crate::store::sqlite) const LAST: &str = "SELECT position FROM deliveries
     WHERE subscription_id = ?1 AND lead_id = ?2 AND state = 'waiting' ORDER BY position DESC LIMIT 1";

pub(in crate::store::sqlite) const FIRST: &str = "SELECT seq FROM deliveries
     WHERE subscription_id = ?1 AND lead_id = ?2 AND state = 'waiting' ORDER BY position LIMIT 1";

pub(in crate::store::sqlite) const WAITING: &str = "SELECT seq FROM deliveries
     WHERE subscription_id = ?1 AND state = 'waiting' AND (lease IS NULL OR due_at <= ?2) LIMIT ?3";

/// Where a delivery that enters a lane stands.
pub(super) struct Place {
    /// Behind everything that waits there.
    pub(super) position: i64,
    /// Now, if it is the head.
    pub(super) due: Option<Timestamp>,
}

/// The place of a delivery that enters a lane at `now`. If it is the head, its subscription is to be told: see [`due_at`].
pub(super) fn enter(tx: &Tx, subscription: SubscriptionId, lead: LeadId, now: Timestamp) -> Result<Place> {
    let last: Option<i64> = tx.one(LAST, params![subscription, lead], |row| row.get("position"))?;
    Ok(match last {
        Some(last) => Place { position: last + 1, due: None },
        None => Place { position: 0, due: Some(now) },
    })
}

/// Makes the first of what waits in a lane due, after its head has gone.
pub(super) fn advance(tx: &Tx, subscription: SubscriptionId, lead: LeadId, now: Timestamp) -> Result<()> {
    let Some(next) = tx.one(FIRST, params![subscription, lead], |row| row.get::<_, i64>("seq"))? else {
        return Ok(());
    };
    tx.run("UPDATE deliveries SET due_at = ?2 WHERE seq = ?1", params![next, At(now)])?;
    due_at(tx, subscription, now)?;
    tx.signal(Signal::Work);
    Ok(())
}

/// Notes that something of the subscription falls due at `at`. Writes nothing when it would be looked at by then anyway.
pub(super) fn due_at(tx: &Tx, subscription: SubscriptionId, at: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE subscriptions SET next_due_at = ?2 WHERE id = ?1 AND (next_due_at IS NULL OR next_due_at > ?2)",
        params![subscription, At(at)],
    )?;
    Ok(())
}

/// Cancels, as of `removed`, at most `limit` of what waits for a removed subscription. What is under a lease at `now` is
/// left to its holder: it may have been delivered already. Returns how many.
pub(in crate::store::sqlite) fn cancel_waiting(
    tx: &Tx,
    subscription: SubscriptionId,
    removed: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<usize> {
    let waiting: Vec<i64> = tx.all(WAITING, params![subscription, At(now), rows(limit)], |row| row.get("seq"))?;
    for seq in &waiting {
        tx.run(
            "UPDATE deliveries SET state = 'cancelled', finished_at = ?2, due_at = NULL, lease = NULL WHERE seq = ?1",
            params![seq, At(removed)],
        )?;
    }
    Ok(waiting.len())
}
