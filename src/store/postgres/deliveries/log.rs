//! The delivery log: listings, and one delivery with its story.
//!
//! What operators call the log is the queue and the log together. A delivery that waits for a removed subscription is
//! cancelled, also before purge has written that down.

use bytes::Bytes;
use tokio_postgres::Row;

use crate::model::DeliveryId;
use crate::model::delivery::{Delivery, DeliveryDetails, DeliveryFilter, State};
use crate::store::postgres::statements::{Db, RowResult, params};
use crate::store::postgres::values::{at, count, maybe_at, rows};
use crate::store::{Result, story};

/// The columns of a [`Delivery`] that both tables have.
const COLUMNS: &str =
    "d.seq, d.id, d.site_uuid, d.partner_id, d.subscription_id, d.lead_id, d.action, d.changed_at, d.attempts";

/// What a [`Delivery`] in the queue `d` is in effect.
const QUEUED: &str = "CASE WHEN s.removed_at IS NULL THEN 'waiting' ELSE 'cancelled' END AS state,
     CASE WHEN s.removed_at IS NULL THEN greatest(d.due_at, d.leased_until) END AS due_at,
     s.removed_at AS finished_at";

/// What a [`Delivery`] in the log `d` is.
const LOGGED: &str = "d.state, NULL::BIGINT AS due_at, d.finished_at";

/// Looked up row by row, in the queue's own order: a listing stops after some, and a join of all would read the whole backlog.
const QUEUE: &str = "deliveries d
     CROSS JOIN LATERAL (
         SELECT removed_at FROM subscriptions WHERE site_uuid = d.site_uuid AND id = d.subscription_id LIMIT 1
     ) s
     CROSS JOIN LATERAL (SELECT FROM sites WHERE site_uuid = d.site_uuid AND removed_at IS NULL LIMIT 1) t";

/// What waits for removed subscriptions: nothing any more for those that are swept, so there are few. The queue is not looked
/// through for them, however long it is.
const QUEUE_OF_REMOVED: &str = "subscriptions s
     CROSS JOIN LATERAL (
         SELECT * FROM deliveries
         WHERE site_uuid = s.site_uuid AND subscription_id = s.id ORDER BY seq DESC LIMIT $2
     ) d
     JOIN sites t ON t.site_uuid = d.site_uuid AND t.removed_at IS NULL";

const LOG: &str = "delivery_log d JOIN sites t ON t.site_uuid = d.site_uuid AND t.removed_at IS NULL";

/// Deliveries, newest first.
pub(super) async fn list(db: &Db, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    db.all(&listing(filter), params![filter.site, rows(filter.limit)], delivery).await
}

/// The statement for a listing: the newest of the queue and the newest of the log, and of those the newest.
pub(in crate::store::postgres) fn listing(filter: &DeliveryFilter) -> String {
    let site = match filter.site {
        Some(_) => "d.site_uuid = $1",
        None => "$1::UUID IS NULL",
    };
    let newest = |state: &str, from: &str, condition: &str| {
        format!("SELECT {COLUMNS}, {state} FROM {from} WHERE {site} AND {condition} ORDER BY d.seq DESC LIMIT $2")
    };
    let queued = |condition| newest(QUEUED, QUEUE, condition);
    // The rare states have indexes, which need their own words.
    let logged = |condition| newest(LOGGED, LOG, condition);
    let both = |queued: String, logged: String| {
        format!("SELECT * FROM (({queued}) UNION ALL ({logged})) d ORDER BY seq DESC LIMIT $2")
    };
    match filter.state {
        None => both(queued("TRUE"), logged("TRUE")),
        Some(State::Waiting) => queued("s.removed_at IS NULL"),
        Some(State::Delivered) => logged("d.state = 'delivered'"),
        Some(State::Refused) => logged("d.state = 'refused'"),
        Some(State::Failed) => logged("d.state = 'failed'"),
        Some(State::Cancelled) => {
            let queued = newest(QUEUED, QUEUE_OF_REMOVED, "s.removed_at IS NOT NULL AND NOT s.swept");
            both(queued, logged("d.state = 'cancelled'"))
        }
    }
}

/// One delivery with its attempts.
pub(super) async fn details(db: &Db, id: DeliveryId) -> Result<Option<DeliveryDetails>> {
    let queued = format!(
        "SELECT {COLUMNS}, {QUEUED}, b.body, b.story
         FROM {QUEUE} JOIN delivery_bodies b ON b.site_uuid = d.site_uuid AND b.delivery_seq = d.seq WHERE d.id = $1"
    );
    let logged = format!("SELECT {COLUMNS}, {LOGGED}, d.body, d.story FROM {LOG} WHERE d.id = $1");
    let found = match db.one(&queued, params![id], with_story).await? {
        Some(found) => Some(found),
        None => db.one(&logged, params![id], with_story).await?,
    };
    let Some((delivery, body, story)) = found else { return Ok(None) };
    Ok(Some(DeliveryDetails { delivery, body, attempts: story::attempts(&story)? }))
}

fn with_story(row: &Row) -> RowResult<(Delivery, Bytes, String)> {
    let story: Option<String> = row.try_get("story")?;
    Ok((delivery(row)?, Bytes::from(row.try_get::<_, Vec<u8>>("body")?), story.unwrap_or_default()))
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
