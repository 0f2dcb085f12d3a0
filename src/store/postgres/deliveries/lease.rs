//! Leasing: which due deliveries a driver gets.
//!
//! Subscriptions stand in line by `next_due_at`. Each that is served gets no more than it has room for and goes to the
//! end of the line; so a long backlog takes its turns like everybody else. Two indexes lead straight to what is due:
//! what waits behind a lane's head, or for a subscription that has nothing due, is never looked at.
//!
//! Several nodes lease at once: each skips what another has in its hands. A subscription that others add to meanwhile
//! stays in line, to be looked at once more.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::Row;

use crate::model::delivery::{LeaseBatch, LeaseRequest, Leased};
use crate::model::{SiteId, SubscriptionId, Timestamp};
use crate::store::Result;
use crate::store::postgres::locks;
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, at, count, rows};

/// Subscriptions in line, from a place on: those that are paused or removed, or have nothing to send, do not stand there.
pub(in crate::store::postgres) const IN_LINE: &str = "SELECT seq, site_uuid, id, next_due_at
     FROM subscriptions
     WHERE next_due_at <= $1 AND (next_due_at, seq) > ($2, $3) AND paused_at IS NULL AND removed_at IS NULL
     ORDER BY next_due_at, seq LIMIT $4";

/// Leases what is due. The subscription is read again: it may have been set or removed since it was seen in line.
pub(in crate::store::postgres) const LEASE: &str = "WITH due AS (
         SELECT d.site_uuid, d.seq, d.due_at FROM deliveries d
         WHERE d.subscription_id = $2 AND d.due_at <= $3 AND EXISTS (
             SELECT 1 FROM subscriptions s
             WHERE s.site_uuid = $1 AND s.id = $2 AND s.paused_at IS NULL AND s.removed_at IS NULL
         )
         ORDER BY d.due_at, d.seq LIMIT $4 FOR UPDATE OF d SKIP LOCKED
     )
     UPDATE deliveries d SET lease = $5, due_at = $6
     FROM due
     JOIN delivery_bodies b ON b.site_uuid = due.site_uuid AND b.delivery_seq = due.seq
     CROSS JOIN (SELECT url, secret FROM subscriptions WHERE site_uuid = $1 AND id = $2) s
     WHERE d.site_uuid = due.site_uuid AND d.seq = due.seq
     RETURNING d.*, due.due_at AS was_due_at, b.body, s.url, s.secret";

/// Puts those that were served where they now belong in the line: at its end, or (`free`) where their first due time is.
/// Those that somebody is just bringing forward stay where they are.
pub(in crate::store::postgres) const STAND: &str = "UPDATE subscriptions s
     SET next_due_at = CASE WHEN served.free
         THEN (SELECT greatest(d.due_at, $3) FROM deliveries d
               WHERE d.subscription_id = s.id AND d.due_at IS NOT NULL ORDER BY d.due_at LIMIT 1)
         ELSE $3 END
     FROM (
         SELECT t.site_uuid, t.id, r.free
         FROM unnest($1::UUID[], $2::BOOLEAN[]) AS r (id, free) JOIN subscriptions t ON t.id = r.id
         WHERE t.next_due_at <= $3 FOR UPDATE OF t SKIP LOCKED
     ) served
     WHERE s.site_uuid = served.site_uuid AND s.id = served.id";

pub(in crate::store::postgres) const NEXT_IN_LINE: &str = "SELECT id, next_due_at FROM subscriptions
     WHERE next_due_at > $1 AND paused_at IS NULL AND removed_at IS NULL ORDER BY next_due_at LIMIT $2";

/// How many subscriptions are looked at in one step.
const STEP: usize = 64;

/// A subscription in line.
struct Receiver {
    seq: i64,
    site: SiteId,
    id: SubscriptionId,
    next_due: Timestamp,
}

/// Leases what is due, as the request says.
pub(super) async fn lease_due(tx: &Tx, request: &LeaseRequest) -> Result<LeaseBatch> {
    let mut leasing = Leasing { tx, request, room: request.busy.clone(), served: Vec::new(), taken: Vec::new() };
    leasing.walk_the_line().await?;
    leasing.stand_in_line().await?;
    // Nobody is passed over: a subscription without room here keeps its place in the line, since another node may have room.
    Ok(LeaseBatch { next_due: leasing.next_due().await?, deliveries: leasing.taken, passed_over: Vec::new() })
}

