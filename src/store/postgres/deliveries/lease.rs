//! Leasing: which due deliveries a driver gets.
//!
//! Subscriptions stand in line by `next_due_at`. Each that is served gets no more than it has room for and goes to the
//! end of the line; so a long backlog takes its turns like everybody else. Two indexes lead straight to what is due:
//! what waits behind a lane's head, or for a subscription that has nothing due, is never looked at.
//!
//! One without room stands aside, so that it is not met again by every lease: any number of dead ones, or of those that hang,
//! cost a lease nothing. The node that knows it so has it called. If its receiver fails, it does so whoever sends; but if only
//! this node has its hands full, another may have room: so it is back in the line within [`FULL_ASIDE`], and stays there for
//! [`FULL_IN_LINE`] before it stands aside again.
//!
//! Several nodes lease at once: each skips what another has in its hands. A subscription that others add to meanwhile
//! stays in line, to be looked at once more.

use std::collections::HashSet;
use std::time::Duration;

use tokio::join;
use tokio_postgres::Row;

use super::due::{self, DESTINATIONS, LEASE, Leasable, Wanted};
use crate::model::delivery::{LeaseBatch, LeaseRequest, Leased, Space};
use crate::model::{SiteId, SubscriptionId, Timestamp, time};
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
/// time is, or the end of the first lease. Those that somebody is just bringing forward stay where they are. Those that were
/// `named` may have stood aside. Returns of each that was put somewhere whether it has more that is due.
pub(in crate::store::postgres) const STAND: &str = "UPDATE subscriptions s
     SET next_due_at = CASE WHEN served.free AND NOT served.has_more
         THEN least(
             (SELECT min(d.leased_until) FROM deliveries d WHERE d.subscription_id = s.id AND d.due_at <= $4),
             (SELECT d.due_at FROM deliveries d WHERE d.subscription_id = s.id AND d.due_at > $4 ORDER BY d.due_at LIMIT 1)
         )
         ELSE $4 END
     FROM (
         SELECT t.site_uuid, t.id, r.free, (
             SELECT TRUE FROM deliveries d
             WHERE d.subscription_id = t.id AND d.due_at <= $4 AND coalesce(d.leased_until, 0) <= $4 ORDER BY d.due_at LIMIT 1
         ) IS NOT NULL AS has_more
         FROM unnest($1::UUID[], $2::BOOLEAN[], $3::BOOLEAN[]) AS r (id, free, named) JOIN subscriptions t ON t.id = r.id
         WHERE (t.next_due_at <= $4 OR r.named) FOR UPDATE OF t SKIP LOCKED
     ) served
     WHERE s.site_uuid = served.site_uuid AND s.id = served.id
     RETURNING s.id, served.has_more";

/// Some of them, wherever they stand.
pub(in crate::store::postgres) const CALLED: &str = "SELECT seq, site_uuid, id, next_due_at FROM subscriptions
     WHERE id = ANY($1) AND next_due_at IS NOT NULL AND paused_at IS NULL AND removed_at IS NULL
     ORDER BY array_position($1, id)";

/// Has some stand aside, each until its time, but for those that somebody is just bringing forward.
pub(in crate::store::postgres) const STAND_ASIDE: &str = "UPDATE subscriptions s SET next_due_at = aside.until
     FROM (
         SELECT t.site_uuid, t.id, r.until
         FROM unnest($1::UUID[], $3::BIGINT[]) AS r (id, until) JOIN subscriptions t ON t.id = r.id
         WHERE t.next_due_at <= $2 FOR UPDATE OF t SKIP LOCKED
     ) aside
     WHERE s.site_uuid = aside.site_uuid AND s.id = aside.id";

pub(in crate::store::postgres) const NEXT_IN_LINE: &str = "SELECT id, next_due_at FROM subscriptions
     WHERE next_due_at > $1 AND paused_at IS NULL AND removed_at IS NULL ORDER BY next_due_at LIMIT $2";

/// How long one stands aside at most that another node may have room for.
const FULL_ASIDE: Duration = Duration::from_secs(1);

/// How long it has stood in line before: so another node meets it there.
const FULL_IN_LINE: Duration = Duration::from_millis(100);

/// How many subscriptions are looked at in the first step; and how many times as many in each further one: each costs a round trip,
/// and there may be many without room in front.
const STEP: usize = 64;
const STRIDE: usize = 8;

/// A subscription in line.
struct Receiver {
    seq: i64,
    site: SiteId,
    id: SubscriptionId,
    next_due: Timestamp,
}

/// What is known when all stand where they belong.
struct Stood {
    /// Those that were served and have more that is due; and those that fall due before `next_due` and have their hands full.
    have_more: HashSet<SubscriptionId>,
    next_due: Option<Timestamp>,
}

