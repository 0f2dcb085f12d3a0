//! Sending again what is over, and sooner what was put off.

use tokio_postgres::Row;

use super::lane;
use crate::model::{DeliveryId, LeadId, SiteId, SubscriptionId, Timestamp};
use crate::store::postgres::locks;
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, rows};
use crate::store::{Result, Signal};

/// Deliveries in the order of their changes.
const IN_ORDER: &str = "SELECT id FROM deliveries WHERE id = ANY($1) ORDER BY seq";

pub(in crate::store::postgres) const FAILED: &str = "SELECT d.seq, d.id FROM deliveries d
     WHERE d.site_uuid = $1 AND d.state = 'failed' AND d.state IN ('refused', 'failed') AND d.seq > $2
     ORDER BY d.seq LIMIT $3";

/// Finished deliveries that can be replayed: their subscription is still there.
const FINISHED: &str = "SELECT d.seq, d.id, d.site_uuid, d.subscription_id, d.lead_id
     FROM deliveries d JOIN subscriptions s ON s.site_uuid = d.site_uuid AND s.id = d.subscription_id
     WHERE d.id = ANY($1) AND d.state <> 'waiting' AND s.removed_at IS NULL
     ORDER BY d.seq FOR UPDATE OF d";

/// The heads of the lanes from a lead on: lanes lie in the order of their leads. Each step of the recursion jumps over what
/// waits behind a head.
pub(in crate::store::postgres) const HEADS: &str = "WITH RECURSIVE heads AS (
         (SELECT seq, lead_id FROM deliveries
          WHERE subscription_id = $1 AND lead_id >= $2 AND state = 'waiting' ORDER BY lead_id, position LIMIT 1)
         UNION ALL
         SELECT next.seq, next.lead_id FROM heads CROSS JOIN LATERAL (
             SELECT d.seq, d.lead_id FROM deliveries d
             WHERE d.subscription_id = $1 AND d.lead_id > heads.lead_id AND d.state = 'waiting'
             ORDER BY d.lead_id, d.position LIMIT 1
         ) next
     )
     SELECT seq, lead_id FROM heads LIMIT $3";

/// How many deliveries are replayed in one transaction: each takes its lead, and the server keeps a table of all locks.
pub(super) const STEP: usize = 250;

/// A finished delivery.
struct Finished {
    seq: i64,
    id: DeliveryId,
    site: SiteId,
    subscription: SubscriptionId,
    lead: LeadId,
}

/// What one step replayed, and behind which delivery the next goes on.
pub(super) struct Step {
    pub(super) replayed: Vec<DeliveryId>,
    pub(super) go_on: Option<i64>,
}

/// Those of these that there are, each once, in the order of their changes.
pub(super) async fn in_order(tx: &Tx, ids: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
    tx.all(IN_ORDER, params![ids], |row| row.try_get("id")).await
}

/// Replays these, in the order of their changes. At most [`STEP`].
pub(super) async fn these(tx: &Tx, ids: &[DeliveryId], now: Timestamp) -> Result<Vec<DeliveryId>> {
    lane::take(tx, ids).await?;
    let found = tx.all(FINISHED, params![ids], finished).await?;
    for delivery in &found {
        replay(tx, delivery, now).await?;
    }
    Ok(found.into_iter().map(|delivery| delivery.id).collect())
}

/// Replays failed deliveries of a site, from behind `after`.
pub(super) async fn failed_of(tx: &Tx, site: SiteId, after: i64, now: Timestamp) -> Result<Step> {
    let failed: Vec<(i64, DeliveryId)> =
        tx.all(FAILED, params![site, after, rows(STEP)], |row| Ok((row.try_get("seq")?, row.try_get("id")?))).await?;
    let ids: Vec<_> = failed.iter().map(|(_, id)| *id).collect();
    let go_on = if failed.len() < STEP { None } else { failed.last().map(|(seq, _)| *seq) };
    Ok(Step { replayed: these(tx, &ids, now).await?, go_on })
}

/// The delivery keeps its `seq`, which is its age, and enters its lane anew: behind what waits there, and before every
/// later change. So a lane has one head at any time, and an old change is never under way beside a newer one.
async fn replay(tx: &Tx, delivery: &Finished, now: Timestamp) -> Result<()> {
    let place = lane::enter(tx, delivery.site, delivery.subscription, delivery.lead, now).await?;
    tx.run(
        "UPDATE deliveries SET state = 'waiting', position = $3, due_at = $4, attempts = 0, finished_at = NULL
         WHERE site_uuid = $1 AND seq = $2",
        params![delivery.site, delivery.seq, place.position, place.due.map(At)],
    )
    .await?;
    Ok(())
}

fn finished(row: &Row) -> RowResult<Finished> {
    Ok(Finished {
        seq: row.try_get("seq")?,
        id: row.try_get("id")?,
        site: row.try_get("site_uuid")?,
        subscription: row.try_get("subscription_id")?,
        lead: row.try_get("lead_id")?,
    })
}

/// Makes retries due; see [`crate::store::Deliveries::hasten`]. What is under way now is left alone.
pub(super) async fn hasten(
    tx: &Tx,
    subscription: SubscriptionId,
    after: Option<LeadId>,
    now: Timestamp,
    limit: usize,
) -> Result<Option<LeadId>> {
    let sql = "SELECT site_uuid FROM subscriptions WHERE id = $1 AND removed_at IS NULL";
    let Some(site) = tx.one(sql, params![subscription], |row| row.try_get::<_, SiteId>("site_uuid")).await? else {
        return Ok(None);
    };
    locks::share_sites(tx, &[site]).await?;
    let Some(from) = lead_behind(after) else { return Ok(None) };
    let read = |row: &Row| Ok((row.try_get::<_, i64>("seq")?, row.try_get::<_, LeadId>("lead_id")?));
    let heads = tx.all(HEADS, params![subscription, from, rows(limit)], read).await?;
    let seqs: Vec<_> = heads.iter().map(|(seq, _)| *seq).collect();
    let sql = "UPDATE deliveries SET due_at = $3
         WHERE site_uuid = $1 AND seq = ANY($2) AND lease IS NULL AND due_at > $3";
    if tx.run(sql, params![site, seqs, At(now)]).await? > 0 {
        lane::due_at(tx, site, subscription, now).await?;
        tx.signal(Signal::Work);
    }
    Ok(heads.last().filter(|_| heads.len() == limit).map(|(_, lead)| *lead))
}

/// The smallest id that sorts behind `after`; `None` if there is none.
fn lead_behind(after: Option<LeadId>) -> Option<LeadId> {
    let from = match after {
        None => 0,
        Some(lead) => u128::from_be_bytes(*lead.as_bytes()).checked_add(1)?,
    };
    Some(LeadId::from_bytes(from.to_be_bytes()))
}
