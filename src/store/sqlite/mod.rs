//! The embedded engine: SQLite in WAL mode. One writer thread commits in groups; a few connections read beside it.
//!
//! Each file of this directory holds the operations of one noun as plain functions on a transaction; the `impl`s of the
//! store's traits only carry them to the right thread.

mod checkpoint;
mod deliveries;
mod directory;
mod error;
mod file;
mod leads;
mod migrate;
mod oauth;
mod partners;
mod passwords;
mod purge;
mod readers;
mod recalls;
mod secrets;
mod sessions;
mod sites;
mod sources;
mod statements;
mod subscriptions;
mod throttle;
mod tokens;
mod transfer;
mod users;
mod values;
mod writer;

#[cfg(test)]
mod plans;
#[cfg(test)]
mod writer_tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use self::file::{Contents, Location};
use self::readers::Readers;
use self::statements::Statements;
pub(super) use self::transfer::Source;
use self::writer::{Durability, Tx, Writer};
use super::{OpenError, Purpose, Result, Signals, Store, StoreError};
use crate::model::Timestamp;

/// A store in a SQLite file.
pub struct SqliteStore {
    /// `None` when it was opened only to look at.
    writer: Option<Writer>,
    readers: Readers,
    signals: Arc<Signals>,
}

impl SqliteStore {
    /// Opens the database at `path`.
    pub async fn open(path: &Path, purpose: Purpose) -> std::result::Result<Self, OpenError> {
        let location = Location::new(path)?;
        blocking(move || Self::open_now(&location, purpose)).await
    }

    fn open_now(location: &Location, purpose: Purpose) -> std::result::Result<Self, OpenError> {
        let signals = Arc::new(Signals::default());
        let writer = match purpose {
            Purpose::Check => {
                let (_, contents) = location.connect()?;
                location.require_current(&contents)?;
                None
            }
            Purpose::Command | Purpose::Serve => Some(Self::open_writer(location, purpose, signals.clone())?),
        };
        let open = || open_reader(location).map_err(|error| location.failed(&error));
        let readers = Readers::start(open, |error| location.no_thread(error))?;
        Ok(Self { writer, readers, signals })
    }

    fn open_writer(
        location: &Location,
        purpose: Purpose,
        signals: Arc<Signals>,
    ) -> std::result::Result<Writer, OpenError> {
        let lock = match purpose {
            Purpose::Serve => Some(location.lock()?),
            Purpose::Command | Purpose::Check => None,
        };
        let (mut connection, _) = connect_or_create(location)?;
        let prepared = prepare(&mut connection).and_then(|_| {
            recalls::remember(&connection)?;
            match purpose {
                // The only server is this one, so whoever held a lease is dead.
                Purpose::Serve => deliveries::free_all_leases(&mut connection),
                Purpose::Command | Purpose::Check => Ok(()),
            }
        });
        prepared.map_err(|error| location.failed(&error))?;
        let other = location.open().map_err(|error| location.failed(&error))?;
        Writer::start(connection, other, signals, lock).map_err(|error| location.no_thread(error))
    }

    /// Runs `work` in the writer's next transaction.
    async fn write<T, W>(&self, durability: Durability, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Tx) -> Result<T> + Send + 'static,
    {
        match &self.writer {
            Some(writer) => writer.run(durability, work).await,
            None => Err(StoreError::Unavailable("it was opened only to look at".into())),
        }
    }

    /// Runs `work`, which finds a few rows by their keys, on a read connection.
    fn look_up<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.readers.look_up(work)
    }

    /// Runs `work`, which may read many rows, on a read connection.
    async fn read<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.readers.run(work).await
    }
}

/// Creates the database at `path` if there is none, and brings it up to date. Returns the names of the migrations that
/// were applied, in order.
pub async fn migrate(path: &Path) -> std::result::Result<Vec<String>, OpenError> {
    let location = Location::new(path)?;
    blocking(move || {
        let (mut connection, _) = connect_or_create(&location)?;
        prepare(&mut connection).map_err(|error| location.failed(&error))
    })
    .await
}

/// Runs `work`, which waits for the disk, away from the threads that must not wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn connect_or_create(location: &Location) -> std::result::Result<(Connection, Contents), OpenError> {
    location.create()?;
    location.connect()
}

/// Sets up the write connection and brings the schema up to date.
fn prepare(connection: &mut Connection) -> rusqlite::Result<Vec<String>> {
    file::keep_a_wal(connection)?;
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -8000;",
    )?;
    checkpoint::configure(connection)?;
    migrate::apply(connection)
}

/// A connection that cannot write. Not opened as read-only: the last one to close could not tidy up then.
fn open_reader(location: &Location) -> rusqlite::Result<Connection> {
    let connection = location.open()?;
    connection.execute_batch(
        "PRAGMA query_only = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cache_size = -2000;
         PRAGMA mmap_size = 67108864;",
    )?;
    Ok(connection)
}

#[async_trait]
impl Store for SqliteStore {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn ping(&self) -> Result<()> {
        if self.writer.as_ref().is_some_and(|writer| !writer.is_open()) {
            return Err(error::closed());
        }
        self.look_up(|db| Ok(db.any("SELECT 1 FROM sites LIMIT 1", []).map(|_| ())?))
    }

    async fn purge(&self, now: Timestamp, finished_before: Timestamp, limit: usize) -> Result<usize> {
        self.write(Durability::Relaxed, move |tx| purge::purge(tx, now, finished_before, limit)).await
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteStore")
    }
}
