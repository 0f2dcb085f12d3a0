//! Recalls: who has what under a lease when its subscription is removed or changed, and whether they still do.

use tokio_postgres::Row;

use crate::model::{DeliveryId, LeaseToken, SubscriptionId, Timestamp};
use crate::store::postgres::statements::{Db, RowResult, params};
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::At;
use crate::store::{Outstanding, Result, Signal};

/// What is under a lease of these. There is no index of leases, which would cost each of them. What was due before it was leased
/// lies at the front of what is due: whoever leases takes the first that nobody has. What was written under a lease is due when
/// that ends, in less than a minute with the usual time-out, and so lies before most of what was put off. Of either no more is
/// looked at than nine nodes could hold of one subscription, as nodes are set by default.
const UNDER_LEASE: &str = "SELECT held.id, held.lease
     FROM unnest($1::UUID[]) AS recalled (id) CROSS JOIN LATERAL (
         SELECT id, lease FROM (
             SELECT id, lease, greatest(due_at, leased_until) AS until FROM deliveries
             WHERE subscription_id = recalled.id AND due_at <= $2 ORDER BY due_at, seq LIMIT 5000
         ) due WHERE lease > '00000000-0000-0000-0000-000000000000' AND until > $2
         UNION ALL
         SELECT id, lease FROM (
             SELECT id, lease, greatest(due_at, leased_until) AS until FROM deliveries
             WHERE subscription_id = recalled.id AND due_at > $2 ORDER BY due_at, seq LIMIT 5000
         ) later WHERE lease > '00000000-0000-0000-0000-000000000000' AND until > $2
     ) held";

/// A lease is of one holder, so which of them a delivery is under needs no looking at.
const STILL_UNDER_LEASE: &str = "SELECT id, lease FROM deliveries
     WHERE id = ANY($1) AND lease = ANY($2) AND greatest(due_at, leased_until) > $3";

/// Tells everybody that what they hold for these is out of date. Returns what others hold: all of it, since whoever leases or
/// writes under a lease shares the site, which the caller has taken.
pub(in crate::store::postgres) async fn recall(
    tx: &Tx,
    subscriptions: &[SubscriptionId],
    now: Timestamp,
) -> Result<Outstanding> {
    if subscriptions.is_empty() {
        return Ok(Outstanding::default());
    }
    subscriptions.iter().for_each(|id| tx.signal(Signal::Recalled(*id)));
    let held = tx.all(UNDER_LEASE, params![subscriptions, At(now)], held).await?;
    Ok(held.into_iter().filter(|(_, lease)| !tx.is_own(*lease)).collect())
}

/// Those that are still under these leases.
pub(super) async fn still_outstanding(db: &Db, recalled: &Outstanding, now: Timestamp) -> Result<Outstanding> {
    let (ids, leases): (Vec<_>, Vec<_>) = recalled.iter().unzip();
    Ok(db.all(STILL_UNDER_LEASE, params![ids, leases, At(now)], held).await?.into_iter().collect())
}

fn held(row: &Row) -> RowResult<(DeliveryId, LeaseToken)> {
    Ok((row.try_get("id")?, row.try_get("lease")?))
}
