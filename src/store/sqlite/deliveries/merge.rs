//! Bursts: an update of a lead that still waits at the end of its lane takes in the next one, for partners that want it.

use rusqlite::params;

use crate::model::lead::{Lead, LeadCommand, Message};
use crate::model::partner::Slug;
use crate::model::{DeliveryId, SubscriptionId};
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::At;
use crate::store::sqlite::writer::Tx;
use crate::store::{Result, Signal};

/// The last of what waits in a lane, if it is an update that nobody has attempted. Who has a lease may be sending it; who had one
/// may have sent it. What is replayed has been attempted, whatever `attempts` says.
pub(in crate::store::sqlite) const LAST_UPDATE: &str = "SELECT d.seq, d.due_at IS NOT NULL AS is_due, b.body, p.slug
     FROM deliveries d
     JOIN delivery_bodies b ON b.delivery_seq = d.seq
     JOIN partners p ON p.id = d.partner_id
     WHERE d.seq = (
             SELECT seq FROM deliveries
             WHERE subscription_id = ?1 AND lead_id = ?2 AND state = 'waiting' ORDER BY position DESC LIMIT 1
         )
       AND d.action = 'updated' AND d.attempts = 0 AND d.lease IS NULL AND d.story IS NULL";

/// A delivery that can take in another.
struct Waiting {
    seq: i64,
    is_due: bool,
    body: Vec<u8>,
    receiver: Slug,
}

/// Merges a change into what waits for the subscription, if that can be: it keeps its place and its due time, and is from then on
/// the delivery of this change. Returns whether it did.
pub(super) fn into_waiting(
    tx: &Tx,
    subscription: SubscriptionId,
    command: &LeadCommand,
    lead: &Lead,
    message: &Message,
) -> Result<bool> {
    let waiting = tx.one(LAST_UPDATE, params![subscription, lead.id], |row| {
        Ok(Waiting {
            seq: row.get("seq")?,
            is_due: row.get("is_due")?,
            body: row.get("body")?,
            receiver: row.get("slug")?,
        })
    })?;
    let Some(waiting) = waiting else { return Ok(false) };
    let Some(body) = message.merged_into(&waiting.body, &waiting.receiver, lead) else { return Ok(false) };
    let id = DeliveryId::derive(command.change, subscription);
    let sql = "UPDATE deliveries SET id = ?2, changed_at = ?3 WHERE seq = ?1";
    tx.run(sql, params![waiting.seq, id, At(command.now)])?;
    tx.run("UPDATE delivery_bodies SET body = ?2 WHERE delivery_seq = ?1", params![waiting.seq, &body[..]])?;
    if waiting.is_due {
        tx.signal(Signal::Work);
    }
    Ok(true)
}