struct Leasing<'a> {
    tx: &'a Tx,
    request: &'a LeaseRequest,
    /// What is left of each subscription's room, where that is less than `per_subscription`.
    room: HashMap<SubscriptionId, usize>,
    served: Vec<(SiteId, SubscriptionId)>,
    taken: Vec<Leased>,
}

impl Leasing<'_> {
    async fn walk_the_line(&mut self) -> Result<()> {
        let mut place = (Timestamp::MIN, 0_i64);
        while self.taken.len() < self.request.limit {
            let params = params![At(self.request.now), At(place.0), place.1, rows(STEP)];
            let in_line = self.tx.all(IN_LINE, params, receiver).await?;
            // From here on, none of them is set or removed.
            let with_room = in_line.iter().filter(|receiver| self.room_of(receiver.id) > 0);
            let sites: Vec<_> = with_room.map(|receiver| receiver.site).collect();
            locks::share_sites(self.tx, &sites).await?;
            for receiver in &in_line {
                self.serve(receiver).await?;
                place = (receiver.next_due, receiver.seq);
            }
            if in_line.len() < STEP {
                break;
            }
        }
        Ok(())
    }

    fn room_of(&self, subscription: SubscriptionId) -> usize {
        self.room.get(&subscription).copied().unwrap_or(self.request.per_subscription)
    }

    /// Leases what a subscription has due, as far as there is room.
    async fn serve(&mut self, receiver: &Receiver) -> Result<()> {
        let request = self.request;
        let room = self.room_of(receiver.id);
        let wanted = room.min(request.limit - self.taken.len());
        if wanted == 0 {
            return Ok(());
        }
        let (now, until) = (At(request.now), At(request.until));
        let params = params![receiver.site, receiver.id, now, rows(wanted), request.lease, until];
        let read = |row: &Row| Ok((at(row, "was_due_at")?, row.try_get::<_, i64>("seq")?, leased(row, request)?));
        let mut due = self.tx.all(LEASE, params, read).await?;
        due.sort_by_key(|(due, seq, _)| (*due, *seq));
        self.room.insert(receiver.id, room - due.len());
        self.served.push((receiver.site, receiver.id));
        self.taken.extend(due.into_iter().map(|(_, _, leased)| leased));
        Ok(())
    }

    /// Puts those that were served where they now belong in the line. It never waits, since it may hold what others need.
    async fn stand_in_line(&self) -> Result<()> {
        if self.served.is_empty() {
            return Ok(());
        }
        let sites: Vec<_> = self.served.iter().map(|(site, _)| *site).collect();
        let free_keys = locks::try_sites(self.tx, &sites).await?;
        let free: Vec<bool> = sites.iter().map(|site| free_keys.contains(&locks::of_site(*site))).collect();
        let ids: Vec<_> = self.served.iter().map(|(_, id)| *id).collect();
        self.tx.run(STAND, params![ids, free, At(self.request.now)]).await?;
        Ok(())
    }

    /// When the next of those that have room falls due. Those without are the holder's own: it asks again when it has
    /// room.
    async fn next_due(&self) -> Result<Option<Timestamp>> {
        let full = |id: &SubscriptionId| self.request.busy.get(id) == Some(&0);
        let looked_at = rows(self.request.busy.len().saturating_add(1));
        let read = |row: &Row| Ok((row.try_get::<_, SubscriptionId>("id")?, at(row, "next_due_at")?));
        let later = self.tx.all(NEXT_IN_LINE, params![At(self.request.now), looked_at], read).await?;
        Ok(later.into_iter().find(|(id, _)| !full(id)).map(|(_, due)| due))
    }
}

fn receiver(row: &Row) -> RowResult<Receiver> {
    Ok(Receiver {
        seq: row.try_get("seq")?,
        site: row.try_get("site_uuid")?,
        id: row.try_get("id")?,
        next_due: at(row, "next_due_at")?,
    })
}

fn leased(row: &Row, request: &LeaseRequest) -> RowResult<Leased> {
    Ok(Leased {
        id: row.try_get("id")?,
        lease: request.lease,
        until: request.until,
        site: row.try_get("site_uuid")?,
        partner: row.try_get("partner_id")?,
        subscription: row.try_get("subscription_id")?,
        lead: row.try_get("lead_id")?,
        action: row.try_get("action")?,
        changed: at(row, "changed_at")?,
        body: Bytes::from(row.try_get::<_, Vec<u8>>("body")?),
        attempts: count(row, "attempts")?,
        url: row.try_get("url")?,
        secret: row.try_get("secret")?,
    })
}
