//! The outbox: what changes of leads have to send, written in the changes' own transaction.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::lane::{self, LOOK_AT, Look, Place};
use crate::model::delivery::Action;
use crate::model::lead::{LeadCommand, Message};
use crate::model::{DeliveryId, LeadId, PartnerId, SiteId, SubscriptionId};
use crate::store::postgres::statements::{Db, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::At;
use crate::store::{Result, Signal};

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
                     $9::BIGINT[], $10::BYTEA[])
             AS new (site_uuid, lead_id, action, changed_at, id, subscription_id, partner_id, position, due_at, body)
     ), sent AS (
         INSERT INTO deliveries (site_uuid, seq, lead_id, action, changed_at, id, subscription_id, partner_id, position,
                                 due_at)
         OVERRIDING SYSTEM VALUE
         SELECT site_uuid, seq, lead_id, action, changed_at, id, subscription_id, partner_id, position, due_at FROM new
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
    /// When it is to be looked at next.
    pub(in crate::store::postgres) next_due: Option<At>,
}

/// The deliveries of one lead to one subscription.
pub(in crate::store::postgres) type Lane = (SubscriptionId, LeadId);

/// The last position of each lane in which something waits.
pub(in crate::store::postgres) type Ends = HashMap<Lane, i64>;

/// Where these lanes end.
pub(in crate::store::postgres) async fn ends(db: &Db, lanes: &[Lane]) -> Result<Ends> {
    if lanes.is_empty() {
        return Ok(Ends::new());
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
pub(in crate::store::postgres) struct Outbox<'a> {
    deliveries: Vec<New<'a>>,
    /// Subscriptions of which something falls due sooner than they would be looked at.
    looks: HashMap<SubscriptionId, Look>,
    /// Whether anything is due.
    due: bool,
}

struct New<'a> {
    site: SiteId,
    lead: LeadId,
    action: Action,
    changed: At,
    id: DeliveryId,
    subscription: SubscriptionId,
    partner: PartnerId,
    place: Place,
    body: &'a [u8],
}

impl<'a> Outbox<'a> {
    /// Adds one delivery of the change for each receiver. All are sent the same bytes. The caller has taken the lead, and
    /// keeps the site as it is.
    pub(in crate::store::postgres) fn add<'r>(
        &mut self,
        command: &LeadCommand,
        lead: LeadId,
        message: &'a Message,
        receivers: impl Iterator<Item = &'r Receiver>,
        ends: &Ends,
    ) {
        let changed = At(command.now);
        for receiver in receivers {
            let (site, subscription) = (command.site, receiver.subscription);
            let place = Place::behind(ends.get(&(subscription, lead)).copied(), command.now);
            if place.due.is_some() {
                self.due = true;
                // Nobody puts it off while the site is shared: what was read holds.
                if receiver.next_due.is_none_or(|next_due| next_due > changed) {
                    let look = self.looks.entry(subscription).or_insert(Look::of(site, subscription));
                    look.due = look.due.into_iter().chain([command.now]).min();
                }
            }
            let id = DeliveryId::derive(command.change, subscription);
            let (action, partner, body) = (message.action, receiver.partner, &message.body[..]);
            self.deliveries.push(New { site, lead, action, changed, id, subscription, partner, place, body });
        }
    }
}

/// Writes the outbox.
pub(in crate::store::postgres) async fn send(tx: &Tx, outbox: &Outbox<'_>) -> Result<()> {
    let new = &outbox.deliveries;
    if new.is_empty() {
        return Ok(());
    }
    if outbox.due {
        tx.signal(Signal::Work);
    }
    let sites: Vec<_> = new.iter().map(|new| new.site).collect();
    let leads: Vec<_> = new.iter().map(|new| new.lead).collect();
    let actions: Vec<_> = new.iter().map(|new| new.action).collect();
    let changed: Vec<_> = new.iter().map(|new| new.changed).collect();
    let ids: Vec<_> = new.iter().map(|new| new.id).collect();
    let subscriptions: Vec<_> = new.iter().map(|new| new.subscription).collect();
    let partners: Vec<_> = new.iter().map(|new| new.partner).collect();
    let positions: Vec<_> = new.iter().map(|new| new.place.position).collect();
    let due: Vec<_> = new.iter().map(|new| new.place.due.map(At)).collect();
    let bodies: Vec<_> = new.iter().map(|new| new.body).collect();
    let new = params![sites, leads, actions, changed, ids, subscriptions, partners, positions, due, bodies];
    let looks: Vec<_> = outbox.looks.values().copied().collect();
    let (sent, noted) = tokio::join!(biased; tx.run(SEND, new), lane::look_at(tx, &looks));
    sent.and(noted.map(|()| 0))?;
    Ok(())
}
