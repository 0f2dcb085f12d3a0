//! The outbox: what a change of a lead has to send, written in the change's own transaction.

use tokio_postgres::Row;

use super::lane::{self, Place};
use crate::model::delivery::Action;
use crate::model::lead::{Lead, LeadCommand};
use crate::model::{DeliveryId, PartnerId, SubscriptionId};
use crate::store::postgres::statements::{RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::{At, maybe_at};
use crate::store::{Result, Signal};

/// Every live subscription of the site, paused ones too; but not the origin's own, if it does not want its echo. With the
/// end of the lead's lane there, and when the subscription is looked at next.
pub(in crate::store::postgres) const RECEIVERS: &str = "SELECT s.id, s.partner_id, s.next_due_at,
            (SELECT position FROM deliveries d
             WHERE d.subscription_id = s.id AND d.lead_id = $3
             ORDER BY d.position DESC LIMIT 1) AS last
     FROM subscriptions s JOIN partners p ON p.id = s.partner_id
     WHERE s.site_uuid = $1 AND s.removed_at IS NULL AND (p.echo OR s.partner_id IS DISTINCT FROM $2)
     ORDER BY s.seq";

/// One delivery for each receiver, in their order, and its body.
const SEND: &str = "WITH sent AS (
         INSERT INTO deliveries (site_uuid, lead_id, action, changed_at, id, subscription_id, partner_id, position, due_at)
         SELECT $1, $2, $3, $4, r.id, r.subscription_id, r.partner_id, r.position, r.due_at
         FROM unnest($5::UUID[], $6::UUID[], $7::UUID[], $8::BIGINT[], $9::BIGINT[])
             WITH ORDINALITY AS r (id, subscription_id, partner_id, position, due_at, place)
         ORDER BY r.place
         RETURNING site_uuid, seq
     )
     INSERT INTO delivery_bodies (site_uuid, delivery_seq, body) SELECT site_uuid, seq, $10 FROM sent";

struct Receiver {
    subscription: SubscriptionId,
    partner: PartnerId,
    next_due: Option<At>,
    last: Option<i64>,
}

/// Adds one delivery of the change for each subscription that is to hear of it. All are sent the same bytes. The caller
/// has taken the lead.
pub(in crate::store::postgres) async fn send(
    tx: &Tx,
    command: &LeadCommand,
    lead: &Lead,
    action: Action,
    body: &[u8],
) -> Result<()> {
    let now = command.now;
    let receivers = tx.all(RECEIVERS, params![command.site, command.origin.partner, lead.id], receiver).await?;
    if receivers.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = receivers.iter().map(|receiver| Place::behind(receiver.last, now)).collect();
    for (receiver, place) in receivers.iter().zip(&places) {
        if place.due.is_some() {
            // Nobody puts it off while the site is shared: what was read holds.
            if receiver.next_due.is_none_or(|next_due| next_due > At(now)) {
                lane::due_at(tx, command.site, receiver.subscription, now).await?;
            }
            tx.signal(Signal::Work);
        }
    }
    let subscriptions: Vec<_> = receivers.iter().map(|receiver| receiver.subscription).collect();
    let ids: Vec<_> = subscriptions.iter().map(|id| DeliveryId::derive(command.change, *id)).collect();
    let partners: Vec<_> = receivers.iter().map(|receiver| receiver.partner).collect();
    let positions: Vec<_> = places.iter().map(|place| place.position).collect();
    let due: Vec<_> = places.iter().map(|place| place.due.map(At)).collect();
    let changed = At(now);
    tx.run(SEND, params![command.site, lead.id, action, changed, ids, subscriptions, partners, positions, due, body])
        .await?;
    Ok(())
}

fn receiver(row: &Row) -> RowResult<Receiver> {
    Ok(Receiver {
        subscription: row.try_get("id")?,
        partner: row.try_get("partner_id")?,
        next_due: maybe_at(row, "next_due_at")?.map(At),
        last: row.try_get("last")?,
    })
}
