//! Sending again what is over, and sooner what was put off.

use rusqlite::{Row, params};

use super::lane;
use crate::model::{DeliveryId, LeadId, SiteId, SubscriptionId, Timestamp};
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, rows};
use crate::store::sqlite::writer::Tx;
use crate::store::{Result, Signal};

/// A finished delivery that can be replayed: its subscription is still there.
const FINISHED: &str = "SELECT d.seq, d.id, d.subscription_id, d.lead_id
     FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id
     WHERE d.id = ?1 AND d.state <> 'waiting' AND s.removed_at IS NULL";

/// It says `failed` twice, because SQLite takes the index of the rare states only for the index's own words.
pub(in crate::store::sqlite) const FAILED: &str = "SELECT d.seq, d.id, d.subscription_id, d.lead_id
     FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id
     WHERE d.site_uuid = ?1 AND d.state = 'failed' AND d.state IN ('refused', 'failed') AND d.seq > ?2
       AND s.removed_at IS NULL
     ORDER BY d.seq LIMIT ?3";

/// The head of the lane that follows a lead's: lanes lie in the order of their leads.
pub(in crate::store::sqlite) const NEXT_LANE: &str = "SELECT seq, lead_id FROM deliveries
     WHERE subscription_id = ?1 AND lead_id > ?2 AND state = 'waiting' ORDER BY lead_id, position LIMIT 1";

/// How many deliveries are replayed in one transaction.
const STEP: usize = 1000;

/// A finished delivery.
struct Finished {
    seq: i64,
    id: DeliveryId,
    subscription: SubscriptionId,
    lead: LeadId,
}

/// What one step replayed, and behind which delivery the next goes on.
pub(super) struct Step {
    pub(super) replayed: Vec<DeliveryId>,
    pub(super) go_on: Option<i64>,
}

/// Replays these, in the order of their changes.
pub(super) fn these(tx: &Tx, ids: &[DeliveryId], now: Timestamp) -> Result<Vec<DeliveryId>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(tx.one(FINISHED, [id], finished)?);
    }
    found.sort_by_key(|delivery| delivery.seq);
    found.dedup_by_key(|delivery| delivery.seq);
    for delivery in &found {
        replay(tx, delivery, now)?;
    }
    Ok(found.into_iter().map(|delivery| delivery.id).collect())
}

/// Replays failed deliveries of a site, from behind `after`.
pub(super) fn failed_of(tx: &Tx, site: SiteId, after: i64, now: Timestamp) -> Result<Step> {
    let failed = tx.all(FAILED, params![site, after, rows(STEP)], finished)?;
    for delivery in &failed {
        replay(tx, delivery, now)?;
    }
    let go_on = if failed.len() < STEP { None } else { failed.last().map(|last| last.seq) };
    Ok(Step { replayed: failed.into_iter().map(|delivery| delivery.id).collect(), go_on })
}

/// The delivery keeps its `seq`, which is its age, and enters its lane anew: behind what waits there, and before every
/// later change. So a lane has one head at any time, and an old change is never under way beside a newer one.
fn replay(tx: &Tx, delivery: &Finished, now: Timestamp) -> Result<()> {
    let place = lane::enter(tx, delivery.subscription, delivery.lead, now)?;
    tx.run(
        "UPDATE deliveries SET state = 'waiting', position = ?2, due_at = ?3, attempts = 0, finished_at = NULL
         WHERE seq = ?1",
        params![delivery.seq, place.position, place.due.map(At)],
    )?;
    if let Some(due) = place.due {
        lane::due_at(tx, delivery.subscription, due)?;
        tx.signal(Signal::Work);
    }
    Ok(())
}

fn finished(row: &Row) -> rusqlite::Result<Finished> {
    Ok(Finished {
        seq: row.get("seq")?,
        id: row.get("id")?,
        subscription: row.get("subscription_id")?,
        lead: row.get("lead_id")?,
    })
}

/// Makes retries due; see [`crate::store::Deliveries::hasten`]. What is under way now is left alone.
pub(super) fn hasten(
    tx: &Tx,
    subscription: SubscriptionId,
    after: Option<LeadId>,
    now: Timestamp,
    limit: usize,
) -> Result<Option<LeadId>> {
    if !tx.any("SELECT 1 FROM subscriptions WHERE id = ?1 AND removed_at IS NULL", [subscription])? {
        return Ok(None);
    }
    // The empty blob sorts before every id.
    let mut behind: Vec<u8> = after.map(|lead| lead.as_bytes().to_vec()).unwrap_or_default();
    let mut last = after;
    for _ in 0..limit {
        let head: Option<(i64, LeadId)> =
            tx.one(NEXT_LANE, params![subscription, behind], |row| Ok((row.get("seq")?, row.get("lead_id")?)))?;
        let Some((seq, lead)) = head else { return Ok(None) };
        let sql = "UPDATE deliveries SET due_at = ?2 WHERE seq = ?1 AND lease IS NULL AND due_at > ?2";
        if tx.run(sql, params![seq, At(now)])? > 0 {
            lane::due_at(tx, subscription, now)?;
            tx.signal(Signal::Work);
        }
        behind = lead.as_bytes().to_vec();
        last = Some(lead);
    }
    Ok(last)
}
