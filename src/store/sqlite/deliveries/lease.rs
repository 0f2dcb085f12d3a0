//! Leasing: which due deliveries a driver gets.
//!
//! Subscriptions stand in line by `next_due_at`. Each that is served gets no more than it has room for and goes to the
//! end of the line; so a long backlog takes its turns like everybody else. Two indexes lead straight to what is due:
//! what waits behind a lane's head, or for a subscription that has nothing due, is never looked at.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use rusqlite::{Row, params};

use crate::model::delivery::{LeaseBatch, LeaseRequest, Leased};
use crate::model::seal::Sealed;
use crate::model::subscription::DestinationUrl;
use crate::model::{PartnerId, SubscriptionId, Timestamp};
use crate::store::Result;
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, at, rows};
use crate::store::sqlite::writer::Tx;

/// Subscriptions in line, from a place on: those that are paused or removed, or have nothing to send, do not stand there.
pub(in crate::store::sqlite) const IN_LINE: &str = "SELECT seq, id, partner_id, url, secret, next_due_at
     FROM subscriptions
     WHERE next_due_at <= ?1 AND next_due_at >= ?2 AND (next_due_at, seq) > (?2, ?3)
       AND paused_at IS NULL AND removed_at IS NULL
     ORDER BY next_due_at, seq LIMIT ?4";

pub(in crate::store::sqlite) const DUE: &str = "SELECT d.*, b.body
     FROM deliveries d JOIN delivery_bodies b ON b.delivery_seq = d.seq
     WHERE d.subscription_id = ?1 AND d.due_at <= ?2 ORDER BY d.due_at, d.seq LIMIT ?3";

pub(in crate::store::sqlite) const FIRST_DUE: &str =
    "SELECT due_at FROM deliveries WHERE subscription_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1";

pub(in crate::store::sqlite) const NEXT_IN_LINE: &str = "SELECT id, next_due_at FROM subscriptions
     WHERE next_due_at > ?1 AND paused_at IS NULL AND removed_at IS NULL ORDER BY next_due_at LIMIT ?2";

/// How many subscriptions are looked at in one step.
const STEP: usize = 64;

/// A subscription in line, with what sending to it needs.
struct Receiver {
    seq: i64,
    id: SubscriptionId,
    partner: PartnerId,
    url: DestinationUrl,
    secret: Sealed,
    next_due: At,
}

/// Leases what is due, as the request says.
pub(super) fn lease_due(tx: &Tx, request: LeaseRequest) -> Result<LeaseBatch> {
    let room = request.busy.iter().copied().collect();
    let full = request.busy.iter().filter(|(_, room)| *room == 0).map(|(id, _)| *id).collect();
    let mut leasing = Leasing { tx, request, room, full, taken: Vec::new() };
    leasing.walk_the_line()?;
    Ok(LeaseBatch { next_due: leasing.next_due()?, deliveries: leasing.taken })
}

struct Leasing<'a> {
    tx: &'a Tx<'a>,
    request: LeaseRequest,
    /// What is left of each subscription's room, where that is less than `per_subscription`.
    room: HashMap<SubscriptionId, usize>,
    /// Those that had no room from the start.
    full: HashSet<SubscriptionId>,
    taken: Vec<Leased>,
}

impl Leasing<'_> {
    /// The walk ends, since its place only moves forward and whoever is served stands at `now` or later.
    fn walk_the_line(&mut self) -> Result<()> {
        let mut place = (At(Timestamp::MIN), 0);
        while self.taken.len() < self.request.limit {
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

    /// Leases what a subscription has due, as far as there is room, and puts it where it now belongs in the line.
    fn serve(&mut self, receiver: &Receiver) -> Result<()> {
        let room = *self.room.entry(receiver.id).or_insert(self.request.per_subscription);
        let wanted = room.min(self.request.limit - self.taken.len());
        if wanted == 0 {
            return Ok(());
        }
        let (now, request) = (At(self.request.now), &self.request);
        let due = self.tx.all(DUE, params![receiver.id, now, rows(wanted)], |row| {
            Ok((row.get::<_, i64>("seq")?, leased(row, receiver, request)?))
        })?;
        self.room.insert(receiver.id, room - due.len());
        for (seq, leased) in due {
            let sql = "UPDATE deliveries SET lease = ?2, due_at = ?3 WHERE seq = ?1";
            self.tx.run(sql, params![seq, leased.lease, At(leased.until)])?;
            self.taken.push(leased);
        }
        let first_due: Option<At> = self.tx.one(FIRST_DUE, [receiver.id], |row| row.get("due_at"))?;
        self.tx.run(
            "UPDATE subscriptions SET next_due_at = ?2 WHERE seq = ?1",
            params![receiver.seq, first_due.map(|due| due.max(now))],
        )?;
        Ok(())
    }

    /// When the next of those that have room falls due. Those without are the holder's own: it asks again when it has
    /// room.
    fn next_due(&self) -> Result<Option<Timestamp>> {
        let full = |id: &SubscriptionId| self.full.contains(id);
        let looked_at = rows(self.full.len().saturating_add(1));
        let later = self.tx.all(NEXT_IN_LINE, params![At(self.request.now), looked_at], |row| {
            Ok((row.get::<_, SubscriptionId>("id")?, at(row, "next_due_at")?))
        })?;
        Ok(later.into_iter().find(|(id, _)| !full(id)).map(|(_, due)| due))
    }
}

fn receiver(row: &Row) -> rusqlite::Result<Receiver> {
    Ok(Receiver {
        seq: row.get("seq")?,
        id: row.get("id")?,
        partner: row.get("partner_id")?,
        url: row.get("url")?,
        secret: row.get("secret")?,
        next_due: row.get("next_due_at")?,
    })
}

fn leased(row: &Row, receiver: &Receiver, request: &LeaseRequest) -> rusqlite::Result<Leased> {
    Ok(Leased {
        id: row.get("id")?,
        lease: request.lease,
        until: request.until,
        site: row.get("site_uuid")?,
        partner: receiver.partner,
        subscription: receiver.id,
        lead: row.get("lead_id")?,
        action: row.get("action")?,
        changed: at(row, "changed_at")?,
        body: Bytes::from(row.get::<_, Vec<u8>>("body")?),
        attempts: row.get("attempts")?,
        url: receiver.url.clone(),
        secret: receiver.secret.clone(),
    })
}
