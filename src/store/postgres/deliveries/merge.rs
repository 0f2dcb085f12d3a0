//! Bursts: an update of a lead that still waits at the end of its lane takes in the next one, for partners that want it.
//!
//! What waits there is read once the lead is ours: from then on only a lease can come between. So whether it is still nobody's
//! is asked again by the statement that merges, and what it does not find free is sent by itself.

use std::collections::HashMap;

use bytes::Bytes;
use tokio_postgres::Row;

use super::lane::Place;
use super::outbox::{Lane, Receiver};
use crate::model::lead::{Lead, LeadCommand, Message};
use crate::model::partner::Slug;
use crate::model::{DeliveryId, LeadId, PartnerId, SiteId, SubscriptionId};
use crate::store::Result;
use crate::store::postgres::statements::{Db, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::At;

/// The last of what waits in each of these lanes, if it is an update that nobody has attempted. Who has a lease may be sending
/// it; who had one may have sent it. What is replayed has been attempted, whatever `attempts` says.
pub(in crate::store::postgres) const LAST_UPDATES: &str =
    "SELECT d.subscription_id, d.lead_id, d.seq, d.due_at IS NOT NULL AS is_due, b.body, p.slug
     FROM unnest($1::UUID[], $2::UUID[]) AS lane (subscription_id, lead_id)
     CROSS JOIN LATERAL (
         SELECT * FROM deliveries d
         WHERE d.subscription_id = lane.subscription_id AND d.lead_id = lane.lead_id
         ORDER BY d.position DESC LIMIT 1
     ) d
     CROSS JOIN LATERAL (SELECT body, story FROM delivery_bodies b WHERE b.delivery_seq = d.seq LIMIT 1) b
     CROSS JOIN LATERAL (SELECT slug FROM partners p WHERE p.id = d.partner_id LIMIT 1) p
     WHERE d.action = 'updated' AND d.attempts = 0 AND d.lease IS NULL AND b.story IS NULL";

/// Merges changes into what waits (`$1`), each with its new id, time and body (`$2` to `$4`): it keeps its place, its age and its
/// due time. A change whose place has been leased since is sent by itself (`$5` to `$10`), behind it.
///
/// The row is deleted and written anew, not updated. A lease that began before this was committed would otherwise take the row
/// as it is now with the body as it was: a statement follows the rows that it locks to their newest version, and sees all others
/// as of its beginning.
const MERGE: &str = "WITH new AS (
         SELECT * FROM unnest($1::BIGINT[], $2::UUID[], $3::BIGINT[], $4::BYTEA[], $5::UUID[], $6::UUID[], $7::UUID[],
                              $8::UUID[], $9::BIGINT[], $10::BYTEA[])
             AS new (into_seq, id, changed_at, merged, site_uuid, lead_id, subscription_id, partner_id, position, alone)
     ), free AS (
         DELETE FROM deliveries WHERE seq = ANY(ARRAY(
             SELECT seq FROM deliveries WHERE seq = ANY($1) AND lease IS NULL FOR UPDATE SKIP LOCKED
         ))
         RETURNING seq, position, due_at
     ), placed AS MATERIALIZED (
         SELECT new.site_uuid, new.lead_id, new.changed_at, new.id, new.subscription_id, new.partner_id, new.alone,
                coalesce(free.seq, nextval(pg_get_serial_sequence('deliveries', 'seq'))) AS seq,
                coalesce(free.position, new.position) AS position, free.due_at, free.seq IS NULL AS is_late
         FROM new LEFT JOIN free ON free.seq = new.into_seq
     ), sent AS (
         INSERT INTO deliveries (site_uuid, seq, lead_id, action, changed_at, id, subscription_id, partner_id, position, due_at)
         OVERRIDING SYSTEM VALUE
         SELECT site_uuid, seq, lead_id, 'updated', changed_at, id, subscription_id, partner_id, position, due_at FROM placed
     ), rewritten AS (
         UPDATE delivery_bodies SET body = $4[array_position($1, delivery_seq)]
         WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM free))
     )
     INSERT INTO delivery_bodies (site_uuid, delivery_seq, body) SELECT site_uuid, seq, alone FROM placed WHERE is_late";

