//! Recording what became of leased deliveries: what is over goes into the log, the rest back into the queue.
//!
//! A whole batch takes the same few statements as a single outcome. A lease may be lost until the very moment at which its
//! row is changed: so each statement asks for the lease again, and what counts is what it has changed.
//!
//! The statements find each table's rows by one array of keys, and never by a join. The queue is empty at one moment and long
//! at the next: a plan that was made for an empty table would join by reading all of it. With a list of keys there is
//! only one way to go, by their index, whatever the planner believes of the table's size (see also `server`).
//!
//! What else is known of a row is in further arrays, at its key's place. `width_bucket` finds that place in a sorted array by
//! halving it; `array_position` would read the array from its front for each row.

use std::collections::{HashMap, HashSet};

use tokio::join;

use super::decide::{Back, Columns, Decided, Finished, Held, Over};
use super::finish::into_log;
use super::lane;
use crate::model::delivery::{Outcome, Verdict};
use crate::model::{DeliveryId, Timestamp};
use crate::store::postgres::locks::{self, Patience};
use crate::store::postgres::statements::params;
use crate::store::postgres::transaction::{Durability, Tx};
use crate::store::postgres::values::At;
use crate::store::{Result, Signal};

pub(in crate::store::postgres) const HELD: &str = "WITH held AS MATERIALIZED (
         SELECT site_uuid, seq, id, lease, subscription_id FROM deliveries WHERE id = ANY($1) AND lease IS NOT NULL
     )
     SELECT held.*, s.updated_at, s.removed_at
     FROM held JOIN subscriptions s ON s.site_uuid = held.site_uuid AND s.id = held.subscription_id";

/// Moves what is over into the log, makes the next of each lane due, and (`$8`) notes when its subscription is to be looked
/// at, as in `lane`. (What waits for a removed subscription is never sent, and so is not made due.) A statement does not see
/// its own deletions: the next is the first other one.
pub(in crate::store::postgres) const FINISH: &str = into_log!(
    "gone AS (
         DELETE FROM deliveries
         WHERE id = ANY($1::UUID[]) AND lease = ($2::UUID[])[width_bucket(id, $1)]
         RETURNING *, width_bucket(id, $1) AS place
     ), done AS (
         SELECT site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at,
                attempts + ($3::BIGINT[])[place] AS attempts, ($4::TEXT[])[place] AS told,
                ($5::TEXT[])[place] AS state, ($6::BIGINT[])[place] AS finished_at
         FROM gone
     )",
    ", next AS (
         UPDATE deliveries SET due_at = $7
         WHERE seq = ANY(ARRAY(
             SELECT first.seq FROM done CROSS JOIN LATERAL (
                 SELECT seq FROM deliveries
                 WHERE subscription_id = done.subscription_id AND lead_id = done.lead_id AND seq <> done.seq
                 ORDER BY position LIMIT 1
             ) first CROSS JOIN LATERAL (
                 SELECT FROM subscriptions
                 WHERE site_uuid = done.site_uuid AND id = done.subscription_id AND removed_at IS NULL
                   AND first.seq IS NOT NULL LIMIT 1
             ) live
         ))
         RETURNING site_uuid, subscription_id, lead_id
     ), looked AS (
         UPDATE subscriptions s SET next_due_at = least(s.next_due_at, $7)
         FROM (
             SELECT t.site_uuid, t.id
             FROM (SELECT DISTINCT site_uuid, subscription_id FROM next WHERE $8) look
             JOIN subscriptions t ON t.site_uuid = look.site_uuid AND t.id = look.subscription_id
             WHERE $7 < coalesce(t.next_due_at, 9223372036854775807)
             ORDER BY t.site_uuid, t.seq FOR UPDATE OF t
         ) look
         WHERE s.site_uuid = look.site_uuid AND s.id = look.id
     )
     SELECT site_uuid, subscription_id,
            (subscription_id, lead_id) IN (SELECT subscription_id, lead_id FROM next) AS followed, count(*) AS count
     FROM done GROUP BY site_uuid, subscription_id, followed"
);

/// Puts back into the queue what is not over. An attempt that was broken off counts for nothing, and may have reached the receiver:
/// it leaves the lease of nobody ([`LeaseToken::NOBODYS`]).
pub(in crate::store::postgres) const PUT_BACK: &str = "WITH back AS (
         UPDATE deliveries
         SET attempts = attempts + ($3::BIGINT[])[width_bucket(seq, $1::BIGINT[])],
             due_at = ($5::BIGINT[])[width_bucket(seq, $1::BIGINT[])], leased_until = NULL,
             lease = CASE WHEN ($3::BIGINT[])[width_bucket(seq, $1::BIGINT[])] = 0
                          THEN '00000000-0000-0000-0000-000000000000'::UUID END
         WHERE seq = ANY($1::BIGINT[]) AND lease = ($2::UUID[])[width_bucket(seq, $1::BIGINT[])]
         RETURNING id, seq
     ), told AS (
         UPDATE delivery_bodies SET story = concat(story, ($4::TEXT[])[width_bucket(delivery_seq, $1::BIGINT[])])
         WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM back))
           AND ($4::TEXT[])[width_bucket(delivery_seq, $1::BIGINT[])] IS NOT NULL
     )
     SELECT id FROM back";

