//! The outbox: what changes of leads have to send, written in the changes' own transaction. What this process has room for
//! is written under its lease, and goes straight to it.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::Row;

use super::due::Destination;
use super::lane::{self, LOOK_AT, Look, Place};
use super::merge::{self, LastUpdates, Merges};
use crate::model::delivery::{Action, Leased, Space};
use crate::model::lead::{Lead, LeadCommand, Message};
use crate::model::seal::Sealed;
use crate::model::{DeliveryId, LeadId, LeaseToken, PartnerId, SiteId, SubscriptionId, Timestamp};
use crate::store::courier::Born;
use crate::store::postgres::statements::{Db, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::At;
use crate::store::subscriptions::stored_url;
use crate::store::{Result, Room, Signal};

/// The last positions of these lanes.
pub(in crate::store::postgres) const ENDS: &str = "SELECT lane.subscription_id, lane.lead_id, last.position
     FROM unnest($1::UUID[], $2::UUID[]) AS lane (subscription_id, lead_id) CROSS JOIN LATERAL (
         SELECT position FROM deliveries d
         WHERE d.subscription_id = lane.subscription_id AND d.lead_id = lane.lead_id
         ORDER BY d.position DESC LIMIT 1
     ) last";

/// Deliveries in their order, and their bodies.
const SEND: &str = "WITH new AS (
         SELECT *, nextval(pg_get_serial_sequence('deliveries', 'seq')) AS seq
         FROM unnest($1::UUID[], $2::UUID[], $3::TEXT[], $4::BIGINT[], $5::UUID[], $6::UUID[], $7::UUID[], $8::BIGINT[],
                     $9::BIGINT[], $10::UUID[], $11::BYTEA[])
             AS new (site_uuid, lead_id, action, changed_at, id, subscription_id, partner_id, position, due_at, lease, body)
     ), sent AS (
         INSERT INTO deliveries (site_uuid, seq, lead_id, action, changed_at, id, subscription_id, partner_id, position,
                                 due_at, lease)
         OVERRIDING SYSTEM VALUE
         SELECT site_uuid, seq, lead_id, action, changed_at, id, subscription_id, partner_id, position, due_at, lease FROM new
     )
     INSERT INTO delivery_bodies (site_uuid, delivery_seq, body) SELECT site_uuid, seq, body FROM new";

/// The statements that [`send`] runs.
pub(in crate::store::postgres) const WRITES: [&str; 2] = [SEND, LOOK_AT];

/// A subscription that hears of its site's leads.
pub(in crate::store::postgres) struct Receiver {
    pub(in crate::store::postgres) subscription: SubscriptionId,
    pub(in crate::store::postgres) partner: PartnerId,
    /// Whether it wants to hear of its own partner's changes.
    pub(in crate::store::postgres) echo: bool,
    /// Whether what waits for it takes in later updates.
    pub(in crate::store::postgres) merges: bool,
    /// When it is to be looked at next.
    pub(in crate::store::postgres) next_due: Option<At>,
    /// Where to send; parsed only for those that are sent something at once.
    pub(in crate::store::postgres) url: String,
    /// What to sign with.
    pub(in crate::store::postgres) secret: Sealed,
    /// Whether it may be sent something and has nothing else due: what is new passes nothing by that has waited longer.
    pub(in crate::store::postgres) free: bool,
}

/// The deliveries of one lead to one subscription.
pub(in crate::store::postgres) type Lane = (SubscriptionId, LeadId);

/// The ends of lanes.
#[derive(Default)]
pub(in crate::store::postgres) struct Ends {
    /// The last position of each lane in which something waits.
    positions: HashMap<Lane, i64>,
    /// What waits there and can take in an update.
    updates: LastUpdates,
}

/// Where these lanes end; and what waits at the end of those that are `merging`.
pub(in crate::store::postgres) async fn ends(db: &Db, lanes: &[Lane], merging: &[Lane]) -> Result<Ends> {
    let (positions, updates) = tokio::join!(biased; positions(db, lanes), merge::last_updates(db, merging));
    Ok(Ends { positions: positions?, updates: updates? })
}

async fn positions(db: &Db, lanes: &[Lane]) -> Result<HashMap<Lane, i64>> {
    if lanes.is_empty() {
        return Ok(HashMap::new());
    }
    let (subscriptions, leads): (Vec<_>, Vec<_>) = lanes.iter().copied().unzip();
    let read = |row: &Row| {
        let lane = (row.try_get("subscription_id")?, row.try_get("lead_id")?);
        Ok((lane, row.try_get("position")?))
    };
    Ok(db.all(ENDS, params![subscriptions, leads], read).await?.into_iter().collect())
}

/// What a group of changes sends.
#[derive(Default)]
pub(in crate::store::postgres) struct Outbox {
    deliveries: Vec<New>,
    /// Subscriptions of which something falls due sooner than they would be looked at.
    looks: HashMap<SubscriptionId, Look>,
    /// Whether anything is due that this process has space for …
    due: bool,
    /// … or that only others may have space for.
    due_for_others: bool,
    merges: Merges,
}

