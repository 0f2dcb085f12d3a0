//! Recording what became of leased deliveries.
//!
//! Outcomes come in batches, and mostly say that something was delivered: that takes one statement, which finds the delivery and
//! asks for its lease, and a look at what waits behind it.

use std::collections::HashMap;

use rusqlite::params;

use super::lane;
use crate::model::delivery::{Outcome, State, Verdict};
use crate::model::{LeaseToken, SubscriptionId, Timestamp};
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, at, maybe_at};
use crate::store::sqlite::writer::Tx;
use crate::store::{Result, Signal, story};

/// A delivery that is over, if the lease still holds it.
pub(in crate::store::sqlite) const FINISH: &str = "UPDATE deliveries
     SET state = ?3, finished_at = ?4, attempts = attempts + ?5, story = nullif(concat(story, ?6), ''),
         due_at = NULL, lease = NULL
     WHERE id = ?1 AND lease = ?2 AND state = 'waiting'";

/// One that goes on waiting, if the lease still holds it.
pub(in crate::store::sqlite) const WAIT: &str = "UPDATE deliveries
     SET due_at = ?3, lease = ?4, attempts = attempts + ?5, story = nullif(concat(story, ?6), '')
     WHERE id = ?1 AND lease = ?2 AND state = 'waiting'";

/// Records outcomes; see [`crate::store::Deliveries::record_outcomes`].
pub(super) fn record(tx: &Tx, outcomes: &[Outcome], now: Timestamp) -> Result<usize> {
    let mut recording = Recording { tx, now, receivers: HashMap::new() };
    let mut recorded = 0;
    for outcome in outcomes {
        recorded += usize::from(recording.go_on(outcome)?);
    }
    Ok(recorded)
}

struct Recording<'a> {
    tx: &'a Tx<'a>,
    now: Timestamp,
    /// The subscriptions of this batch, as they are: a transaction sees nobody else's changes.
    receivers: HashMap<SubscriptionId, Receiver>,
}

/// What counts of a subscription.
#[derive(Clone, Copy)]
struct Receiver {
    /// When it was last set.
    set: Timestamp,
    /// When it was removed.
    removed: Option<Timestamp>,
}

impl Recording<'_> {
    /// Has a delivery go on as its outcome says. Returns whether the lease still held it.
    fn go_on(&mut self, outcome: &Outcome) -> Result<bool> {
        let Some(receiver) = self.receiver(outcome.subscription)? else { return Ok(false) };
        match (outcome.verdict, receiver.removed) {
            // What waits behind it for a removed subscription is never sent.
            (Verdict::Delivered, Some(_)) => self.finish(outcome, State::Delivered, self.now),
            (_, Some(removed)) => self.finish(outcome, State::Cancelled, removed),
            (Verdict::Delivered, None) => self.finish_and_advance(outcome, State::Delivered),
            (Verdict::Refused, None) => self.finish_and_advance(outcome, State::Refused),
            (Verdict::Failed, None) => self.finish_and_advance(outcome, State::Failed),
            (Verdict::Retry(due), None) => self.wait(outcome, due),
            (Verdict::Release, None) => self.wait(outcome, self.now),
            (Verdict::Pause, None) => {
                let held = self.wait(outcome, self.now)?;
                // Whoever set the subscription after the attempt began knows more than this answer, which is the old
                // receiver's.
                if held && outcome.attempt.as_ref().is_none_or(|attempt| attempt.started >= receiver.set) {
                    let sql = "UPDATE subscriptions SET paused_at = ?2 WHERE id = ?1 AND paused_at IS NULL";
                    self.tx.run(sql, params![outcome.subscription, At(self.now)])?;
                }
                Ok(held)
            }
        }
    }

    fn receiver(&mut self, id: SubscriptionId) -> Result<Option<Receiver>> {
        if let Some(receiver) = self.receivers.get(&id) {
            return Ok(Some(*receiver));
        }
        let found = self.tx.one("SELECT updated_at, removed_at FROM subscriptions WHERE id = ?1", [id], |row| {
            Ok(Receiver { set: at(row, "updated_at")?, removed: maybe_at(row, "removed_at")? })
        })?;
        self.receivers.extend(found.map(|receiver| (id, receiver)));
        Ok(found)
    }

    fn finish(&self, outcome: &Outcome, state: State, finished: Timestamp) -> Result<bool> {
        let (counted, told) = (outcome.counted(), told(outcome));
        let params = params![outcome.delivery, outcome.lease, state, At(finished), counted, told];
        Ok(self.tx.run(FINISH, params)? > 0)
    }

    fn finish_and_advance(&self, outcome: &Outcome, state: State) -> Result<bool> {
        let held = self.finish(outcome, state, self.now)?;
        if held {
            lane::advance(self.tx, outcome.subscription, outcome.lead, self.now)?;
        }
        Ok(held)
    }

    fn wait(&self, outcome: &Outcome, due: Timestamp) -> Result<bool> {
        let (counted, told) = (outcome.counted(), told(outcome));
        // An attempt that was broken off counts for nothing, and may have reached the receiver.
        let lease = (counted == 0).then_some(LeaseToken::NOBODYS);
        let params = params![outcome.delivery, outcome.lease, At(due), lease, counted, told];
        let held = self.tx.run(WAIT, params)? > 0;
        if held {
            lane::due_at(self.tx, outcome.subscription, due)?;
        }
        if held && due <= self.now {
            self.tx.signal(Signal::Work);
        }
        Ok(held)
    }
}

/// What an outcome adds to the delivery's story.
fn told(outcome: &Outcome) -> Option<String> {
    outcome.attempt.as_ref().map(story::line)
}
