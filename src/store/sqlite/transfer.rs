//! The source of a copy to another engine: every row of a table, in batches, in the order of its key.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use tokio::sync::mpsc;

use super::blocking;
use super::error::panicked;
use super::file::{Location, Lock};
use super::values::maybe_at;
use crate::model::Timestamp;
use crate::store::transfer::{self, Batch, Table, Value};
use crate::store::{OpenError, Result, StoreError};

/// A database that nobody else serves or changes until this is dropped.
pub(in crate::store) struct Source {
    held: Arc<Mutex<Held>>,
}

/// Dropped in this order, by whoever is the last to use it.
struct Held {
    connection: Connection,
    /// Keeps servers out.
    _lock: Lock,
}

impl Source {
    /// Opens the database at `path`, which must be up to date and served by nobody.
    pub(in crate::store) async fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let location = Location::new(path)?;
        blocking(move || {
            let (connection, contents) = location.connect()?;
            location.require_current(&contents)?;
            let lock = location.lock()?;
            hold(&connection).map_err(|error| location.failed(&error))?;
            Ok(Self { held: Arc::new(Mutex::new(Held { connection, _lock: lock })) })
        })
        .await
    }

    /// How many rows there are to copy.
    pub(in crate::store) async fn count(&self) -> Result<u64> {
        self.look(|connection| {
            let count = |table: &Table| connection.query_row(&table.count_source(), [], |row| row.get(0));
            transfer::tables().map(|table| Ok(count(table).map(i64::unsigned_abs)?)).sum()
        })
        .await
    }

    /// When the first of the deliveries in the log was finished.
    pub(in crate::store) async fn first_finished(&self) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(finished_at) AS first FROM deliveries WHERE finished_at IS NOT NULL";
        self.look(move |connection| Ok(connection.query_row(sql, [], |row| maybe_at(row, "first"))?)).await
    }

    async fn look<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let held = self.held.clone();
        blocking(move || work(&held.lock().unwrap_or_else(PoisonError::into_inner).connection)).await
    }

    /// The rows of a table, in the order of their key, behind the first `skip`. Reads no more than a batch ahead.
    pub(in crate::store) fn read(&self, table: &'static Table, skip: u64) -> mpsc::Receiver<Result<Batch>> {
        let (batches, received) = mpsc::channel(1);
        let held = self.held.clone();
        tokio::task::spawn_blocking(move || {
            let connection = &held.lock().unwrap_or_else(PoisonError::into_inner).connection;
            let done = catch_unwind(AssertUnwindSafe(|| read(connection, table, skip, &batches)));
            if let Err(error) = done.unwrap_or_else(|_| Err(panicked())) {
                // Whoever has lost interest need not know.
                let _ = batches.blocking_send(Err(error));
            }
        });
        received
    }
}

/// Begins a transaction that reads as of one moment and lets nobody write meanwhile; and writes nothing.
fn hold(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA trusted_schema = OFF; BEGIN IMMEDIATE; PRAGMA query_only = ON;")
}

fn read(connection: &Connection, table: &Table, skip: u64, batches: &mpsc::Sender<Result<Batch>>) -> Result<()> {
    let mut statement = connection.prepare(&table.read_source())?;
    let columns = statement.column_count();
    let mut rows = statement.query([i64::try_from(skip).unwrap_or(i64::MAX)])?;
    let mut batch = Batch::default();
    while let Some(row) = rows.next()? {
        batch.push(values(row, columns)?);
        // It cannot be sent only if nobody wants more.
        if batch.is_full() && batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
            return Ok(());
        }
    }
    if batch.count() > 0 {
        let _ = batches.blocking_send(Ok(batch));
    }
    Ok(())
}

fn values(row: &Row, columns: usize) -> Result<transfer::Row> {
    let value = |column| match row.get_ref(column)? {
        ValueRef::Null => Ok(Value::Nothing),
        ValueRef::Integer(number) => Ok(Value::Number(number)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Real(_) => Err(StoreError::Corrupt("a fraction where there can be none".into())),
    };
    (0..columns).map(value).collect::<Result<_>>().map(transfer::Row)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

    use super::*;
    use crate::store::sqlite::migrate;

    fn migrated() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate::apply(&mut connection).unwrap();
        connection
    }

    /// The columns that there are, without those of recalls, which are for processes beside a running server, and of buckets
    /// of guesses, which are full again soon.
    fn columns(connection: &Connection) -> BTreeSet<String> {
        let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT IN ('recalls', 'guess_buckets')";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(rusqlite::Result::unwrap).collect()
    }

    #[test]
    fn every_column_is_read() {
        let mut connection = migrated();
        let there = columns(&connection);
        let read = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = read.clone();
        let watch = move |context: AuthContext<'_>| {
            if let AuthAction::Read { table_name, column_name } = context.action {
                seen.lock().unwrap().insert(format!("{table_name}.{column_name}"));
            }
            Authorization::Allow
        };
        connection.authorizer(Some(watch)).unwrap();
        for table in transfer::tables() {
            connection.prepare(&table.read_source()).unwrap();
        }
        let read = read.lock().unwrap();
        assert_eq!(there.difference(&read).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn no_table_is_sorted() {
        let connection = migrated();
        for table in transfer::tables() {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", table.read_source())).unwrap();
            let read = |row: &Row| Ok((row.get::<_, i64>("parent")?, row.get::<_, String>("detail")?));
            let plan: Vec<_> = explained.query_map([0], read).unwrap().map(rusqlite::Result::unwrap).collect();
            let sorted = plan.iter().any(|(parent, step)| *parent == 0 && step.contains("TEMP B-TREE"));
            assert!(!sorted, "{}: {plan:#?}", table.name);
        }
    }
}
