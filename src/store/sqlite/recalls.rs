//! Recalls between processes: a command that removes a site tells the server beside it, which may hold deliveries of that
//! site's subscriptions in memory, leased and about to be sent.
//!
//! Recalls are written down in the transaction that causes them. The process itself is told by a signal, before its caller
//! is answered; another one reads what is new whenever it leases, and its driver does so at least each second.

use rusqlite::{Connection, Row, params};

use super::statements::Statements;
use super::values::At;
use super::writer::Tx;
use crate::model::{DeliveryId, LeaseToken, SubscriptionId, Timestamp};
use crate::store::{Outstanding, Result, Signal};

/// What this connection has heeded, and what it has written itself. In temporary tables, so that a transaction that is
/// rolled back takes its part of them along.
const MEMORY: &str = "CREATE TEMP TABLE heeded AS SELECT coalesce(max(seq), 0) AS seq FROM recalls;
     CREATE TEMP TABLE own_recalls (seq INTEGER PRIMARY KEY);";

const NEWS: &str = "SELECT r.subscription_id FROM recalls r
     WHERE r.seq > (SELECT seq FROM temp.heeded) AND r.seq NOT IN (SELECT seq FROM temp.own_recalls)";

/// What is under a lease of a subscription. The plus sign is for the planner: by due times, it would also read all retries.
pub(super) const UNDER_LEASE: &str = "SELECT id, lease FROM deliveries
     WHERE subscription_id = ?1 AND lease > x'00000000000000000000000000000000' AND +due_at > ?2";

/// A delivery, if it is under this lease.
pub(super) const UNDER_THIS_LEASE: &str =
    "SELECT id, lease FROM deliveries WHERE id = ?1 AND lease = ?2 AND due_at > ?3";

/// From now on, recalls of other processes are news to this connection.
pub(super) fn remember(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(MEMORY)
}

/// Tells everybody that what they hold for these is out of date. Returns what other processes hold.
pub(super) fn recall(tx: &Tx, subscriptions: &[SubscriptionId], now: Timestamp) -> Result<Outstanding> {
    let mut outstanding = Vec::new();
    for subscription in subscriptions {
        announce(tx, *subscription)?;
        outstanding.extend(tx.all(UNDER_LEASE, params![subscription, At(now)], held)?);
    }
    Ok(outstanding.into_iter().filter(|(_, lease)| !tx.is_own(*lease)).collect())
}

/// Those that are still under these leases.
pub(super) fn still_outstanding(db: &Connection, recalled: &Outstanding, now: Timestamp) -> Result<Outstanding> {
    let still = recalled.iter().map(|(id, lease)| db.one(UNDER_THIS_LEASE, params![id, lease, At(now)], held));
    let still: Vec<_> = still.collect::<rusqlite::Result<_>>()?;
    Ok(still.into_iter().flatten().collect())
}

fn held(row: &Row) -> rusqlite::Result<(DeliveryId, LeaseToken)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn announce(tx: &Tx, subscription: SubscriptionId) -> Result<()> {
    tx.run("INSERT INTO recalls (subscription_id) VALUES (?1)", [subscription])?;
    tx.run("INSERT INTO temp.own_recalls (seq) VALUES (?1)", [tx.last_insert_rowid()])?;
    tx.signal(Signal::Recalled(subscription));
    Ok(())
}

/// Hears what other processes have announced.
pub(super) fn heed(tx: &Tx) -> Result<()> {
    if !tx.any("SELECT 1 FROM recalls WHERE seq > (SELECT seq FROM temp.heeded)", [])? {
        return Ok(());
    }
    for subscription in tx.all(NEWS, [], |row| row.get(0))? {
        tx.signal(Signal::Recalled(subscription));
    }
    tx.run("UPDATE temp.heeded SET seq = (SELECT max(seq) FROM recalls)", [])?;
    tx.run("DELETE FROM temp.own_recalls", [])?;
    Ok(())
}
