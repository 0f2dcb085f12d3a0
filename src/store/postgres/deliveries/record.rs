//! Recording what became of leased deliveries: what is over goes into the log, the rest back into the queue.
//!
//! A whole batch takes the same few statements as a single outcome. A lease may be lost until the very moment at which its
//! row is changed: so each statement asks for the lease again, and what counts is what it has changed.

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

pub(in crate::store::postgres) const HELD: &str =
    "SELECT d.site_uuid, d.seq, d.id, d.lease, d.subscription_id, s.updated_at, s.removed_at
     FROM deliveries d JOIN subscriptions s ON s.site_uuid = d.site_uuid AND s.id = d.subscription_id
     WHERE d.id = ANY($1) AND d.lease IS NOT NULL";

/// Moves what is over into the log, and makes the next of each lane due. (What waits for a removed subscription is never
/// sent, and so is not made due.) A statement does not see its own deletions: the next is the first other one.
pub(in crate::store::postgres) const FINISH: &str = into_log!(
    "done AS (
         DELETE FROM deliveries d
         USING unnest($1::UUID[], $2::BIGINT[], $3::UUID[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[], $8::BOOLEAN[])
             AS o (site_uuid, seq, lease, state, counted, finished_at, told, goes_on)
         WHERE d.site_uuid = o.site_uuid AND d.seq = o.seq AND d.lease = o.lease
         RETURNING d.site_uuid, d.seq, d.id, d.subscription_id, d.partner_id, d.lead_id, d.action, d.changed_at,
                   o.state, d.attempts + o.counted AS attempts, o.finished_at, o.told, o.goes_on
     )",
    ", next AS (
         UPDATE deliveries d SET due_at = $9
         FROM done CROSS JOIN LATERAL (
             SELECT site_uuid, seq FROM deliveries
             WHERE subscription_id = done.subscription_id AND lead_id = done.lead_id AND seq <> done.seq
             ORDER BY position LIMIT 1
         ) first
         WHERE done.goes_on AND d.site_uuid = first.site_uuid AND d.seq = first.seq
         RETURNING d.subscription_id, d.lead_id
     )
     SELECT done.id, next.lead_id IS NOT NULL AS followed FROM done LEFT JOIN next USING (subscription_id, lead_id)"
);

/// Puts back into the queue what is not over.
pub(in crate::store::postgres) const PUT_BACK: &str = "WITH back AS (
         UPDATE deliveries d SET attempts = d.attempts + o.counted, due_at = o.due_at, lease = NULL
         FROM unnest($1::UUID[], $2::BIGINT[], $3::UUID[], $4::BIGINT[], $5::BIGINT[], $6::TEXT[])
             AS o (site_uuid, seq, lease, counted, due_at, told)
         WHERE d.site_uuid = o.site_uuid AND d.seq = o.seq AND d.lease = o.lease
         RETURNING d.id, d.site_uuid, d.seq, o.told
     ), told AS (
         UPDATE delivery_bodies b SET story = concat(b.story, back.told)
         FROM back WHERE b.site_uuid = back.site_uuid AND b.delivery_seq = back.seq AND back.told IS NOT NULL
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
    lane::look_at(tx, &looks, now).await?;
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
            look.pauses |= pauses;
        }
        looks.into_values().collect()
    }
}

/// Moves what is over into the log. Returns what was still held: whether another one of its lane is due now.
async fn finish(tx: &Tx, over: &[Over], now: Timestamp) -> Result<HashMap<DeliveryId, bool>> {
    if over.is_empty() {
        return Ok(HashMap::new());
    }
    let Columns { sites, seqs, leases, counted, told } = over.iter().map(|over| &over.change).collect();
    let states: Vec<_> = over.iter().map(|over| over.state).collect();
    let finished: Vec<_> = over.iter().map(|over| At(over.finished)).collect();
    let goes_on: Vec<_> = over.iter().map(|over| over.change.held.removed.is_none()).collect();
    let params = params![sites, seqs, leases, states, counted, finished, told, goes_on, At(now)];
    let followed = tx.all(FINISH, params, |row| Ok((row.try_get("id")?, row.try_get("followed")?))).await?;
    Ok(followed.into_iter().collect())
}

/// Puts back what is not over. Returns what was still held.
async fn put_back(tx: &Tx, back: &[Back]) -> Result<HashSet<DeliveryId>> {
    if back.is_empty() {
        return Ok(HashSet::new());
    }
    let Columns { sites, seqs, leases, counted, told } = back.iter().map(|back| &back.change).collect();
    let due: Vec<_> = back.iter().map(|back| At(back.due)).collect();
    let params = params![sites, seqs, leases, counted, due, told];
    let returned = tx.all(PUT_BACK, params, |row| row.try_get("id")).await?;
    Ok(returned.into_iter().collect())
}

/// What both statements need of each change, column by column.
#[derive(Default)]
struct Columns<'a> {
    sites: Vec<SiteId>,
    seqs: Vec<i64>,
    leases: Vec<LeaseToken>,
    counted: Vec<i64>,
    told: Vec<Option<&'a str>>,
}

impl<'a> FromIterator<&'a Change> for Columns<'a> {
    fn from_iter<T: IntoIterator<Item = &'a Change>>(changes: T) -> Self {
        let mut columns = Self::default();
        for change in changes {
            columns.sites.push(change.held.site);
            columns.seqs.push(change.held.seq);
            columns.leases.push(change.held.lease);
            columns.counted.push(change.counted);
            columns.told.push(change.told.as_deref());
        }
        columns
    }
}
