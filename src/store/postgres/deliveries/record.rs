//! Recording what became of leased deliveries: what is over goes into the log, the rest back into the queue.
//!
//! A whole batch takes the same few statements as a single outcome. A lease may be lost until the very moment at which its
//! row is changed: so each statement asks for the lease again, and what counts is what it has changed.
//!
//! The statements find each table's rows by one array of keys, and never by a join. The queue is empty at one moment and long
//! at the next: a plan that was made for an empty table would join by reading all of it. With a list of keys there is
//! only one way to go, by their index, whatever the planner believes of the table's size (see also `server`).

use std::collections::{HashMap, HashSet};

use tokio::join;
use tokio_postgres::Row;

use super::finish::into_log;
use super::lane::{self, Look};
use super::story;
use crate::model::delivery::{Outcome, State, Verdict};
use crate::model::{DeliveryId, LeaseToken, SiteId, SubscriptionId, Timestamp};
use crate::store::postgres::locks;
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, at, maybe_at};
use crate::store::{Result, Signal};

const LEADS: &str = "SELECT site_uuid, lead_id FROM deliveries WHERE id = ANY($1)";

pub(in crate::store::postgres) const HELD: &str = "WITH held AS MATERIALIZED (
         SELECT site_uuid, seq, id, lease, subscription_id FROM deliveries WHERE id = ANY($1) AND lease IS NOT NULL
     )
     SELECT held.*, s.updated_at, s.removed_at
     FROM held JOIN subscriptions s ON s.site_uuid = held.site_uuid AND s.id = held.subscription_id";

/// Moves what is over into the log, and makes the next of each lane due. (What waits for a removed subscription is never
/// sent, and so is not made due.) A statement does not see its own deletions: the next is the first other one.
pub(in crate::store::postgres) const FINISH: &str = into_log!(
    "gone AS (
         DELETE FROM deliveries
         WHERE seq = ANY($1::BIGINT[]) AND lease = ($2::UUID[])[array_position($1, seq)]
         RETURNING *, array_position($1, seq) AS place
     ), done AS (
         SELECT site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at,
                attempts + ($3::BIGINT[])[place] AS attempts, ($4::TEXT[])[place] AS told,
                ($5::TEXT[])[place] AS state, ($6::BIGINT[])[place] AS finished_at, ($7::BOOLEAN[])[place] AS goes_on
         FROM gone
     )",
    ", next AS (
         UPDATE deliveries SET due_at = $8
         WHERE seq = ANY(ARRAY(
             SELECT first.seq FROM done CROSS JOIN LATERAL (
                 SELECT seq FROM deliveries
                 WHERE subscription_id = done.subscription_id AND lead_id = done.lead_id AND seq <> done.seq
                 ORDER BY position LIMIT 1
             ) first
             WHERE done.goes_on
         ))
         RETURNING subscription_id, lead_id
     )
     SELECT id, (subscription_id, lead_id) IN (SELECT subscription_id, lead_id FROM next) AS followed FROM done"
);

/// Puts back into the queue what is not over. An attempt that was broken off counts for nothing, and may have reached the receiver:
/// it leaves the lease of nobody ([`LeaseToken::NOBODYS`]).
pub(in crate::store::postgres) const PUT_BACK: &str = "WITH back AS (
         UPDATE deliveries
         SET attempts = attempts + ($3::BIGINT[])[array_position($1, seq)],
             due_at = ($5::BIGINT[])[array_position($1, seq)],
             lease = CASE WHEN ($3::BIGINT[])[array_position($1, seq)] = 0
                          THEN '00000000-0000-0000-0000-000000000000'::UUID END
         WHERE seq = ANY($1::BIGINT[]) AND lease = ($2::UUID[])[array_position($1, seq)]
         RETURNING id, seq
     ), told AS (
         UPDATE delivery_bodies SET story = concat(story, ($4::TEXT[])[array_position($1, delivery_seq)])
         WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM back))
           AND ($4::TEXT[])[array_position($1, delivery_seq)] IS NOT NULL
     )
     SELECT id FROM back";

/// A delivery that is under a lease.
struct Held {
    site: SiteId,
    seq: i64,
    id: DeliveryId,
    lease: LeaseToken,
    subscription: SubscriptionId,
    /// When its subscription was last set.
    set: Timestamp,
    /// When its subscription was removed.
    removed: Option<Timestamp>,
}

/// What an attempt has done to a held delivery.
struct Change {
    held: Held,
    counted: i64,
    /// What its story has to tell of the attempt.
    told: Option<String>,
}

/// What goes into the log.
struct Over {
    change: Change,
    state: State,
    finished: Timestamp,
}

/// What goes back into the queue.
struct Back {
    change: Change,
    due: Timestamp,
    /// The receiver is gone.
    pauses: bool,
}

/// What becomes of held deliveries.
#[derive(Default)]
struct Decided {
    over: Vec<Over>,
    back: Vec<Back>,
}

/// Records outcomes; see [`crate::store::Deliveries::record_outcomes`].
pub(super) async fn record(tx: &Tx, outcomes: &[Outcome], now: Timestamp) -> Result<usize> {
    let mut held = take(tx, outcomes).await?;
    let mut decided = Decided::default();
    for outcome in outcomes {
        // Removed when it is found: an outcome is recorded once.
        if held.get(&outcome.delivery).is_some_and(|held| held.lease == outcome.lease)
            && let Some(held) = held.remove(&outcome.delivery)
        {
            decided.add(held, outcome, now);
        }
    }
    let (followed, returned) = join!(finish(tx, &decided.over, now), put_back(tx, &decided.back));
    let (followed, returned) = (followed?, returned?);
    let looks = decided.looks(&followed, &returned, now);
    if looks.iter().any(|look| look.due.is_some_and(|due| due <= now)) {
        tx.signal(Signal::Work);
    }
    lane::look_at(tx, &looks).await?;
    Ok(followed.len() + returned.len())
}

