//! Recording what became of leased deliveries.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;

use super::lane;
use crate::model::delivery::{Attempt, Outcome, State, Verdict};
use crate::model::{DeliveryId, LeadId, LeaseToken, SiteId, SubscriptionId, Timestamp};
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, at, maybe_at};
use crate::store::{Result, Signal};

const HELD: &str = "SELECT d.site_uuid, d.seq, d.id, d.lease, d.subscription_id, d.lead_id,
            s.seq AS subscription_seq, s.updated_at, s.removed_at
     FROM deliveries d JOIN subscriptions s ON s.site_uuid = d.site_uuid AND s.id = d.subscription_id
     WHERE d.id = ANY($1) AND d.lease IS NOT NULL AND d.state = 'waiting'
     ORDER BY d.seq FOR UPDATE OF d";

const UPDATE: &str = "UPDATE deliveries d
     SET state = o.state, attempts = d.attempts + o.counted, due_at = o.due_at, finished_at = o.finished_at, lease = NULL
     FROM unnest($1::UUID[], $2::BIGINT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[])
         AS o (site_uuid, seq, state, counted, due_at, finished_at)
     WHERE d.site_uuid = o.site_uuid AND d.seq = o.seq";

const KEEP_ATTEMPTS: &str =
    "INSERT INTO attempts (site_uuid, delivery_seq, number, started_at, duration_us, status, error, response)
     SELECT a.site_uuid, a.seq,
            (SELECT coalesce(max(number), 0) + 1 FROM attempts b WHERE b.site_uuid = a.site_uuid AND b.delivery_seq = a.seq),
            a.started_at, a.duration_us, a.status, a.error, a.response
     FROM unnest($1::UUID[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::INTEGER[], $6::BYTEA[], $7::BYTEA[])
         AS a (site_uuid, seq, started_at, duration_us, status, error, response)";

/// A delivery that is under a lease.
struct Held {
    site: SiteId,
    seq: i64,
    lease: LeaseToken,
    subscription: SubscriptionId,
    /// The order in which subscriptions are locked.
    subscription_seq: i64,
    lead: LeadId,
    /// When its subscription was last set.
    set: Timestamp,
    /// When its subscription was removed.
    removed: Option<Timestamp>,
}

/// What becomes of a held delivery.
struct Change<'a> {
    held: Held,
    attempt: Option<&'a Attempt>,
    counted: i64,
    state: State,
    due: Option<Timestamp>,
    finished: Option<Timestamp>,
    /// The receiver is gone.
    pauses: bool,
}

/// Records outcomes; see [`crate::store::Deliveries::record_outcomes`].
pub(super) async fn record(tx: &Tx, outcomes: &[Outcome], now: Timestamp) -> Result<usize> {
    let ids: Vec<_> = outcomes.iter().map(|outcome| outcome.delivery).collect();
    lane::take(tx, &ids).await?;
    let mut held: HashMap<_, _> = tx.all(HELD, params![ids], held).await?.into_iter().collect();
    let mut changes = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        // Removed when it is found: an outcome is recorded once.
        if held.get(&outcome.delivery).is_some_and(|held| held.lease == outcome.lease)
            && let Some(held) = held.remove(&outcome.delivery)
        {
            changes.push(decide(held, outcome, now));
        }
    }
    if !changes.is_empty() {
        keep_attempts(tx, &changes).await?;
        update(tx, &changes).await?;
        go_on(tx, &changes, now).await?;
    }
    Ok(changes.len())
}

fn held(row: &Row) -> RowResult<(DeliveryId, Held)> {
    let held = Held {
        site: row.try_get("site_uuid")?,
        seq: row.try_get("seq")?,
        lease: row.try_get("lease")?,
        subscription: row.try_get("subscription_id")?,
        subscription_seq: row.try_get("subscription_seq")?,
        lead: row.try_get("lead_id")?,
        set: at(row, "updated_at")?,
        removed: maybe_at(row, "removed_at")?,
    };
    Ok((row.try_get("id")?, held))
}

