//! Recalls between processes: a command that removes a site tells the server beside it, which may hold deliveries of that
//! site's subscriptions in memory, leased and about to be sent.
//!
//! Recalls are written down in the transaction that causes them. The process itself is told by a signal, before its caller
//! is answered; another one reads what is new whenever it leases, and its driver does so at least each second.

use rusqlite::Connection;

use super::statements::Statements;
use super::writer::Tx;
use crate::model::SubscriptionId;
use crate::store::{Result, Signal};

/// What this connection has heeded, and what it has written itself. In temporary tables, so that a transaction that is
/// rolled back takes its part of them along.
const MEMORY: &str = "CREATE TEMP TABLE heeded AS SELECT coalesce(max(seq), 0) AS seq FROM recalls;
     CREATE TEMP TABLE own_recalls (seq INTEGER PRIMARY KEY);";

const NEWS: &str = "SELECT r.subscription_id FROM recalls r
     WHERE r.seq > (SELECT seq FROM temp.heeded) AND r.seq NOT IN (SELECT seq FROM temp.own_recalls)";

/// From now on, recalls of other processes are news to this connection.
pub(super) fn remember(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(MEMORY)
}

/// Tells everybody that what they hold for a subscription is out of date.
pub(super) fn announce(tx: &Tx, subscription: SubscriptionId) -> Result<()> {
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
