//! The outbox: what a change of a lead has to send, written in the change's own transaction.

use rusqlite::params;

use super::lane;
use crate::model::delivery::State;
use crate::model::lead::{Lead, LeadCommand, Message};
use crate::model::{DeliveryId, PartnerId, SubscriptionId};
use crate::store::Result;
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::At;
use crate::store::sqlite::writer::Tx;

/// Every live subscription of the site, paused ones too; but not the origin's own, if it does not want its echo.
pub(in crate::store::sqlite) const RECEIVERS: &str = "SELECT s.id, s.partner_id
     FROM subscriptions s JOIN partners p ON p.id = s.partner_id
     WHERE s.site_uuid = ?1 AND s.removed_at IS NULL AND NOT (p.echo = 0 AND s.partner_id IS ?2)
     ORDER BY s.seq";

/// Adds one delivery of the change for each subscription that is to hear of it. All are sent the same bytes.
pub(in crate::store::sqlite) fn send(tx: &Tx, command: &LeadCommand, lead: &Lead, message: &Message) -> Result<()> {
    let receivers: Vec<(SubscriptionId, PartnerId)> =
        tx.all(RECEIVERS, params![command.site, command.origin.partner], |row| {
            Ok((row.get("id")?, row.get("partner_id")?))
        })?;
    for (subscription, partner) in receivers {
        let place = lane::enter(tx, subscription, lead.id, command.now)?;
        tx.run(
            "INSERT INTO deliveries (id, site_uuid, subscription_id, partner_id, lead_id, action, changed_at, state,
                                     position, due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                DeliveryId::derive(command.change, subscription),
                command.site,
                subscription,
                partner,
                lead.id,
                message.action,
                At(command.now),
                State::Waiting,
                place.position,
                place.due.map(At)
            ],
        )?;
        let seq = tx.last_insert_rowid();
        tx.run("INSERT INTO delivery_bodies (delivery_seq, body) VALUES (?1, ?2)", params![seq, message.body])?;
    }
    Ok(())
}
