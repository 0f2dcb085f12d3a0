//! Sending again what is over, and sooner what was put off.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::lane::{self, Look};
use crate::model::{DeliveryId, LeadId, SiteId, SubscriptionId, Timestamp};
use crate::store::postgres::locks;
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, rows};
use crate::store::{Result, Signal};

/// Finished deliveries in the order of their changes.
const IN_ORDER: &str = "SELECT id FROM delivery_log WHERE id = ANY($1) ORDER BY seq";

const LEADS: &str = "SELECT site_uuid, lead_id FROM delivery_log WHERE id = ANY($1)";

pub(in crate::store::postgres) const FAILED: &str = "SELECT seq, id FROM delivery_log
     WHERE site_uuid = $1 AND state = 'failed' AND seq > $2
     ORDER BY seq LIMIT $3";

/// Moves finished deliveries whose subscription is still there back into the queue, with their stories. Each keeps its
/// `seq`, which is its age, and enters its lane anew: behind what waits there, and before every later change. So a lane has
/// one head at any time, and an old change is never under way beside a newer one.
pub(in crate::store::postgres) const BACK: &str = "WITH back AS (
         DELETE FROM delivery_log d
         WHERE d.id = ANY($1) AND (
             SELECT s.removed_at IS NULL FROM subscriptions s WHERE s.site_uuid = d.site_uuid AND s.id = d.subscription_id
         )
         RETURNING *
     ), placed AS (
         SELECT back.*, last.position AS last, row_number() OVER (PARTITION BY subscription_id, lead_id ORDER BY seq) AS place
         FROM back LEFT JOIN LATERAL (
             SELECT position FROM deliveries
             WHERE subscription_id = back.subscription_id AND lead_id = back.lead_id ORDER BY position DESC LIMIT 1
         ) last ON TRUE
     ), queued AS (
         INSERT INTO deliveries (site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at, position, due_at)
         OVERRIDING SYSTEM VALUE
         SELECT site_uuid, seq, id, subscription_id, partner_id, lead_id, action, changed_at, coalesce(last, -1) + place,
                CASE WHEN last IS NULL AND place = 1 THEN $2::BIGINT END
         FROM placed
         RETURNING seq, id, site_uuid, subscription_id, due_at
     ), bodies AS (
         INSERT INTO delivery_bodies (site_uuid, delivery_seq, body, story) SELECT site_uuid, seq, body, story FROM placed
     )
     SELECT id, site_uuid, subscription_id, due_at IS NOT NULL AS is_due FROM queued ORDER BY seq";

/// The heads of the lanes from a lead on: lanes lie in the order of their leads. Each step of the recursion jumps over what
/// waits behind a head.
pub(in crate::store::postgres) const HEADS: &str = "WITH RECURSIVE heads AS (
         (SELECT seq, lead_id FROM deliveries
          WHERE subscription_id = $1 AND lead_id >= $2 ORDER BY lead_id, position LIMIT 1)
         UNION ALL
         SELECT next.seq, next.lead_id FROM heads CROSS JOIN LATERAL (
             SELECT d.seq, d.lead_id FROM deliveries d
             WHERE d.subscription_id = $1 AND d.lead_id > heads.lead_id
             ORDER BY d.lead_id, d.position LIMIT 1
         ) next
     )
     SELECT seq, lead_id FROM heads LIMIT $3";

/// How many deliveries are replayed in one transaction: each takes its lead, and the server keeps a table of all locks.
pub(super) const STEP: usize = 250;

/// A delivery that waits again.
struct Waiting {
    id: DeliveryId,
    site: SiteId,
    subscription: SubscriptionId,
    /// It is the head of its lane.
    is_due: bool,
}

/// What one step replayed, and behind which delivery the next goes on.
pub(super) struct Step {
    pub(super) replayed: Vec<DeliveryId>,
    pub(super) go_on: Option<i64>,
}

/// Those of these that are over, each once, in the order of their changes.
pub(super) async fn in_order(tx: &Tx, ids: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
    tx.all(IN_ORDER, params![ids], |row| row.try_get("id")).await
}

/// Replays these, in the order of their changes. At most [`STEP`].
pub(super) async fn these(tx: &Tx, ids: &[DeliveryId], now: Timestamp) -> Result<Vec<DeliveryId>> {
    let leads = tx.all(LEADS, params![ids], |row| Ok((row.try_get("site_uuid")?, row.try_get("lead_id")?))).await?;
    locks::take_lanes(tx, &leads).await?;
    let replayed = tx.all(BACK, params![ids, At(now)], waiting).await?;
    let due = replayed.iter().filter(|waiting| waiting.is_due);
    let looks: BTreeMap<_, _> = due.map(|one| (one.subscription, one.site)).collect();
    let looks: Vec<_> = looks.into_iter().map(|(id, site)| Look { due: Some(now), ..Look::of(site, id) }).collect();
    if !looks.is_empty() {
        tx.signal(Signal::Work);
    }
    lane::look_at(tx, &looks).await?;
    Ok(replayed.into_iter().map(|waiting| waiting.id).collect())
}

fn waiting(row: &Row) -> RowResult<Waiting> {
    Ok(Waiting {
        id: row.try_get("id")?,
        site: row.try_get("site_uuid")?,
        subscription: row.try_get("subscription_id")?,
        is_due: row.try_get("is_due")?,
    })
}

/// Replays failed deliveries of a site, from behind `after`.
pub(super) async fn failed_of(tx: &Tx, site: SiteId, after: i64, now: Timestamp) -> Result<Step> {
    let failed: Vec<(i64, DeliveryId)> =
        tx.all(FAILED, params![site, after, rows(STEP)], |row| Ok((row.try_get("seq")?, row.try_get("id")?))).await?;
    let ids: Vec<_> = failed.iter().map(|(_, id)| *id).collect();
    let go_on = if failed.len() < STEP { None } else { failed.last().map(|(seq, _)| *seq) };
    Ok(Step { replayed: these(tx, &ids, now).await?, go_on })
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
    // Without the site: with it, the planner reads all that waits for the site.
    let sql = "UPDATE deliveries SET due_at = $2 WHERE seq = ANY($1) AND lease IS NULL AND due_at > $2";
    if tx.run(sql, params![seqs, At(now)]).await? > 0 {
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