/// Takes the lanes, and then reads what is held there. Its subscriptions stay as they are.
async fn take(tx: &Tx, outcomes: &[Outcome]) -> Result<HashMap<DeliveryId, Held>> {
    let ids: Vec<_> = outcomes.iter().map(|outcome| outcome.delivery).collect();
    let leads = tx.all(LEADS, params![ids], |row| Ok((row.try_get("site_uuid")?, row.try_get("lead_id")?))).await?;
    locks::take_lanes(tx, &leads).await?;
    let held = tx.all(HELD, params![ids], held).await?;
    Ok(held.into_iter().map(|held| (held.id, held)).collect())
}

fn held(row: &Row) -> RowResult<Held> {
    Ok(Held {
        site: row.try_get("site_uuid")?,
        seq: row.try_get("seq")?,
        id: row.try_get("id")?,
        lease: row.try_get("lease")?,
        subscription: row.try_get("subscription_id")?,
        set: at(row, "updated_at")?,
        removed: maybe_at(row, "removed_at")?,
    })
}

impl Decided {
    fn add(&mut self, held: Held, outcome: &Outcome, now: Timestamp) {
        let (set, removed) = (held.set, held.removed);
        let counted = i64::from(outcome.verdict != Verdict::Release);
        let change = Change { held, counted, told: outcome.attempt.as_ref().map(story::line) };
        let (state, finished) = match (outcome.verdict, removed) {
            (Verdict::Delivered, _) => (State::Delivered, now),
            (_, Some(removed)) => (State::Cancelled, removed),
            (Verdict::Refused, None) => (State::Refused, now),
            (Verdict::Failed, None) => (State::Failed, now),
            (Verdict::Retry(due), None) => return self.back.push(Back { change, due, pauses: false }),
            (Verdict::Release, None) => return self.back.push(Back { change, due: now, pauses: false }),
            (Verdict::Pause, None) => {
                // Whoever set the subscription after the attempt began knows more than this answer: the old receiver's.
                let pauses = outcome.attempt.as_ref().is_none_or(|attempt| attempt.started >= set);
                return self.back.push(Back { change, due: now, pauses });
            }
        };
        self.over.push(Over { change, state, finished });
    }

    /// What is to be noted of the subscriptions, after what was still held has been changed.
    fn looks(&self, followed: &HashMap<DeliveryId, bool>, returned: &HashSet<DeliveryId>, now: Timestamp) -> Vec<Look> {
        let over = self.over.iter().map(|over| &over.change.held);
        let over = over.filter(|held| followed.get(&held.id) == Some(&true)).map(|held| (held, now, false));
        let back = self.back.iter().map(|back| (&back.change.held, back.due, back.pauses));
        let back = back.filter(|(held, ..)| returned.contains(&held.id));
        let mut looks = HashMap::new();
        for (held, due, pauses) in over.chain(back) {
            let look = looks.entry(held.subscription).or_insert(Look::of(held.site, held.subscription));
            look.due = look.due.into_iter().chain([due]).min();
            look.paused = look.paused.or(pauses.then_some(now));
        }
        looks.into_values().collect()
    }
}

/// Moves what is over into the log. Returns what was still held: whether another one of its lane is due now.
async fn finish(tx: &Tx, over: &[Over], now: Timestamp) -> Result<HashMap<DeliveryId, bool>> {
    if over.is_empty() {
        return Ok(HashMap::new());
    }
    let Columns { seqs, leases, counted, told } = over.iter().map(|over| &over.change).collect();
    let states: Vec<_> = over.iter().map(|over| over.state).collect();
    let finished: Vec<_> = over.iter().map(|over| At(over.finished)).collect();
    let goes_on: Vec<_> = over.iter().map(|over| over.change.held.removed.is_none()).collect();
    let params = params![seqs, leases, counted, told, states, finished, goes_on, At(now)];
    let followed = tx.all(FINISH, params, |row| Ok((row.try_get("id")?, row.try_get("followed")?))).await?;
    Ok(followed.into_iter().collect())
}

/// Puts back what is not over. Returns what was still held.
async fn put_back(tx: &Tx, back: &[Back]) -> Result<HashSet<DeliveryId>> {
    if back.is_empty() {
        return Ok(HashSet::new());
    }
    let Columns { seqs, leases, counted, told } = back.iter().map(|back| &back.change).collect();
    let due: Vec<_> = back.iter().map(|back| At(back.due)).collect();
    let params = params![seqs, leases, counted, told, due];
    let returned = tx.all(PUT_BACK, params, |row| row.try_get("id")).await?;
    Ok(returned.into_iter().collect())
}

/// What both statements need of each change, column by column.
#[derive(Default)]
struct Columns<'a> {
    seqs: Vec<i64>,
    leases: Vec<LeaseToken>,
    counted: Vec<i64>,
    told: Vec<Option<&'a str>>,
}

impl<'a> FromIterator<&'a Change> for Columns<'a> {
    fn from_iter<T: IntoIterator<Item = &'a Change>>(changes: T) -> Self {
        let mut columns = Self::default();
        for change in changes {
            columns.seqs.push(change.held.seq);
            columns.leases.push(change.held.lease);
            columns.counted.push(change.counted);
            columns.told.push(change.told.as_deref());
        }
        columns
    }
}
