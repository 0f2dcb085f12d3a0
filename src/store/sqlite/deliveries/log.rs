//! The delivery log: listings, and one delivery with its story.
//!
//! A delivery that waits for a removed subscription is cancelled, also before purge has written that down.

use bytes::Bytes;
use rusqlite::types::ToSql;
use rusqlite::{Connection, Row};

use crate::model::DeliveryId;
use crate::model::delivery::{Delivery, DeliveryDetails, DeliveryFilter, State};
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{at, maybe_at, rows};
use crate::store::{Result, story};

/// The columns of a [`Delivery`] as they are in effect, of `deliveries d`, `subscriptions s` and `sites t`.
const SELECT: &str =
    "SELECT d.seq, d.id, d.site_uuid, d.partner_id, d.subscription_id, d.lead_id, d.action, d.changed_at,
            d.attempts, d.story,
            iif(d.state = 'waiting' AND s.removed_at IS NOT NULL, 'cancelled', d.state) AS state,
            iif(s.removed_at IS NULL, d.due_at, NULL) AS due_at,
            iif(d.state = 'waiting', s.removed_at, d.finished_at) AS finished_at
     FROM deliveries d
     JOIN subscriptions s ON s.id = d.subscription_id
     JOIN sites t ON t.site_uuid = d.site_uuid AND t.removed_at IS NULL";

/// Deliveries, newest first.
pub(super) fn list(db: &Connection, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    let sql = listing(filter);
    let limit = rows(filter.limit);
    let listed = match &filter.site {
        Some(site) => db.all(&sql, [site as &dyn ToSql, &limit], delivery),
        None => db.all(&sql, [&None::<i64> as &dyn ToSql, &limit], delivery),
    };
    Ok(listed?)
}

/// The statement for a listing. The two rare states have an index, which SQLite takes only for its own words.
pub(in crate::store::sqlite) fn listing(filter: &DeliveryFilter) -> String {
    let site = match filter.site {
        Some(_) => "d.site_uuid = ?1",
        None => "?1 IS NULL",
    };
    let state = match filter.state {
        None => "TRUE",
        Some(State::Waiting) => "d.state = 'waiting' AND s.removed_at IS NULL",
        Some(State::Delivered) => "d.state = 'delivered'",
        Some(State::Refused) => "d.state = 'refused' AND d.state IN ('refused', 'failed')",
        Some(State::Failed) => "d.state = 'failed' AND d.state IN ('refused', 'failed')",
        Some(State::Cancelled) => "(d.state = 'cancelled' OR (d.state = 'waiting' AND s.removed_at IS NOT NULL))",
    };
    format!("{SELECT} WHERE {site} AND {state} ORDER BY d.seq DESC LIMIT ?2")
}

/// One delivery with its attempts.
pub(super) fn details(db: &Connection, id: DeliveryId) -> Result<Option<DeliveryDetails>> {
    // One transaction, so that delivery and body are of the same moment.
    let snapshot = db.unchecked_transaction()?;
    let sql = format!("{SELECT} WHERE d.id = ?1");
    let found = snapshot.one(&sql, [id], |row| {
        Ok((row.get::<_, i64>("seq")?, delivery(row)?, row.get::<_, Option<String>>("story")?))
    })?;
    let Some((seq, delivery, story)) = found else { return Ok(None) };
    let sql = "SELECT body FROM delivery_bodies WHERE delivery_seq = ?1";
    let body = snapshot.one(sql, [seq], |row| row.get::<_, Vec<u8>>("body"))?.unwrap_or_default();
    let attempts = story::attempts(&story.unwrap_or_default())?;
    Ok(Some(DeliveryDetails { delivery, body: Bytes::from(body), attempts }))
}

fn delivery(row: &Row) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row.get("id")?,
        site: row.get("site_uuid")?,
        partner: row.get("partner_id")?,
        subscription: row.get("subscription_id")?,
        lead: row.get("lead_id")?,
        action: row.get("action")?,
        changed: at(row, "changed_at")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        due: maybe_at(row, "due_at")?,
        finished: maybe_at(row, "finished_at")?,
    })
}