fn decide(held: Held, outcome: &Outcome, now: Timestamp) -> Change<'_> {
    let (state, time) = match (outcome.verdict, held.removed) {
        (Verdict::Delivered, _) => (State::Delivered, now),
        (_, Some(removed)) => (State::Cancelled, removed),
        (Verdict::Refused, None) => (State::Refused, now),
        (Verdict::Failed, None) => (State::Failed, now),
        (Verdict::Retry(due), None) => (State::Waiting, due),
        (Verdict::Release | Verdict::Pause, None) => (State::Waiting, now),
    };
    let waits = state == State::Waiting;
    // Whoever set the subscription after the attempt began knows more than this answer, which is the old receiver's.
    let pauses = waits
        && outcome.verdict == Verdict::Pause
        && outcome.attempt.as_ref().is_none_or(|attempt| attempt.started >= held.set);
    Change {
        held,
        attempt: outcome.attempt.as_ref(),
        counted: i64::from(outcome.verdict != Verdict::Release),
        state,
        due: waits.then_some(time),
        finished: (!waits).then_some(time),
        pauses,
    }
}

async fn keep_attempts(tx: &Tx, changes: &[Change<'_>]) -> Result<()> {
    let kept: Vec<_> = changes.iter().filter_map(|change| Some((&change.held, change.attempt?))).collect();
    if kept.is_empty() {
        return Ok(());
    }
    let sites: Vec<_> = kept.iter().map(|(held, _)| held.site).collect();
    let seqs: Vec<_> = kept.iter().map(|(held, _)| held.seq).collect();
    let started: Vec<_> = kept.iter().map(|(_, attempt)| At(attempt.started)).collect();
    let durations: Vec<_> =
        kept.iter().map(|(_, attempt)| i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX)).collect();
    let statuses: Vec<_> = kept.iter().map(|(_, attempt)| attempt.status.map(i32::from)).collect();
    let errors: Vec<_> = kept.iter().map(|(_, attempt)| attempt.error.as_ref().map(String::as_bytes)).collect();
    let responses: Vec<_> = kept.iter().map(|(_, attempt)| attempt.response.as_bytes()).collect();
    tx.run(KEEP_ATTEMPTS, params![sites, seqs, started, durations, statuses, errors, responses]).await?;
    Ok(())
}

async fn update(tx: &Tx, changes: &[Change<'_>]) -> Result<()> {
    let sites: Vec<_> = changes.iter().map(|change| change.held.site).collect();
    let seqs: Vec<_> = changes.iter().map(|change| change.held.seq).collect();
    let states: Vec<_> = changes.iter().map(|change| change.state).collect();
    let counted: Vec<_> = changes.iter().map(|change| change.counted).collect();
    let due: Vec<_> = changes.iter().map(|change| change.due.map(At)).collect();
    let finished: Vec<_> = changes.iter().map(|change| change.finished.map(At)).collect();
    tx.run(UPDATE, params![sites, seqs, states, counted, due, finished]).await?;
    Ok(())
}

/// Makes the next of each finished lane due, notes when to look at the subscriptions again, and pauses those whose
/// receiver is gone.
async fn go_on(tx: &Tx, changes: &[Change<'_>], now: Timestamp) -> Result<()> {
    // What waits behind it for a removed subscription is never sent.
    let finished = changes.iter().filter(|change| change.finished.is_some() && change.held.removed.is_none());
    let lanes: Vec<_> = finished.map(|change| (change.held.subscription, change.held.lead)).collect();
    let advanced = lane::advance(tx, &lanes, now).await?;
    // In one order, so that nobody waits for whom it keeps waiting.
    let mut looks: BTreeMap<(SiteId, i64), Look> = BTreeMap::new();
    for change in changes {
        let held = &change.held;
        let due = if advanced.contains(&held.subscription) { Some(now) } else { change.due };
        let look = looks.entry((held.site, held.subscription_seq)).or_insert(Look::at(held.subscription));
        look.due = look.due.into_iter().chain(due).min();
        look.pauses |= change.pauses;
    }
    for ((site, _), look) in looks {
        if let Some(due) = look.due {
            lane::due_at(tx, site, look.subscription, due).await?;
            if due <= now {
                tx.signal(Signal::Work);
            }
        }
        if look.pauses {
            let sql = "UPDATE subscriptions SET paused_at = $3
                 WHERE site_uuid = $1 AND id = $2 AND paused_at IS NULL";
            tx.run(sql, params![site, look.subscription, At(now)]).await?;
        }
    }
    Ok(())
}

/// What is to be noted of a subscription.
struct Look {
    subscription: SubscriptionId,
    due: Option<Timestamp>,
    pauses: bool,
}

impl Look {
    fn at(subscription: SubscriptionId) -> Self {
        Self { subscription, due: None, pauses: false }
    }
}
