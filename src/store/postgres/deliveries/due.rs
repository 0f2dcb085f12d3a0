//! Leasing what subscriptions have due: rows of the queue, their bodies, and where they go.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::Row;

use crate::model::delivery::{Action, LeaseRequest, Leased};
use crate::model::seal::Sealed;
use crate::model::subscription::DestinationUrl;
use crate::model::{DeliveryId, LeadId, PartnerId, SiteId, SubscriptionId, Timestamp};
use crate::store::Result;
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, at, count, rows};

/// Where to send, and what to sign with; of those that may be served. They are read again: each may have been set or
/// removed since it was seen in line.
pub(in crate::store::postgres) const DESTINATIONS: &str = "SELECT s.id, s.url, s.secret
     FROM unnest($1::UUID[], $2::UUID[]) AS wanted (site_uuid, id)
     JOIN subscriptions s ON s.site_uuid = wanted.site_uuid AND s.id = wanted.id
     WHERE s.paused_at IS NULL AND s.removed_at IS NULL";

/// Leases what is due, of each subscription as much as there is room for. The joins are full ones for the same reason as in
/// `finish`: they are done by hashing.
pub(in crate::store::postgres) const LEASE: &str = "WITH due AS MATERIALIZED (
         SELECT d.seq, d.due_at
         FROM unnest($1::UUID[], $2::UUID[], $3::BIGINT[]) AS wanted (site_uuid, id, room)
         JOIN subscriptions s ON s.site_uuid = wanted.site_uuid AND s.id = wanted.id
         CROSS JOIN LATERAL (
             SELECT seq, due_at FROM deliveries
             WHERE subscription_id = wanted.id AND due_at <= $4
             ORDER BY due_at, seq LIMIT wanted.room FOR UPDATE SKIP LOCKED
         ) d
         WHERE s.paused_at IS NULL AND s.removed_at IS NULL
     ), leased AS (
         UPDATE deliveries SET lease = $5, due_at = $6 WHERE seq = ANY(ARRAY(SELECT seq FROM due)) RETURNING *
     ), bodies AS (
         SELECT delivery_seq AS seq, body FROM delivery_bodies WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM due))
     )
     SELECT leased.id, leased.site_uuid, leased.partner_id, leased.subscription_id, leased.lead_id, leased.action,
            leased.changed_at, leased.attempts, bodies.body
     FROM leased FULL JOIN bodies USING (seq) FULL JOIN due USING (seq)
     ORDER BY due.due_at, due.seq";

/// A subscription that is to be served, and how much it may have.
pub(super) struct Wanted {
    pub(super) site: SiteId,
    pub(super) id: SubscriptionId,
    pub(super) room: usize,
}

/// Where to send what these have. Their sites are shared.
pub(super) async fn destinations(tx: &Tx, wanted: &[Wanted]) -> Result<HashMap<SubscriptionId, Destination>> {
    let (sites, ids) = keys(wanted);
    let read =
        |row: &Row| Ok((row.try_get("id")?, Destination { url: row.try_get("url")?, secret: row.try_get("secret")? }));
    Ok(tx.all(DESTINATIONS, params![sites, ids], read).await?.into_iter().collect())
}

/// Leases what these have due, the longest due first.
pub(super) async fn lease(tx: &Tx, request: &LeaseRequest, wanted: &[Wanted]) -> Result<Vec<Due>> {
    let (sites, ids) = keys(wanted);
    let room: Vec<_> = wanted.iter().map(|wanted| rows(wanted.room)).collect();
    let params = params![sites, ids, room, At(request.now), request.lease, At(request.until)];
    tx.all(LEASE, params, Due::read).await
}

fn keys(wanted: &[Wanted]) -> (Vec<SiteId>, Vec<SubscriptionId>) {
    wanted.iter().map(|wanted| (wanted.site, wanted.id)).unzip()
}

/// Where to send, and what to sign with.
pub(super) struct Destination {
    pub(super) url: DestinationUrl,
    pub(super) secret: Sealed,
}

/// A delivery that has been leased, without what its subscription says.
pub(super) struct Due {
    id: DeliveryId,
    site: SiteId,
    partner: PartnerId,
    pub(super) subscription: SubscriptionId,
    lead: LeadId,
    action: Action,
    changed: Timestamp,
    body: Bytes,
    attempts: u32,
}

impl Due {
    fn read(row: &Row) -> RowResult<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            site: row.try_get("site_uuid")?,
            partner: row.try_get("partner_id")?,
            subscription: row.try_get("subscription_id")?,
            lead: row.try_get("lead_id")?,
            action: row.try_get("action")?,
            changed: at(row, "changed_at")?,
            body: Bytes::from(row.try_get::<_, Vec<u8>>("body")?),
            attempts: count(row, "attempts")?,
        })
    }

    /// With what its subscription says.
    pub(super) fn to(self, destination: &Destination, request: &LeaseRequest) -> Leased {
        Leased {
            id: self.id,
            lease: request.lease,
            until: request.until,
            site: self.site,
            partner: self.partner,
            subscription: self.subscription,
            lead: self.lead,
            action: self.action,
            changed: self.changed,
            body: self.body,
            attempts: self.attempts,
            url: destination.url.clone(),
            secret: destination.secret.clone(),
        }
    }
}
