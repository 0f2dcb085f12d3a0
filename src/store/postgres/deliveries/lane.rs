//! Lanes: the deliveries of one lead to one subscription, one at a time and in order.
//!
//! The head of a lane has a due time, the others have none; so an index of due times finds what can be sent, however
//! much waits behind. A subscription's `next_due_at` does the same one floor up: it says when to look into that index. It is
//! never later than the first due time. So whoever makes something due shares the site, and brings `next_due_at` forward
//! if need be; only who has the site alone may put it off (see `locks`).

use tokio_postgres::Row;

use crate::model::{DeliveryId, LeadId, SiteId, SubscriptionId, Timestamp};
use crate::store::postgres::locks;
use crate::store::postgres::statements::params;
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, rows};
use crate::store::{Result, Signal};

pub(in crate::store::postgres) const LAST: &str = "SELECT position FROM deliveries
     WHERE subscription_id = $1 AND lead_id = $2 AND state = 'waiting' ORDER BY position DESC LIMIT 1";

/// The first of each of these lanes becomes due.
const ADVANCE: &str = "UPDATE deliveries d SET due_at = $3
     FROM unnest($1::UUID[], $2::UUID[]) AS lane (subscription_id, lead_id)
     CROSS JOIN LATERAL (
         SELECT first.site_uuid, first.seq FROM deliveries first
         WHERE first.subscription_id = lane.subscription_id AND first.lead_id = lane.lead_id
           AND first.state = 'waiting'
         ORDER BY first.position LIMIT 1
     ) first
     WHERE d.site_uuid = first.site_uuid AND d.seq = first.seq
     RETURNING d.subscription_id";

const CANCEL: &str = "UPDATE deliveries
     SET state = 'cancelled', finished_at = $2, due_at = NULL, lease = NULL
     WHERE (site_uuid, seq) IN (
         SELECT site_uuid, seq FROM deliveries
         WHERE subscription_id = $1 AND state = 'waiting' AND (lease IS NULL OR due_at <= $3) LIMIT $4 FOR UPDATE
     )";

/// Takes the lanes of these deliveries: nobody else adds to them or takes from them until this transaction ends.
pub(super) async fn take(tx: &Tx, deliveries: &[DeliveryId]) -> Result<()> {
    let sql = "SELECT site_uuid, lead_id FROM deliveries WHERE id = ANY($1)";
    let read = |row: &Row| Ok((row.try_get("site_uuid")?, row.try_get("lead_id")?));
    let leads: Vec<(SiteId, LeadId)> = tx.all(sql, params![deliveries], read).await?;
    let sites: Vec<_> = leads.iter().map(|(site, _)| *site).collect();
    locks::share_sites(tx, &sites).await?;
    locks::take_leads(tx, &leads).await
}

/// Where a delivery that enters a lane stands.
pub(super) struct Place {
    /// Behind everything that waits there.
    pub(super) position: i64,
    /// Now, if it is the head.
    pub(super) due: Option<Timestamp>,
}

impl Place {
    /// The place of a delivery that enters a lane at `now`, behind the one with the position `last`.
    pub(super) fn behind(last: Option<i64>, now: Timestamp) -> Self {
        match last {
            Some(last) => Self { position: last + 1, due: None },
            None => Self { position: 0, due: Some(now) },
        }
    }
}

/// The place of a delivery that enters a lane at `now`. If it is the head, its subscription is woken.
pub(super) async fn enter(
    tx: &Tx,
    site: SiteId,
    subscription: SubscriptionId,
    lead: LeadId,
    now: Timestamp,
) -> Result<Place> {
    let last: Option<i64> = tx.one(LAST, params![subscription, lead], |row| row.try_get("position")).await?;
    let place = Place::behind(last, now);
    if place.due.is_some() {
        due_at(tx, site, subscription, now).await?;
        tx.signal(Signal::Work);
    }
    Ok(place)
}

/// Makes the first of what waits in each of these lanes due, after their heads have gone. Returns the subscriptions of
/// which something is due now.
pub(super) async fn advance(
    tx: &Tx,
    lanes: &[(SubscriptionId, LeadId)],
    now: Timestamp,
) -> Result<Vec<SubscriptionId>> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let (subscriptions, leads): (Vec<_>, Vec<_>) = lanes.iter().copied().unzip();
    tx.all(ADVANCE, params![subscriptions, leads, At(now)], |row| row.try_get("subscription_id")).await
}

/// Notes that something of the subscription falls due at `at`. Writes nothing when it would be looked at by then anyway.
pub(super) async fn due_at(tx: &Tx, site: SiteId, subscription: SubscriptionId, at: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE subscriptions SET next_due_at = $3
         WHERE site_uuid = $1 AND id = $2 AND (next_due_at IS NULL OR next_due_at > $3)",
        params![site, subscription, At(at)],
    )
    .await?;
    Ok(())
}

/// Cancels, as of `removed`, at most `limit` of what waits for a removed subscription. What is under a lease at `now` is
/// left to its holder: it may have been delivered already. Returns how many.
pub(in crate::store::postgres) async fn cancel_waiting(
    tx: &Tx,
    subscription: SubscriptionId,
    removed: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<usize> {
    tx.run(CANCEL, params![subscription, At(removed), At(now), rows(limit)]).await
}