/// Leases what is due, as the request says.
pub(super) async fn lease_due(tx: &Tx, request: &LeaseRequest) -> Result<LeaseBatch> {
    let mut leasing = Leasing {
        tx,
        request,
        seen: HashSet::new(),
        taken: Vec::new(),
        bytes: None,
        cut_short: false,
        served: Vec::new(),
        without_room: Vec::new(),
        aside: Vec::new(),
        too_late: Vec::new(),
    };
    let in_line = leasing.begin().await?;
    leasing.walk_the_line(in_line).await?;
    let Stood { mut have_more, next_due } = leasing.stand_in_line().await?;
    have_more.extend(leasing.without_room);
    let aside = leasing.aside.into_iter().map(|(id, _)| id);
    let passed_over = aside.chain(leasing.too_late).collect();
    Ok(LeaseBatch { deliveries: leasing.taken, have_more, passed_over, cut_short: leasing.cut_short, next_due })
}

struct Leasing<'a> {
    tx: &'a Tx,
    request: &'a LeaseRequest,
    /// Those that were dealt with: one that is named may stand in line as well.
    seen: HashSet<SubscriptionId>,
    taken: Vec<Leased>,
    /// Bytes of what was taken; `None` before the first.
    bytes: Option<usize>,
    /// Whether there was no memory for what came next.
    cut_short: bool,
    served: Vec<Wanted>,
    /// Those that were met in line and have no room.
    without_room: Vec<SubscriptionId>,
    /// Of these, those that stand aside, and until when.
    aside: Vec<(SubscriptionId, Timestamp)>,
    /// Those that are named, and came too late.
    too_late: Vec<SubscriptionId>,
}

