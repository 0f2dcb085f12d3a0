//! Leasing: which due deliveries a driver gets.
//!
//! Subscriptions stand in line by `next_due_at`. Each that is served gets no more than it has room for and goes to the
//! end of the line; so a long backlog takes its turns like everybody else. One without room stands aside, so that it is
//! not met again by every lease while its receiver hangs: its holder has it called when there is room. Two indexes lead
//! straight to what is due: what waits behind a lane's head, or for a subscription that has nothing due, is never
//! looked at.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use rusqlite::{Row, params};

use crate::model::delivery::{Action, LeaseBatch, LeaseRequest, Leased, Space};
use crate::model::seal::Sealed;
use crate::model::subscription::DestinationUrl;
use crate::model::{DeliveryId, LeadId, PartnerId, SiteId, SubscriptionId, Timestamp};
use crate::store::Result;
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, at, rows};
use crate::store::sqlite::writer::Tx;

/// Subscriptions in line, from a place on: those that are paused or removed, or have nothing to send, do not stand there.
pub(in crate::store::sqlite) const IN_LINE: &str = "SELECT seq, id, partner_id, next_due_at FROM subscriptions
     WHERE next_due_at <= ?1 AND next_due_at >= ?2 AND (next_due_at, seq) > (?2, ?3)
       AND paused_at IS NULL AND removed_at IS NULL
     ORDER BY next_due_at, seq LIMIT ?4";

/// One of them, wherever it stands.
pub(in crate::store::sqlite) const CALLED: &str = "SELECT seq, id, partner_id, next_due_at FROM subscriptions
     WHERE id = ?1 AND next_due_at IS NOT NULL AND paused_at IS NULL AND removed_at IS NULL";

pub(in crate::store::sqlite) const DUE: &str =
    "SELECT d.seq, d.id, d.site_uuid, d.lead_id, d.action, d.changed_at, d.attempts, b.body
     FROM deliveries d JOIN delivery_bodies b ON b.delivery_seq = d.seq
     WHERE d.subscription_id = ?1 AND d.due_at <= ?2 ORDER BY d.due_at, d.seq LIMIT ?3";

pub(in crate::store::sqlite) const FIRST_DUE: &str =
    "SELECT due_at FROM deliveries WHERE subscription_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1";

pub(in crate::store::sqlite) const NEXT_IN_LINE: &str = "SELECT id, next_due_at FROM subscriptions
     WHERE next_due_at > ?1 AND paused_at IS NULL AND removed_at IS NULL ORDER BY next_due_at LIMIT ?2";

/// How many subscriptions are looked at in one step.
const STEP: usize = 64;

/// A subscription in line.
struct Receiver {
    seq: i64,
    id: SubscriptionId,
    partner: PartnerId,
    next_due: At,
}

/// Where to send, and what to sign with.
struct Destination {
    url: DestinationUrl,
    secret: Sealed,
}

/// Leases what is due, as the request says.
pub(super) fn lease_due(tx: &Tx, request: LeaseRequest) -> Result<LeaseBatch> {
    let mut leasing = Leasing {
        tx,
        request,
        room: HashMap::new(),
        taken: Vec::new(),
        bytes: None,
        cut_short: false,
        have_more: HashSet::new(),
        passed_over: Vec::new(),
    };
    leasing.call()?;
    leasing.walk_the_line()?;
    let next_due = leasing.next_due()?;
    Ok(LeaseBatch {
        deliveries: leasing.taken,
        have_more: leasing.have_more,
        passed_over: leasing.passed_over,
        cut_short: leasing.cut_short,
        next_due,
    })
}

/// What became of a subscription that was met.
#[derive(PartialEq, Eq)]
enum Served {
    /// It is dealt with.
    Met,
    /// There was no memory for what it has due.
    NoMemory,
}

struct Leasing<'a> {
    tx: &'a Tx<'a>,
    request: LeaseRequest,
    /// What is left of the room of each subscription that was served.
    room: HashMap<SubscriptionId, usize>,
    taken: Vec<Leased>,
    /// Bytes of what was taken; `None` before the first.
    bytes: Option<usize>,
    /// Whether there was no memory for what came next.
    cut_short: bool,
    have_more: HashSet<SubscriptionId>,
    passed_over: Vec<SubscriptionId>,
}

