//! Leasing what subscriptions have due: rows of the queue, their bodies, and where they go.

use std::collections::{HashMap, HashSet};

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
/// If all bodies together have more than `$7` bytes, nothing is leased, and no body is read, but only how long each is: then it is
/// worked out for how many there is memory. That happens only where leads are large or memory is scarce, so it may take a second
/// statement; a running sum would cost each lease a third.
///
/// If the lease of any of it has run out (`ran_out`), nothing is leased: its place is by the end of that lease, and `REVIVE` has to
/// put it there first.
pub(in crate::store::postgres) const LEASE: &str = "WITH due AS MATERIALIZED (
         SELECT wanted.id AS subscription_id, d.place, d.seq, d.due_at, d.leased_until IS NOT NULL AS ran_out
         FROM unnest($1::UUID[], $2::UUID[], $3::BIGINT[]) AS wanted (site_uuid, id, room)
         JOIN subscriptions s ON s.site_uuid = wanted.site_uuid AND s.id = wanted.id
         CROSS JOIN LATERAL (
             SELECT ctid AS place, seq, due_at, leased_until FROM deliveries
             WHERE subscription_id = wanted.id AND due_at <= $4 AND coalesce(leased_until, 0) <= $4
             ORDER BY due_at, seq LIMIT wanted.room FOR UPDATE SKIP LOCKED
         ) d
         WHERE s.paused_at IS NULL AND s.removed_at IS NULL
     ), memory AS MATERIALIZED (
         SELECT coalesce(sum(octet_length(body)) <= $7, TRUE) AS suffices
         FROM delivery_bodies WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM due))
     ), leased AS (
         UPDATE deliveries SET lease = $5, leased_until = $6
         WHERE ctid = ANY(ARRAY(
             SELECT place FROM due WHERE NOT (SELECT bool_or(ran_out) FROM due) AND (SELECT suffices FROM memory)
         ))
         RETURNING *
     ), bodies AS (
         SELECT delivery_seq AS seq, body FROM delivery_bodies WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM due))
     )
     SELECT leased.id, leased.site_uuid, leased.partner_id, due.subscription_id, leased.lead_id, leased.action,
            leased.changed_at, leased.attempts, due.seq, due.ran_out, (SELECT suffices FROM memory) AS suffices,
            CASE WHEN leased.id IS NOT NULL THEN bodies.body END AS body,
            CASE WHEN leased.id IS NULL THEN octet_length(bodies.body) END AS bytes
     FROM leased FULL JOIN bodies USING (seq) FULL JOIN due USING (seq)
     ORDER BY due.due_at, due.seq";

/// Makes deliveries whose leases have run out due by the ends of these. They are locked.
pub(in crate::store::postgres) const REVIVE: &str =
    "UPDATE deliveries SET due_at = leased_until, leased_until = NULL WHERE seq = ANY($1)";

/// A subscription that is to be served, and how much it may have.
#[derive(Clone)]
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

/// Leases what these have due, the longest due first. `taken` are the bytes of what was leased before, if anything was.
pub(super) async fn lease(
    tx: &Tx,
    request: &LeaseRequest,
    wanted: &[Wanted],
    taken: Option<usize>,
) -> Result<Leasable> {
    let mut wanted = wanted.to_vec();
    let mut left_out = HashSet::new();
    let mut memory = request.memory.saturating_sub(taken.unwrap_or(0));
    loop {
        let (sites, ids) = keys(&wanted);
        let room: Vec<_> = wanted.iter().map(|wanted| rows(wanted.room)).collect();
        let params = params![sites, ids, room, At(request.now), request.lease, At(request.until), rows(memory)];
        let found = tx.all(LEASE, params, Found::read).await?;
        let ran_out: Vec<_> = found.iter().filter_map(Found::ran_out).collect();
        if !ran_out.is_empty() {
            tx.run(REVIVE, params![ran_out]).await?;
            continue;
        }
        let too_long: Vec<_> = found.iter().filter_map(Found::too_long).collect();
        if too_long.is_empty() {
            let due = found.into_iter().filter_map(Found::leased).collect();
            return Ok(Leasable { due, left_out });
        }
        let fitting = Fitting::of(&too_long, request, taken);
        left_out.extend(too_long[fitting.count..].iter().map(|(id, _)| *id));
        // What is the first of all may be too long for the memory.
        memory = memory.max(fitting.bytes);
        wanted.iter_mut().for_each(|wanted| wanted.room = fitting.room.get(&wanted.id).copied().unwrap_or(0));
        wanted.retain(|wanted| wanted.room > 0);
    }
}

/// The first of what is due, as many as there is memory for.
#[derive(Default)]
struct Fitting {
    count: usize,
    /// Bytes of their bodies.
    bytes: usize,
    /// How many they are of each subscription.
    room: HashMap<SubscriptionId, usize>,
}

impl Fitting {
    fn of(in_order: &[(SubscriptionId, usize)], request: &LeaseRequest, taken: Option<usize>) -> Self {
        let mut fitting = Self::default();
        for (id, bytes) in in_order {
            let before = taken.map(|taken| taken + fitting.bytes).or((fitting.count > 0).then_some(fitting.bytes));
            if !request.fits(before, *bytes) {
                break;
            }
            fitting.count += 1;
            fitting.bytes += bytes;
            *fitting.room.entry(*id).or_default() += 1;
        }
        fitting
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

/// What was leased.
pub(super) struct Leasable {
    pub(super) due: Vec<Due>,
    /// Subscriptions of which something was left, because there was no memory for it.
    pub(super) left_out: HashSet<SubscriptionId>,
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
    pub(super) body: Bytes,
    attempts: u32,
}

/// What was due.
enum Found {
    Leased(Box<Due>),
    /// It was not leased after all.
    Missed,
    /// It was not leased, since all of them together are too long: whose it is, and how many bytes its body has.
    TooLong(SubscriptionId, usize),
    /// The lease of the delivery with this `seq` has run out.
    RanOut(i64),
}

impl Found {
    fn read(row: &Row) -> RowResult<Self> {
        if row.try_get("ran_out")? {
            return Ok(Self::RanOut(row.try_get("seq")?));
        }
        if !row.try_get("suffices")? {
            let bytes: Option<i32> = row.try_get("bytes")?;
            let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
            return Ok(Self::TooLong(row.try_get("subscription_id")?, bytes));
        }
        match row.try_get::<_, Option<DeliveryId>>("id")? {
            Some(_) => Ok(Self::Leased(Box::new(Due::read(row)?))),
            None => Ok(Self::Missed),
        }
    }

    fn leased(self) -> Option<Due> {
        match self {
            Self::Leased(due) => Some(*due),
            Self::Missed | Self::TooLong(..) | Self::RanOut(_) => None,
        }
    }

    fn ran_out(&self) -> Option<i64> {
        match self {
            Self::RanOut(seq) => Some(*seq),
            Self::Missed | Self::TooLong(..) | Self::Leased(_) => None,
        }
    }

    fn too_long(&self) -> Option<(SubscriptionId, usize)> {
        match self {
            Self::TooLong(id, bytes) => Some((*id, *bytes)),
            Self::Missed | Self::RanOut(_) | Self::Leased(_) => None,
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
