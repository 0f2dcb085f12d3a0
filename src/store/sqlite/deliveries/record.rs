//! Recording what became of leased deliveries.

use rusqlite::params;

use super::lane;
use crate::model::delivery::{Attempt, Outcome, State, Verdict};
use crate::model::{LeadId, LeaseToken, SubscriptionId, Timestamp};
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, at, maybe_at};
use crate::store::sqlite::writer::Tx;
use crate::store::{Result, Signal};

const HELD: &str = "SELECT d.seq, d.subscription_id, d.lead_id, s.updated_at, s.removed_at
     FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id
     WHERE d.id = ?1 AND d.lease = ?2 AND d.state = 'waiting'";

/// A delivery that is still the holder's.
struct Held {
    seq: i64,
    subscription: SubscriptionId,
    lead: LeadId,
    /// When its subscription was last set.
    set: Timestamp,
    /// When its subscription was removed.
    removed: Option<Timestamp>,
    /// Attempts that this outcome adds: one, unless it was given back untried.
    tried: u32,
}

/// Records outcomes; see [`crate::store::Deliveries::record_outcomes`].
pub(super) fn record(tx: &Tx, outcomes: &[Outcome], now: Timestamp) -> Result<usize> {
    let mut recorded = 0;
    for outcome in outcomes {
        let Some(held) = held(tx, outcome)? else { continue };
        if let Some(attempt) = &outcome.attempt {
            keep_attempt(tx, &held, attempt)?;
        }
        go_on(tx, &held, outcome, now)?;
        recorded += 1;
    }
    Ok(recorded)
}

/// The delivery, if this lease still holds it.
fn held(tx: &Tx, outcome: &Outcome) -> Result<Option<Held>> {
    let held = tx.one(HELD, params![outcome.delivery, outcome.lease], |row| {
        Ok(Held {
            seq: row.get("seq")?,
            subscription: row.get("subscription_id")?,
            lead: row.get("lead_id")?,
            set: at(row, "updated_at")?,
            removed: maybe_at(row, "removed_at")?,
            tried: u32::from(outcome.verdict != Verdict::Release),
        })
    });
    Ok(held?)
}

fn go_on(tx: &Tx, held: &Held, outcome: &Outcome, now: Timestamp) -> Result<()> {
    match (outcome.verdict, held.removed) {
        (Verdict::Delivered, _) => finish(tx, held, State::Delivered, now),
        (_, Some(removed)) => finish(tx, held, State::Cancelled, removed),
        (Verdict::Refused, None) => finish(tx, held, State::Refused, now),
        (Verdict::Failed, None) => finish(tx, held, State::Failed, now),
        (Verdict::Retry(due), None) => wait(tx, held, due, now),
        (Verdict::Release, None) => wait(tx, held, now, now),
        (Verdict::Pause, None) => {
            // Whoever set the subscription after the attempt began knows more than this answer, which is the old
            // receiver's.
            if outcome.attempt.as_ref().is_none_or(|attempt| attempt.started >= held.set) {
                let sql = "UPDATE subscriptions SET paused_at = ?2 WHERE id = ?1 AND paused_at IS NULL";
                tx.run(sql, params![held.subscription, At(now)])?;
            }
            wait(tx, held, now, now)
        }
    }
}

fn finish(tx: &Tx, held: &Held, state: State, finished: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE deliveries SET state = ?2, finished_at = ?3, attempts = attempts + ?4, due_at = NULL, lease = NULL
         WHERE seq = ?1",
        params![held.seq, state, At(finished), held.tried],
    )?;
    // What waits behind it for a removed subscription is never sent.
    if held.removed.is_none() {
        lane::advance(tx, held.subscription, held.lead, finished)?;
    }
    Ok(())
}

fn wait(tx: &Tx, held: &Held, due: Timestamp, now: Timestamp) -> Result<()> {
    // An attempt that was broken off counts for nothing, and may have reached the receiver.
    let lease = (held.tried == 0).then_some(LeaseToken::NOBODYS);
    tx.run(
        "UPDATE deliveries SET due_at = ?2, attempts = attempts + ?3, lease = ?4 WHERE seq = ?1",
        params![held.seq, At(due), held.tried, lease],
    )?;
    lane::due_at(tx, held.subscription, due)?;
    if due <= now {
        tx.signal(Signal::Work);
    }
    Ok(())
}

fn keep_attempt(tx: &Tx, held: &Held, attempt: &Attempt) -> Result<()> {
    tx.run(
        "INSERT INTO attempts (delivery_seq, number, started_at, duration_us, status, error, response)
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM attempts WHERE delivery_seq = ?1",
        params![
            held.seq,
            At(attempt.started),
            i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX),
            attempt.status,
            attempt.error,
            attempt.response
        ],
    )?;
    Ok(())
}