impl Leasing<'_> {
    /// Begins, and serves those that are named. Returns the first in line.
    async fn begin(&mut self) -> Result<Vec<Receiver>> {
        self.tx.make_ready(&[IN_LINE, CALLED]).await?;
        let (open, first, called) = join!(
            biased;
            self.tx.open(Durability::Relaxed),
            self.in_line_behind((Timestamp::MIN, 0), STEP),
            self.called(),
        );
        open?;
        let (first, called) = (first?, called?);
        self.too_late = self.serve_these(&called).await?;
        Ok(first)
    }

    /// Serves these until nothing is left of the limit, or of the memory. Returns those that it did not get to.
    async fn serve_these(&mut self, receivers: &[Receiver]) -> Result<Vec<SubscriptionId>> {
        let (mut rest, mut left) = (receivers, Vec::new());
        while !rest.is_empty() && !self.is_full() {
            let (wanted, looked_at) = self.wanted(rest);
            left.extend(self.serve(wanted).await?);
            rest = &rest[looked_at..];
        }
        left.extend(rest.iter().map(|receiver| receiver.id));
        Ok(left)
    }

    /// Whether nothing more is to be leased.
    fn is_full(&self) -> bool {
        self.cut_short || self.taken.len() >= self.request.limit
    }

    /// Serves those in line until nothing is left of the limit, or of the line.
    async fn walk_the_line(&mut self, mut in_line: Vec<Receiver>) -> Result<()> {
        let mut step = STEP;
        loop {
            // Who is left out keeps its place in front, and so is the first for which there is room again.
            self.serve_these(&in_line).await?;
            let goes_on = in_line.len() == step && !self.is_full();
            let Some(last) = in_line.last().filter(|_| goes_on) else { return Ok(()) };
            step = step.saturating_mul(STRIDE);
            in_line = self.in_line_behind((last.next_due, last.seq), step).await?;
        }
    }

    async fn in_line_behind(&self, (next_due, seq): (Timestamp, i64), step: usize) -> Result<Vec<Receiver>> {
        let params = params![At(self.request.now), At(next_due), seq, rows(step)];
        self.tx.all(IN_LINE, params, receiver).await
    }

    async fn called(&self) -> Result<Vec<Receiver>> {
        match self.request.again.is_empty() {
            true => Ok(Vec::new()),
            false => self.tx.all(CALLED, params![self.request.again], receiver).await,
        }
    }

    /// The first of these that have room, as far as the request's limit goes if each has enough due; and how many that was looked
    /// at. Who would get less than there is room for is not among them unless it is the first: those in front may have less due, and
    /// leave it more.
    fn wanted(&mut self, receivers: &[Receiver]) -> (Vec<Wanted>, usize) {
        let mut left = self.request.limit - self.taken.len();
        let mut wanted = Vec::new();
        for (looked_at, receiver) in receivers.iter().enumerate() {
            let space = self.request.space_for(receiver.id);
            if left == 0 || (!wanted.is_empty() && matches!(space, Space::For(room) if room > left)) {
                return (wanted, looked_at);
            }
            if !self.seen.insert(receiver.id) {
                continue;
            }
            match space {
                Space::For(room) if room > 0 => {
                    let room = room.min(left);
                    left -= room;
                    wanted.push(Wanted { site: receiver.site, id: receiver.id, room });
                }
                none => self.pass_over(receiver, none == Space::Down),
            }
        }
        (wanted, receivers.len())
    }

    fn pass_over(&mut self, receiver: &Receiver, is_down: bool) {
        self.without_room.push(receiver.id);
        let (now, until) = (self.request.now, self.request.aside_until());
        if is_down {
            self.aside.push((receiver.id, until));
        } else if receiver.next_due <= time::before(now, FULL_IN_LINE) {
            self.aside.push((receiver.id, until.min(time::after(now, FULL_ASIDE))));
        }
    }

    /// Leases what these have due. From here on, none of them is set or removed. Returns those for which there was no memory at
    /// all.
    async fn serve(&mut self, wanted: Vec<Wanted>) -> Result<Vec<SubscriptionId>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let (tx, request) = (self.tx, self.request);
        let sites: Vec<_> = wanted.iter().map(|wanted| wanted.site).collect();
        tx.make_ready(&[locks::take_all_statement(Patience::Enough), DESTINATIONS, LEASE]).await?;
        let (shared, destinations, due) = join!(
            biased;
            locks::share_sites(tx, &sites),
            due::destinations(tx, &wanted),
            due::lease(tx, request, &wanted, self.bytes),
        );
        shared?;
        let (destinations, Leasable { due, mut left_out }) = (destinations?, due?);
        self.cut_short |= !left_out.is_empty();
        for due in due {
            left_out.remove(&due.subscription);
            self.bytes = Some(self.bytes.unwrap_or(0).saturating_add(due.body.len()));
            let to = destinations.get(&due.subscription).ok_or_else(|| StoreError::Corrupt("no destination".into()))?;
            self.taken.push(due.to(to, request));
        }
        self.served.extend(wanted.into_iter().filter(|wanted| !left_out.contains(&wanted.id)));
        Ok(left_out.into_iter().collect())
    }

    /// Puts those that were met where they now belong in the line, and commits. It never waits, since it may hold what
    /// others need.
    async fn stand_in_line(&self) -> Result<Stood> {
        let sites: Vec<_> = self.served.iter().map(|served| served.site).collect();
        let free_keys = if sites.is_empty() { HashSet::new() } else { locks::try_sites(self.tx, &sites).await? };
        self.tx.make_ready(&[STAND, STAND_ASIDE, NEXT_IN_LINE]).await?;
        let last = async {
            let (stood, aside, next_due) = join!(biased; self.stand(&free_keys), self.stand_aside(), self.next_due());
            let mut have_more = stood?;
            aside?;
            let (next_due, full) = next_due?;
            have_more.extend(full);
            Ok(Stood { have_more, next_due })
        };
        self.tx.finish(last).await
    }

    /// Returns those that have more that is due. Whoever is just bringing others forward tells of that.
    async fn stand(&self, free_keys: &HashSet<i64>) -> Result<HashSet<SubscriptionId>> {
        if self.served.is_empty() {
            return Ok(HashSet::new());
        }
        let is_free = |served: &Wanted| free_keys.contains(&locks::of_site(served.site));
        let free: Vec<_> = self.served.iter().map(is_free).collect();
        let named: Vec<_> = self.served.iter().map(|served| self.request.again.contains(&served.id)).collect();
        let ids: Vec<_> = self.served.iter().map(|served| served.id).collect();
        let now = At(self.request.now);
        let read = |row: &Row| Ok((row.try_get("id")?, row.try_get("has_more")?));
        let stood: Vec<(SubscriptionId, bool)> = self.tx.all(STAND, params![ids, free, named, now], read).await?;
        Ok(stood.into_iter().filter(|(_, has_more)| *has_more).map(|(id, _)| id).collect())
    }

    async fn stand_aside(&self) -> Result<()> {
        if self.aside.is_empty() {
            return Ok(());
        }
        let (ids, until): (Vec<_>, Vec<_>) = self.aside.iter().map(|(id, until)| (*id, At(*until))).unzip();
        self.tx.run(STAND_ASIDE, params![ids, At(self.request.now), until]).await.map(drop)
    }

    /// When the next of those that have space falls due; and those before it that have their hands full: they are the holder's own,
    /// and it asks again when they have room. Looks at no more than one step of them.
    async fn next_due(&self) -> Result<(Option<Timestamp>, Vec<SubscriptionId>)> {
        let read = |row: &Row| Ok((row.try_get::<_, SubscriptionId>("id")?, at(row, "next_due_at")?));
        let later = self.tx.all(NEXT_IN_LINE, params![At(self.request.now), rows(STEP)], read).await?;
        let mut full = Vec::new();
        for (id, due) in &later {
            match self.request.space_for(*id) {
                Space::For(_) => return Ok((Some(*due), full)),
                Space::Full => full.push(*id),
                Space::Down => {}
            }
        }
        Ok((later.last().filter(|_| later.len() == STEP).map(|(_, due)| *due), full))
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