/// A delivery that can take in another.
pub(in crate::store::postgres) struct Waiting {
    seq: i64,
    is_due: bool,
    body: Vec<u8>,
    receiver: Slug,
}

/// What can take in an update, lane by lane.
pub(in crate::store::postgres) type LastUpdates = HashMap<Lane, Waiting>;

/// What waits at the end of these lanes and can take in an update.
pub(in crate::store::postgres) async fn last_updates(db: &Db, lanes: &[Lane]) -> Result<LastUpdates> {
    if lanes.is_empty() {
        return Ok(LastUpdates::new());
    }
    let (subscriptions, leads): (Vec<_>, Vec<_>) = lanes.iter().copied().unzip();
    let read = |row: &Row| {
        let waiting = Waiting {
            seq: row.try_get("seq")?,
            is_due: row.try_get("is_due")?,
            body: row.try_get("body")?,
            receiver: row.try_get("slug")?,
        };
        Ok(((row.try_get("subscription_id")?, row.try_get("lead_id")?), waiting))
    };
    Ok(db.all(LAST_UPDATES, params![subscriptions, leads], read).await?.into_iter().collect())
}

/// A change that is merged into what waits, or else sent behind it.
struct Merge {
    into: i64,
    id: DeliveryId,
    changed: At,
    merged: Bytes,
    site: SiteId,
    lead: LeadId,
    subscription: SubscriptionId,
    partner: PartnerId,
    position: i64,
    alone: Bytes,
}

/// What a group of changes merges.
#[derive(Default)]
pub(super) struct Merges {
    all: Vec<Merge>,
    /// Whether anything of it is due. A driver may pass it by while it is being merged, and is to look again.
    pub(super) due: bool,
}

impl Merges {
    /// Adds the change, if it can be merged into what waits at the end of its lane, behind which is the place `end`. Returns
    /// whether it can.
    pub(super) fn add(
        &mut self,
        command: &LeadCommand,
        lead: &Lead,
        message: &Message,
        receiver: &Receiver,
        end: Option<i64>,
        waiting: Option<&Waiting>,
    ) -> bool {
        let Some(waiting) = waiting else { return false };
        let Some(merged) = message.merged_into(&waiting.body, &waiting.receiver, lead) else { return false };
        self.due |= waiting.is_due;
        self.all.push(Merge {
            into: waiting.seq,
            id: DeliveryId::derive(command.change, receiver.subscription),
            changed: At(command.now),
            merged,
            site: command.site,
            lead: lead.id,
            subscription: receiver.subscription,
            partner: receiver.partner,
            position: Place::behind(end, command.now).position,
            alone: message.body.clone(),
        });
        true
    }

    /// Merges them.
    pub(super) async fn write(&self, tx: &Tx) -> Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        let into: Vec<_> = self.all.iter().map(|merge| merge.into).collect();
        let ids: Vec<_> = self.all.iter().map(|merge| merge.id).collect();
        let changed: Vec<_> = self.all.iter().map(|merge| merge.changed).collect();
        let merged: Vec<_> = self.all.iter().map(|merge| &merge.merged[..]).collect();
        let sites: Vec<_> = self.all.iter().map(|merge| merge.site).collect();
        let leads: Vec<_> = self.all.iter().map(|merge| merge.lead).collect();
        let subscriptions: Vec<_> = self.all.iter().map(|merge| merge.subscription).collect();
        let partners: Vec<_> = self.all.iter().map(|merge| merge.partner).collect();
        let positions: Vec<_> = self.all.iter().map(|merge| merge.position).collect();
        let alone: Vec<_> = self.all.iter().map(|merge| &merge.alone[..]).collect();
        let params = params![into, ids, changed, merged, sites, leads, subscriptions, partners, positions, alone];
        tx.run(MERGE, params).await.map(|_| ())
    }
}