impl Leasing<'_> {
    /// Serves those that are named, wherever they stand.
    fn call(&mut self) -> Result<()> {
        for id in std::mem::take(&mut self.request.again) {
            if self.is_full() {
                self.passed_over.push(id);
            } else if let Some(receiver) = self.tx.one(CALLED, [id], receiver)?
                && self.serve(&receiver)? == Served::NoMemory
            {
                self.passed_over.push(id);
            }
        }
        Ok(())
    }

    /// The walk ends, since its place only moves forward and whoever is met stands at `now` or later.
    fn walk_the_line(&mut self) -> Result<()> {
        let mut place = (At(Timestamp::MIN), 0);
        while !self.is_full() {
            let params = params![At(self.request.now), place.0, place.1, rows(STEP)];
            let in_line = self.tx.all(IN_LINE, params, receiver)?;
            for receiver in &in_line {
                self.serve(receiver)?;
                place = (receiver.next_due, receiver.seq);
            }
            if in_line.len() < STEP {
                break;
            }
        }
        Ok(())
    }

    /// Whether nothing more is to be leased.
    fn is_full(&self) -> bool {
        self.cut_short || self.taken.len() >= self.request.limit
    }

    /// Leases what a subscription has due, as far as there is room, and puts it where it now belongs in the line. If there was no
    /// memory for its first, it keeps its place: next time it comes first, and so is served.
    fn serve(&mut self, receiver: &Receiver) -> Result<Served> {
        let Space::For(room) = self.space_of(receiver.id) else {
            return self.pass_over(receiver).map(|()| Served::Met);
        };
        let wanted = if self.is_full() { 0 } else { room.min(self.request.limit - self.taken.len()) };
        if wanted == 0 {
            return Ok(Served::Met);
        }
        let leased = self.take(receiver, wanted)?;
        if leased == 0 && self.cut_short {
            return Ok(Served::NoMemory);
        }
        self.room.insert(receiver.id, room - leased);
        let (now, id) = (At(self.request.now), receiver.id);
        let first_due: Option<At> = self.tx.one(FIRST_DUE, [id], |row| row.get("due_at"))?;
        self.have_more.extend(first_due.filter(|due| *due <= now).map(|_| id));
        self.put(receiver, first_due.map(|due| due.max(now))).map(|()| Served::Met)
    }

    /// What a subscription has due: at most `wanted`, and no more than there is memory for.
    fn due(&mut self, receiver: &Receiver, wanted: usize) -> Result<Vec<Due>> {
        let mut statement = self.tx.prepare_cached(DUE)?;
        let mut rows = statement.query(params![receiver.id, At(self.request.now), rows(wanted)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let due = Due::read(row)?;
            if !self.request.fits(self.bytes, due.body.len()) {
                self.cut_short = true;
                break;
            }
            self.bytes = Some(self.bytes.unwrap_or(0).saturating_add(due.body.len()));
            found.push(due);
        }
        Ok(found)
    }

    /// Leases at most `wanted` of what a subscription has due. Returns how many.
    fn take(&mut self, receiver: &Receiver, wanted: usize) -> Result<usize> {
        let due = self.due(receiver, wanted)?;
        if due.is_empty() {
            return Ok(0);
        }
        let to = destination(self.tx, receiver.seq)?;
        let mut lease = self.tx.prepare_cached("UPDATE deliveries SET lease = ?2, due_at = ?3 WHERE seq = ?1")?;
        let count = due.len();
        for due in due {
            lease.execute(params![due.seq, self.request.lease, At(self.request.until)])?;
            self.taken.push(due.to(receiver, &to, &self.request));
        }
        Ok(count)
    }

    /// What is left of a subscription's room, or what it had from the start.
    fn space_of(&self, id: SubscriptionId) -> Space {
        self.room.get(&id).map_or_else(|| self.request.space_for(id), |room| Space::For(*room))
    }

    fn pass_over(&mut self, receiver: &Receiver) -> Result<()> {
        self.passed_over.push(receiver.id);
        self.have_more.insert(receiver.id);
        self.put(receiver, Some(At(self.request.aside_until())))
    }

    fn put(&self, receiver: &Receiver, next_due: Option<At>) -> Result<()> {
        self.tx.run("UPDATE subscriptions SET next_due_at = ?2 WHERE seq = ?1", params![receiver.seq, next_due])?;
        Ok(())
    }

    /// When the next of those that have room falls due. Those before it that have their hands full are the holder's own: it asks
    /// again when they have room. Looks at no more than one step of them.
    fn next_due(&mut self) -> Result<Option<Timestamp>> {
        let mut statement = self.tx.prepare_cached(NEXT_IN_LINE)?;
        let mut later = statement.query(params![At(self.request.now), rows(STEP)])?;
        let (mut without, mut last) = (0, None);
        while let Some(row) = later.next()? {
            let id = row.get("id")?;
            last = Some(at(row, "next_due_at")?);
            match self.space_of(id) {
                Space::For(_) => return Ok(last),
                Space::Full => self.have_more.extend([id]),
                Space::Down => {}
            }
            without += 1;
        }
        Ok(last.filter(|_| without == STEP))
    }
}

/// Where to send what the subscription with this `seq` has. Read only for those that are sent something: to parse a URL takes
/// longer than all the rest.
fn destination(tx: &Tx, seq: i64) -> Result<Destination> {
    let sql = "SELECT url, secret FROM subscriptions WHERE seq = ?1";
    let read = |row: &Row| Ok(Destination { url: row.get("url")?, secret: row.get("secret")? });
    Ok(tx.prepare_cached(sql)?.query_row([seq], read)?)
}

fn receiver(row: &Row) -> rusqlite::Result<Receiver> {
    Ok(Receiver {
        seq: row.get("seq")?,
        id: row.get("id")?,
        partner: row.get("partner_id")?,
        next_due: row.get("next_due_at")?,
    })
}

/// A delivery that is due, without what its subscription says.
struct Due {
    seq: i64,
    id: DeliveryId,
    site: SiteId,
    lead: LeadId,
    action: Action,
    changed: Timestamp,
    attempts: u32,
    body: Bytes,
}

impl Due {
    /// Of a row of [`DUE`]. By place: to look its columns up by name would take longer than to read them.
    fn read(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            id: row.get(1)?,
            site: row.get(2)?,
            lead: row.get(3)?,
            action: row.get(4)?,
            changed: row.get::<_, At>(5)?.0,
            attempts: row.get(6)?,
            body: Bytes::from(row.get::<_, Vec<u8>>(7)?),
        })
    }

    /// With what its subscription says.
    fn to(self, receiver: &Receiver, to: &Destination, request: &LeaseRequest) -> Leased {
        Leased {
            id: self.id,
            lease: request.lease,
            until: request.until,
            site: self.site,
            partner: receiver.partner,
            subscription: receiver.id,
            lead: self.lead,
            action: self.action,
            changed: self.changed,
            body: self.body,
            attempts: self.attempts,
            url: to.url.clone(),
            secret: to.secret.clone(),
        }
    }
}
