//! The delivery log: listings, and one delivery with its story.
//!
//! A delivery that waits for a removed subscription is cancelled, also before purge has written that down.

use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::Row;

use crate::model::DeliveryId;
use crate::model::delivery::{Attempt, Delivery, DeliveryDetails, DeliveryFilter, State};
use crate::store::Result;
use crate::store::postgres::statements::{Db, RowResult, params};
use crate::store::postgres::values::{at, count, maybe_at, rows};

/// The columns of a [`Delivery`] as they are in effect, of `deliveries d`, `subscriptions s` and `sites t`.
const SELECT: &str =
    "SELECT d.seq, d.id, d.site_uuid, d.partner_id, d.subscription_id, d.lead_id, d.action, d.changed_at,
            d.attempts,
            CASE WHEN d.state = 'waiting' AND s.removed_at IS NOT NULL THEN 'cancelled' ELSE d.state END AS state,
            CASE WHEN s.removed_at IS NULL THEN d.due_at END AS due_at,
            CASE WHEN d.state = 'waiting' THEN s.removed_at ELSE d.finished_at END AS finished_at
     FROM deliveries d
     JOIN subscriptions s ON s.site_uuid = d.site_uuid AND s.id = d.subscription_id
     JOIN sites t ON t.site_uuid = d.site_uuid AND t.removed_at IS NULL";

/// Deliveries, newest first.
pub(super) async fn list(db: &Db, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    db.all(&listing(filter), params![filter.site, rows(filter.limit)], delivery).await
}

/// The statement for a listing. The two rare states have an index, which needs its own words.
pub(in crate::store::postgres) fn listing(filter: &DeliveryFilter) -> String {
    let site = match filter.site {
        Some(_) => "d.site_uuid = $1",
        None => "$1::UUID IS NULL",
    };
    let state = match filter.state {
        None => "TRUE",
        Some(State::Waiting) => "d.state = 'waiting' AND s.removed_at IS NULL",
        Some(State::Delivered) => "d.state = 'delivered'",
        Some(State::Refused) => "d.state = 'refused' AND d.state IN ('refused', 'failed')",
        Some(State::Failed) => "d.state = 'failed' AND d.state IN ('refused', 'failed')",
        Some(State::Cancelled) => "(d.state = 'cancelled' OR (d.state = 'waiting' AND s.removed_at IS NOT NULL))",
    };
    format!("{SELECT} WHERE {site} AND {state} ORDER BY d.seq DESC LIMIT $2")
}

/// One delivery with its attempts.
pub(super) async fn details(db: &Db, id: DeliveryId) -> Result<Option<DeliveryDetails>> {
    let sql = format!("{SELECT} WHERE d.id = $1");
    let found = db.one(&sql, params![id], |row| Ok((row.try_get::<_, i64>("seq")?, delivery(row)?))).await?;
    let Some((seq, delivery)) = found else { return Ok(None) };
    let sql = "SELECT body FROM delivery_bodies WHERE site_uuid = $1 AND delivery_seq = $2";
    let body = db.one(sql, params![delivery.site, seq], |row| row.try_get::<_, Vec<u8>>("body")).await?;
    let sql = "SELECT * FROM attempts WHERE site_uuid = $1 AND delivery_seq = $2 ORDER BY number";
    let attempts = db.all(sql, params![delivery.site, seq], attempt).await?;
    Ok(Some(DeliveryDetails { delivery, body: Bytes::from(body.unwrap_or_default()), attempts }))
}

fn delivery(row: &Row) -> RowResult<Delivery> {
    Ok(Delivery {
        id: row.try_get("id")?,
        site: row.try_get("site_uuid")?,
        partner: row.try_get("partner_id")?,
        subscription: row.try_get("subscription_id")?,
        lead: row.try_get("lead_id")?,
        action: row.try_get("action")?,
        changed: at(row, "changed_at")?,
        state: row.try_get("state")?,
        attempts: count(row, "attempts")?,
        due: maybe_at(row, "due_at")?,
        finished: maybe_at(row, "finished_at")?,
    })
}

fn attempt(row: &Row) -> RowResult<Attempt> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Attempt {
        started: at(row, "started_at")?,
        duration: Duration::from_micros(count(row, "duration_us")?),
        status: row.try_get::<_, Option<i32>>("status")?.and_then(|status| u16::try_from(status).ok()),
        error: row.try_get::<_, Option<Vec<u8>>>("error")?.map(text),
        response: text(row.try_get("response")?),
    })
}