/// A delivery that is to be written.
struct New {
    site: SiteId,
    lead: LeadId,
    action: Action,
    changed: Timestamp,
    id: DeliveryId,
    subscription: SubscriptionId,
    partner: PartnerId,
    position: i64,
    due: Option<Timestamp>,
    body: Bytes,
    /// The lease under which it is written, and where it goes from there.
    born: Option<(Box<dyn Room>, Destination)>,
}

impl Outbox {
    /// Adds one delivery of the change for each receiver, or merges it into one that waits. All others are sent the same bytes.
    /// The caller has taken the lead, and keeps the site as it is.
    pub(in crate::store::postgres) fn add<'r>(
        &mut self,
        tx: &Tx,
        command: &LeadCommand,
        lead: &Lead,
        message: &Message,
        receivers: impl Iterator<Item = &'r Receiver>,
        ends: &Ends,
    ) -> Result<()> {
        for receiver in receivers {
            let (site, subscription, partner) = (command.site, receiver.subscription, receiver.partner);
            let lane = (subscription, lead.id);
            let end = ends.positions.get(&lane).copied();
            if self.merges.add(command, lead, message, receiver, end, ends.updates.get(&lane)) {
                continue;
            }
            let lead = lead.id;
            let Place { position, due } = Place::behind(end, command.now);
            let room = match due {
                Some(_) if receiver.free => tx.room(subscription, message.body.len()),
                _ => None,
            };
            if due.is_some() && room.is_none() {
                // Unless it fails, whoever sends.
                match tx.space_for(subscription) {
                    Space::For(_) => self.due = true,
                    Space::Full => self.due_for_others = true,
                    Space::Down => {}
                }
            }
            let due = room.as_ref().map(|room| room.until()).or(due);
            // Nobody puts it off for long while the site is shared: what was read holds.
            if let Some(due) = due.filter(|due| receiver.next_due.is_none_or(|next_due| next_due > At(*due))) {
                let look = self.looks.entry(subscription).or_insert(Look::of(site, subscription));
                look.due = look.due.into_iter().chain([due]).min();
            }
            let born = match room {
                Some(room) => Some((room, receiver.destination()?)),
                None => None,
            };
            let (action, changed, body) = (message.action, command.now, message.body.clone());
            let id = DeliveryId::derive(command.change, subscription);
            let new = New { site, lead, action, changed, id, subscription, partner, position, due, body, born };
            self.deliveries.push(new);
        }
        Ok(())
    }
}

impl Receiver {
    fn destination(&self) -> Result<Destination> {
        Ok(Destination { url: stored_url(&self.url)?, secret: self.secret.clone() })
    }
}

impl New {
    fn lease(&self) -> Option<LeaseToken> {
        self.born.as_ref().map(|(room, _)| room.lease())
    }

    /// What is sent without being read back, if it was written under a lease.
    fn born(self) -> Option<Born> {
        let (room, to) = self.born?;
        let delivery = Leased {
            id: self.id,
            lease: room.lease(),
            until: room.until(),
            site: self.site,
            partner: self.partner,
            subscription: self.subscription,
            lead: self.lead,
            action: self.action,
            changed: self.changed,
            body: self.body,
            attempts: 0,
            url: to.url,
            secret: to.secret,
        };
        Some(Born { room, delivery })
    }
}

/// Writes the outbox.
pub(in crate::store::postgres) async fn send(tx: &Tx, outbox: Outbox) -> Result<()> {
    if outbox.due || outbox.merges.due {
        tx.signal(Signal::Work);
    }
    if outbox.due_for_others {
        tx.signal(Signal::WorkForOthers);
    }
    let looks: Vec<_> = outbox.looks.values().copied().collect();
    let (sent, noted, merged) = tokio::join!(
        biased;
        insert(tx, &outbox.deliveries),
        lane::look_at(tx, &looks),
        outbox.merges.write(tx),
    );
    sent.and(noted).and(merged)?;
    tx.hand_over(outbox.deliveries.into_iter().filter_map(New::born).collect());
    Ok(())
}

async fn insert(tx: &Tx, new: &[New]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let sites: Vec<_> = new.iter().map(|new| new.site).collect();
    let leads: Vec<_> = new.iter().map(|new| new.lead).collect();
    let actions: Vec<_> = new.iter().map(|new| new.action).collect();
    let changed: Vec<_> = new.iter().map(|new| At(new.changed)).collect();
    let ids: Vec<_> = new.iter().map(|new| new.id).collect();
    let subscriptions: Vec<_> = new.iter().map(|new| new.subscription).collect();
    let partners: Vec<_> = new.iter().map(|new| new.partner).collect();
    let positions: Vec<_> = new.iter().map(|new| new.position).collect();
    let due: Vec<_> = new.iter().map(|new| new.due.map(At)).collect();
    let leases: Vec<_> = new.iter().map(New::lease).collect();
    let bodies: Vec<_> = new.iter().map(|new| &new.body[..]).collect();
    let new = params![sites, leads, actions, changed, ids, subscriptions, partners, positions, due, leases, bodies];
    tx.run(SEND, new).await.map(|_| ())
}
