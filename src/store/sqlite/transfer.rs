//! The source of a copy to another engine: every row of a table, in batches, in the order of its key.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use tokio::sync::mpsc;

use super::file::Location;
use super::blocking;
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
    _lock: File,
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
        let held = self.held.clone();
        blocking(move || {
            let connection = &held.lock().unwrap_or_else(PoisonError::into_inner).connection;
            let count = |table: &Table| {
                let sql = format!("SELECT count(*) FROM {}", table.name);
                let counted = connection.query_row(&sql, [], |row| row.get(0)).map(i64::unsigned_abs);
                counted.map_err(StoreError::from)
            };
            transfer::tables().map(count).sum()
        })
        .await
    }

    /// The rows of a table, in the order of their key, behind the first `skip`. Reads no more than a batch ahead.
    pub(in crate::store) fn read(&self, table: &'static Table, skip: u64) -> mpsc::Receiver<Result<Batch>> {
        let (batches, received) = mpsc::channel(1);
        let held = self.held.clone();
        tokio::task::spawn_blocking(move || {
            let connection = &held.lock().unwrap_or_else(PoisonError::into_inner).connection;
            if let Err(error) = read(connection, table, skip, &batches) {
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
