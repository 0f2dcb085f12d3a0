//! The schema's history: SQL files, compiled in, each applied once and in one transaction.
//!
//! `user_version` counts the migrations that were applied, and is written in the transaction of each; so a database is
//! never between two versions, also when two programs migrate it at once or one is killed on the way.

use rusqlite::{Connection, Result, TransactionBehavior};

/// One step of the schema's history.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// All steps, oldest first. Never change one that was released: add another.
const MIGRATIONS: &[Migration] =
    &[Migration { name: "0001_initial", sql: include_str!("migrations/0001_initial.sql") }];

/// Marks a SQLite file as Leadgate's: "LEAD" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x4C45_4144;

/// The schema version that this program needs.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Applies what is missing. Returns the names of the migrations that were applied, in order.
pub(super) fn apply(connection: &mut Connection) -> Result<Vec<String>> {
    let mut applied = Vec::new();
    for (version, migration) in (1..).zip(MIGRATIONS) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read under the lock: another program may have been here since we looked.
        if schema_version(&transaction)? >= version {
            continue;
        }
        transaction.execute_batch(migration.sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        applied.push(migration.name.to_owned());
    }
    Ok(applied)
}

/// How many migrations have been applied.
pub(super) fn schema_version(connection: &Connection) -> Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
