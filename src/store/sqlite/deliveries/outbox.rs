//! The outbox: what a change of a lead has to send, written in the change's own transaction. What this process has room for
//! is written under its lease, and goes straight to it.

use rusqlite::{Row, params};

use super::{lane, merge};
use crate::model::delivery::{Action, Leased, Space, State};
use crate::model::lead::{Lead, LeadChange, LeadCommand, Message};
use crate::model::seal::Sealed;
use crate::model::site::Site;
use crate::model::{DeliveryId, PartnerId, SubscriptionId};
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::At;
use crate::store::sqlite::writer::Tx;
use crate::store::subscriptions::stored_url;
use crate::store::{Result, Room, Signal};

/// Every live subscription of the site, paused ones too; but not the origin's own, if it does not want its echo. One is
/// free if it may be sent something and has nothing else due: what is new passes nothing by that has waited longer.
pub(in crate::store::sqlite) const RECEIVERS: &str = "SELECT s.id, s.partner_id, s.url, s.secret, s.next_due_at,
            p.merge_updates,
            s.paused_at IS NULL AND NOT EXISTS
                (SELECT 1 FROM deliveries d WHERE d.subscription_id = s.id AND d.due_at <= ?3) AS free
     FROM subscriptions s JOIN partners p ON p.id = s.partner_id
     WHERE s.site_uuid = ?1 AND s.removed_at IS NULL AND NOT (p.echo = 0 AND s.partner_id IS ?2)
     ORDER BY s.seq";

/// A subscription that hears of the change.
struct Receiver {
    id: SubscriptionId,
    partner: PartnerId,
    /// Where to send; parsed only for those that are sent something at once.
    url: String,
    /// What to sign with.
    secret: Sealed,
    /// When it is to be looked at next.
    next_due: Option<At>,
    free: bool,
    /// Whether what waits for it takes in later updates.
    merges: bool,
}

/// Adds one delivery of the change for each subscription that is to hear of it. All are sent the same bytes.
pub(in crate::store::sqlite) fn send(tx: &Tx, command: &LeadCommand, site: &Site, change: &LeadChange) -> Result<()> {
    if change.news.is_none() {
        return Ok(());
    }
    let hearing = params![command.site, command.origin.partner, At(command.now)];
    let receivers = tx.all(RECEIVERS, hearing, receiver)?;
    if !receivers.is_empty()
        && let Some(message) = command.message(site, change)
    {
        for receiver in receivers {
            send_to(tx, &receiver, command, &change.lead, &message)?;
        }
    }
    Ok(())
}

fn receiver(row: &Row) -> rusqlite::Result<Receiver> {
    Ok(Receiver {
        id: row.get("id")?,
        partner: row.get("partner_id")?,
        url: row.get("url")?,
        secret: row.get("secret")?,
        next_due: row.get("next_due_at")?,
        free: row.get("free")?,
        merges: row.get("merge_updates")?,
    })
}

fn send_to(tx: &Tx, receiver: &Receiver, command: &LeadCommand, lead: &Lead, message: &Message) -> Result<()> {
    let may_merge = receiver.merges && message.action == Action::Updated;
    if may_merge && merge::into_waiting(tx, receiver.id, command, lead, message)? {
        return Ok(());
    }
    let place = lane::enter(tx, receiver.id, lead.id, command.now)?;
    let room = match place.due {
        Some(_) if receiver.free => tx.room(receiver.id, message.body.len()),
        _ => None,
    };
    let due = room.as_ref().map(|room| room.until()).or(place.due);
    let id = DeliveryId::derive(command.change, receiver.id);
    tx.run(
        "INSERT INTO deliveries (id, site_uuid, subscription_id, partner_id, lead_id, action, changed_at, state,
                                 position, due_at, lease)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            id,
            command.site,
            receiver.id,
            receiver.partner,
            lead.id,
            message.action,
            At(command.now),
            State::Waiting,
            place.position,
            due.map(At),
            room.as_ref().map(|room| room.lease()),
        ],
    )?;
    let body = params![tx.last_insert_rowid(), &message.body[..]];
    tx.run("INSERT INTO delivery_bodies (delivery_seq, body) VALUES (?1, ?2)", body)?;
    if let Some(due) = due.filter(|due| receiver.next_due.is_none_or(|next_due| next_due > At(*due))) {
        lane::due_at(tx, receiver.id, due)?;
    }
    match (room, place.due) {
        (Some(room), _) => {
            let delivery = born(&*room, id, receiver, command, lead, message)?;
            tx.hand_over(room, delivery);
        }
        (None, Some(_)) if matches!(tx.space_for(receiver.id), Space::For(_)) => tx.signal(Signal::Work),
        (None, _) => {}
    }
    Ok(())
}

/// What is sent without being read back.
fn born(
    room: &dyn Room,
    id: DeliveryId,
    receiver: &Receiver,
    command: &LeadCommand,
    lead: &Lead,
    message: &Message,
) -> Result<Leased> {
    Ok(Leased {
        id,
        lease: room.lease(),
        until: room.until(),
        site: command.site,
        partner: receiver.partner,
        subscription: receiver.id,
        lead: lead.id,
        action: message.action,
        changed: command.now,
        body: message.body.clone(),
        attempts: 0,
        url: stored_url(&receiver.url)?,
        secret: receiver.secret.clone(),
    })
}
