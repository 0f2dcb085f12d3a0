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

/// Leases what is due and under no lease, of each subscription as much as there is room for. What is under one lies at the front of
/// the index and is passed over: never more than nodes hold in memory. In turn a lease changes no column that is in an index, and so
/// writes nothing but the row, into its own page. The joins are full ones for the same reason as in `finish`: they are done by hashing.
///
/// Rows that are locked stay where they are: so they are found again by their places, without an index. One that somebody has
/// just written anew was not there when the statement began: it is not leased, and comes with an id that is NULL.
///
/// If the lease of any of it has run out (`ran_out`), nothing is leased: its place is by the end of that lease, and `REVIVE` has to
/// put it there first.
pub(in crate::store::postgres) const LEASE: &str = "WITH due AS MATERIALIZED (
         SELECT d.place, d.seq, d.due_at, d.leased_until IS NOT NULL AS ran_out
         FROM unnest($1::UUID[], $2::UUID[], $3::BIGINT[]) AS wanted (site_uuid, id, room)
         JOIN subscriptions s ON s.site_uuid = wanted.site_uuid AND s.id = wanted.id
         CROSS JOIN LATERAL (
             SELECT ctid AS place, seq, due_at, leased_until FROM deliveries
             WHERE subscription_id = wanted.id AND due_at <= $4 AND coalesce(leased_until, 0) <= $4
             ORDER BY due_at, seq LIMIT wanted.room FOR UPDATE SKIP LOCKED
         ) d
         WHERE s.paused_at IS NULL AND s.removed_at IS NULL
     ), leased AS (
         UPDATE deliveries SET lease = $5, leased_until = $6
         WHERE ctid = ANY(ARRAY(SELECT place FROM due WHERE NOT (SELECT bool_or(ran_out) FROM due))) RETURNING *
     ), bodies AS (
         SELECT delivery_seq AS seq, body FROM delivery_bodies WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM due))
     )
     SELECT leased.id, leased.site_uuid, leased.partner_id, leased.subscription_id, leased.lead_id, leased.action,
            leased.changed_at, leased.attempts, bodies.body, due.seq, due.ran_out
     FROM leased FULL JOIN bodies USING (seq) FULL JOIN due USING (seq)
     ORDER BY due.due_at, due.seq";

/// Makes deliveries whose leases have run out due by the ends of these. They are locked.
pub(in crate::store::postgres) const REVIVE: &str =
    "UPDATE deliveries SET due_at = leased_until, leased_until = NULL WHERE seq = ANY($1)";

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
    loop {
        let found = tx.all(LEASE, params, Found::read).await?;
        let ran_out: Vec<_> = found.iter().filter_map(Found::ran_out).collect();
        if ran_out.is_empty() {
            return Ok(found.into_iter().filter_map(Found::leased).collect());
        }
        tx.run(REVIVE, params![ran_out]).await?;
    }
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

/// What was due.
enum Found {
    Leased(Box<Due>),
    /// It was not leased after all.
    Missed,
    /// The lease of the delivery with this `seq` has run out.
    RanOut(i64),
}

impl Found {
    fn read(row: &Row) -> RowResult<Self> {
        if row.try_get("ran_out")? {
            return Ok(Self::RanOut(row.try_get("seq")?));
        }
        match row.try_get::<_, Option<DeliveryId>>("id")? {
            Some(_) => Ok(Self::Leased(Box::new(Due::read(row)?))),
            None => Ok(Self::Missed),
        }
    }

    fn leased(self) -> Option<Due> {
        match self {
            Self::Leased(due) => Some(*due),
            Self::Missed | Self::RanOut(_) => None,
        }
    }

    fn ran_out(&self) -> Option<i64> {
        match self {
            Self::RanOut(seq) => Some(*seq),
            Self::Missed | Self::Leased(_) => None,
        }
    }
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