/// What was delivered, and the rest, of which more must be known. What is named twice is looked at one after the other.
pub(super) fn sort(outcomes: &[Outcome]) -> (Vec<&Outcome>, Vec<&Outcome>) {
    let mut named: HashMap<_, usize> = HashMap::new();
    for outcome in outcomes {
        *named.entry(outcome.delivery).or_default() += 1;
    }
    outcomes.iter().partition(|outcome| outcome.verdict == Verdict::Delivered && named[&outcome.delivery] == 1)
}

/// Records deliveries that were delivered; see [`crate::store::Deliveries::record_outcomes`]. Nothing else is asked about them:
/// so they are recorded and committed in one round trip.
pub(super) async fn record_delivered(tx: &Tx, outcomes: &[&Outcome], now: Timestamp) -> Result<usize> {
    let over: Vec<_> = outcomes.iter().map(|outcome| Over::delivered(outcome, now)).collect();
    tx.make_ready(&[locks::take_all_statement(Patience::Enough), FINISH]).await?;
    let (open, taken, finished) = join!(
        biased;
        tx.open(Durability::Relaxed),
        take(tx, outcomes),
        tx.finish(finish(tx, &over, Noted::Here, now)),
    );
    open.and(taken).and(finished).map(|finished| count(&finished))
}

/// Records any outcomes; see [`crate::store::Deliveries::record_outcomes`].
pub(super) async fn record(tx: &Tx, outcomes: &[&Outcome], now: Timestamp) -> Result<usize> {
    let mut held = look(tx, outcomes).await?;
    let mut decided = Decided::default();
    for outcome in outcomes {
        // Removed when it is found: an outcome is recorded once.
        if held.get(&outcome.delivery).is_some_and(|held| held.lease == outcome.lease)
            && let Some(held) = held.remove(&outcome.delivery)
        {
            decided.add(held, outcome, now);
        }
    }
    let (finished, returned) = join!(finish(tx, &decided.over, Noted::Later, now), put_back(tx, &decided.back));
    let (finished, returned) = (finished?, returned?);
    let looks = decided.looks(&finished, &returned, now);
    if looks.iter().any(|look| look.due.is_some_and(|due| due <= now)) {
        tx.signal(Signal::Work);
    }
    tx.finish(lane::look_at(tx, &looks)).await?;
    Ok(count(&finished) + returned.len())
}

/// Takes the lanes.
async fn take(tx: &Tx, outcomes: &[&Outcome]) -> Result<()> {
    let leads: Vec<_> = outcomes.iter().map(|outcome| (outcome.site, outcome.lead)).collect();
    locks::take_lanes(tx, &leads).await
}

/// Begins, takes the lanes, and then reads what is held there. Its subscriptions stay as they are.
async fn look(tx: &Tx, outcomes: &[&Outcome]) -> Result<HashMap<DeliveryId, Held>> {
    let ids: Vec<_> = outcomes.iter().map(|outcome| outcome.delivery).collect();
    let params = params![ids];
    tx.make_ready(&[locks::take_all_statement(Patience::Enough), HELD]).await?;
    let (open, taken, held) =
        join!(biased; tx.open(Durability::Relaxed), take(tx, outcomes), tx.all(HELD, params, Held::read));
    open.and(taken)?;
    Ok(held?.into_iter().map(|held| (held.id, held)).collect())
}

/// Where it is noted that subscriptions are to be looked at: once in each transaction, in one order, so that nobody waits for
/// whom it keeps waiting.
#[derive(PartialEq, Eq)]
enum Noted {
    /// By the statement itself.
    Here,
    /// Together with those of what is put back.
    Later,
}

fn count(finished: &[Finished]) -> usize {
    finished.iter().map(|finished| finished.count).sum()
}

/// Moves what is over into the log. Returns what was still held.
async fn finish(tx: &Tx, over: &[Over], noted: Noted, now: Timestamp) -> Result<Vec<Finished>> {
    if over.is_empty() {
        return Ok(Vec::new());
    }
    let mut over: Vec<_> = over.iter().collect();
    over.sort_unstable_by_key(|over| over.change.id);
    let Columns { ids, leases, counted, told } = over.iter().map(|over| &over.change).collect();
    let states: Vec<_> = over.iter().map(|over| over.state).collect();
    let finished: Vec<_> = over.iter().map(|over| At(over.finished)).collect();
    let params = params![ids, leases, counted, told, states, finished, At(now), noted == Noted::Here];
    let finished = tx.all(FINISH, params, Finished::read).await?;
    if finished.iter().any(|finished| finished.followed) {
        tx.signal(Signal::Work);
    }
    Ok(finished)
}

/// Puts back what is not over. Returns what was still held.
async fn put_back(tx: &Tx, back: &[Back]) -> Result<HashSet<DeliveryId>> {
    if back.is_empty() {
        return Ok(HashSet::new());
    }
    let mut back: Vec<_> = back.iter().collect();
    back.sort_unstable_by_key(|back| back.held.seq);
    let Columns { leases, counted, told, .. } = back.iter().map(|back| &back.change).collect();
    let seqs: Vec<_> = back.iter().map(|back| back.held.seq).collect();
    let due: Vec<_> = back.iter().map(|back| At(back.due)).collect();
    let params = params![seqs, leases, counted, told, due];
    let returned = tx.all(PUT_BACK, params, |row| row.try_get("id")).await?;
    Ok(returned.into_iter().collect())
}
