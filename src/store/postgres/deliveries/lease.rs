//! Leasing: which due deliveries a driver gets.
//!
//! Subscriptions stand in line by `next_due_at`. Each that is served gets no more than it has room for and goes to the
//! end of the line; so a long backlog takes its turns like everybody else. Two indexes lead straight to what is due:
//! what waits behind a lane's head, or for a subscription that has nothing due, is never looked at.
//!
//! Several nodes lease at once: each skips what another has in its hands. A subscription that others add to meanwhile
//! stays in line, to be looked at once more.

use std::collections::HashMap;

use tokio::join;
use tokio_postgres::Row;

use super::due::{self, DESTINATIONS, LEASE, Wanted};
use crate::model::delivery::{LeaseBatch, LeaseRequest, Leased};
use crate::model::{SiteId, SubscriptionId, Timestamp};
use crate::store::postgres::locks::{self, Patience};
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::{Durability, Tx};
use crate::store::postgres::values::{At, at, rows};
use crate::store::{Result, StoreError};

/// Subscriptions in line, from a place on: those that are paused or removed, or have nothing to send, do not stand there.
pub(in crate::store::postgres) const IN_LINE: &str = "SELECT seq, site_uuid, id, next_due_at
     FROM subscriptions
     WHERE next_due_at <= $1 AND (next_due_at, seq) > ($2, $3) AND paused_at IS NULL AND removed_at IS NULL
     ORDER BY next_due_at, seq LIMIT $4";

/// Puts those that were served where they now belong in the line: at its end, if more is due; or (`free`) where their first due
/// time is, or the end of the first lease. Those that somebody is just bringing forward stay where they are.
pub(in crate::store::postgres) const STAND: &str = "UPDATE subscriptions s
     SET next_due_at = CASE WHEN served.free AND (
             SELECT TRUE FROM deliveries d
             WHERE d.subscription_id = s.id AND d.due_at <= $3 AND coalesce(d.leased_until, 0) <= $3 ORDER BY d.due_at LIMIT 1
         ) IS NULL
         THEN least(
             (SELECT min(d.leased_until) FROM deliveries d WHERE d.subscription_id = s.id AND d.due_at <= $3),
             (SELECT d.due_at FROM deliveries d WHERE d.subscription_id = s.id AND d.due_at > $3 ORDER BY d.due_at LIMIT 1)
         )
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
    let next_due = leasing.stand_in_line().await?;
    // Nobody is passed over: a subscription without room here keeps its place in the line, since another node may have room.
    Ok(LeaseBatch { next_due, deliveries: leasing.taken, passed_over: Vec::new() })
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
    /// Begins, and serves those in line until nothing is left of the limit, or of the line.
    async fn walk_the_line(&mut self) -> Result<()> {
        self.tx.make_ready(&[IN_LINE]).await?;
        let (open, first) = join!(biased; self.tx.open(Durability::Relaxed), self.in_line_behind((Timestamp::MIN, 0)));
        open?;
        let mut in_line = first?;
        while self.taken.len() < self.request.limit {
            let (wanted, last) = self.wanted(&in_line);
            self.serve(&wanted).await?;
            let Some(last) = last else { break };
            in_line = self.in_line_behind((last.next_due, last.seq)).await?;
        }
        Ok(())
    }

    async fn in_line_behind(&self, (next_due, seq): (Timestamp, i64)) -> Result<Vec<Receiver>> {
        let params = params![At(self.request.now), At(next_due), seq, rows(STEP)];
        self.tx.all(IN_LINE, params, receiver).await
    }

    /// Those of the line that have room, as far as the request's limit goes if each has enough due; and where to go on
    /// behind, unless this was the end. Who would get less than there is room for is not among them unless it is the first: those in
    /// front may have less due, and leave it more.
    fn wanted<'l>(&self, in_line: &'l [Receiver]) -> (Vec<Wanted>, Option<&'l Receiver>) {
        let mut left = self.request.limit - self.taken.len();
        let (mut wanted, mut last) = (Vec::new(), None);
        for receiver in in_line {
            let room = self.room_of(receiver.id);
            if room > left && !wanted.is_empty() {
                return (wanted, last);
            }
            let room = room.min(left);
            if room > 0 {
                left -= room;
                wanted.push(Wanted { site: receiver.site, id: receiver.id, room });
            }
            last = Some(receiver);
            if left == 0 {
                return (wanted, last);
            }
        }
        (wanted, last.filter(|_| in_line.len() == STEP))
    }

    fn room_of(&self, subscription: SubscriptionId) -> usize {
        self.room.get(&subscription).copied().unwrap_or(self.request.per_subscription)
    }

    /// Leases what these have due. From here on, none of them is set or removed.
    async fn serve(&mut self, wanted: &[Wanted]) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let (tx, request) = (self.tx, self.request);
        let sites: Vec<_> = wanted.iter().map(|wanted| wanted.site).collect();
        tx.make_ready(&[locks::take_all_statement(Patience::Enough), DESTINATIONS, LEASE]).await?;
        let (shared, destinations, due) = join!(
            biased;
            locks::share_sites(tx, &sites),
            due::destinations(tx, wanted),
            due::lease(tx, request, wanted),
        );
        shared?;
        let destinations = destinations?;
        for due in due? {
            let to = destinations.get(&due.subscription).ok_or_else(|| StoreError::Corrupt("no destination".into()))?;
            let room = self.room.entry(due.subscription).or_insert(request.per_subscription);
            *room = room.saturating_sub(1);
            self.taken.push(due.to(to, request));
        }
        self.served.extend(wanted.iter().map(|wanted| (wanted.site, wanted.id)));
        Ok(())
    }

    /// Puts those that were served where they now belong in the line, and commits. It never waits, since it may hold what
    /// others need. Returns when the next falls due.
    async fn stand_in_line(&self) -> Result<Option<Timestamp>> {
        if self.served.is_empty() {
            return self.tx.finish(self.next_due()).await;
        }
        let sites: Vec<_> = self.served.iter().map(|(site, _)| *site).collect();
        let free_keys = locks::try_sites(self.tx, &sites).await?;
        let free: Vec<bool> = sites.iter().map(|site| free_keys.contains(&locks::of_site(*site))).collect();
        let ids: Vec<_> = self.served.iter().map(|(_, id)| *id).collect();
        self.tx.make_ready(&[STAND, NEXT_IN_LINE]).await?;
        let stand = params![ids, free, At(self.request.now)];
        let last = async {
            let (stood, next_due) = join!(biased; self.tx.run(STAND, stand), self.next_due());
            stood.and(next_due)
        };
        self.tx.finish(last).await
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
