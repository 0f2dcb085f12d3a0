//! The engine for more than one machine: PostgreSQL. Any number of nodes share one database.
//!
//! It mirrors the embedded engine, file by file. Each file of this directory holds the operations of one noun as plain
//! functions on a transaction; the `impl`s of the store's traits only carry them there. What one writer thread does in the
//! embedded engine, locks do here: see `locks`.

mod copy_mark;
mod database;
mod deliveries;
mod dial;
mod directory;
mod error;
mod leads;
mod locks;
mod lookups;
mod migrate;
mod news;
mod oauth;
mod partitions;
mod partners;
mod passwords;
mod pool;
mod purge;
mod secrets;
mod server;
mod sessions;
mod sites;
mod sources;
mod statements;
mod subscriptions;
mod throttle;
mod tls;
mod tokens;
mod transaction;
mod transfer;
mod users;
mod values;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use self::database::Database;
use self::dial::Dial;
use self::leads::Intake;
use self::lookups::LookUps;
use self::news::{Line, News};
use self::pool::Pool;
use self::server::ANSWER;
pub use self::server::Server;
use self::statements::params;
use self::transaction::Durability::Relaxed;
use self::transaction::write;
pub(super) use self::transfer::Target;
use super::{OpenError, Purpose, Result, Signals, Store, StoreError};
use crate::model::Timestamp;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    database: Database,
    /// What carries out lead commands, in groups.
    intake: Intake,
    /// What looks up whoever sends leads in.
    look_ups: LookUps,
    signals: Arc<Signals>,
    news: Arc<News>,
    /// What tells and hears the news; `None` when it was opened only to look at.
    line: Mutex<Option<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Opens the database on `server`. It must be up to date: nodes of two versions may run side by side, so none of them
    /// migrates by itself.
    pub async fn open(server: &Server, purpose: Purpose) -> std::result::Result<Self, OpenError> {
        let dial = server.dial()?;
        let client = server.connect_by(&dial).await?;
        server.in_time(ANSWER, Self::open_by(server, dial, client, purpose)).await
    }

    /// The same, once the server has taken a call.
    async fn open_by(
        server: &Server,
        dial: Dial,
        client: Client,
        purpose: Purpose,
    ) -> std::result::Result<Self, OpenError> {
        let failed = |error| server.failed(&error);
        migrate::require_current(server, &client).await?;
        let node = client.query_one("SELECT gen_random_uuid()::TEXT", &[]).await.map_err(failed)?;
        let signals = Arc::new(Signals::default());
        let news = Arc::new(News::new(node.try_get(0).map_err(failed)?, signals.clone()));
        let line = match purpose {
            Purpose::Check => None,
            Purpose::Command | Purpose::Serve => Some(Self::take_part(server, &dial).await?),
        };
        // Only now: whoever begins a copy later finds us here.
        copy_mark::require_finished(server, &client).await?;
        let line = line.map(|line| tokio::spawn(news.clone().run(dial.clone(), line)));
        let database = Database::new(Pool::new(server, &dial)?, news.clone());
        let intake = Intake::start(database.clone());
        let look_ups = LookUps::new(database.clone());
        Ok(Self { database, intake, look_ups, signals, news, line: Mutex::new(line) })
    }

    /// A line to the other nodes, which keeps copies out of the database.
    async fn take_part(server: &Server, dial: &Dial) -> std::result::Result<Line, OpenError> {
        let failed = |error| server.failed(&error);
        let mut line = Line::open(dial).await.map_err(failed)?;
        match line.use_database().await.map_err(failed)? {
            true => Ok(line),
            false => Err(OpenError::Unfinished(server.to_string())),
        }
    }

    /// Makes partitions of the delivery log ahead, and drops one that is past. Returns how many were dropped.
    async fn care_for_partitions(&self, now: Timestamp, finished_before: Timestamp) -> Result<usize> {
        if !partitions::need_care(&self.database.read().await?, now, finished_before).await? {
            return Ok(0);
        }
        // Apart: what one of them cannot have now does not undo the other.
        let made: Result<()> = write!(self, Relaxed, tx => partitions::cover(&tx, now, finished_before));
        let dropped: Result<usize> = write!(self, Relaxed, tx => partitions::drop_one(&tx, finished_before));
        if_free(made)?;
        Ok(if_free(dropped)?.unwrap_or(0))
    }
}

/// What came of an operation that waits for nobody; `None` if others were in the way, and it is for the next housekeeping.
fn if_free<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(StoreError::Unavailable(reason)) => {
            tracing::debug!(reason, "the delivery log's partitions are left for later");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Brings the database on `server` up to date. Returns the names of the migrations that were applied, in order.
pub async fn migrate(server: &Server) -> std::result::Result<Vec<String>, OpenError> {
    let applied = migrate::apply(server).await?;
    // What was applied is, whatever comes of this. Until housekeeping has made the partitions, the log's net is enough.
    if let Err(error) = begin_partitions(server).await {
        tracing::warn!(%error, "the delivery log's partitions are left to housekeeping");
    }
    Ok(applied)
}

async fn begin_partitions(server: &Server) -> std::result::Result<(), OpenError> {
    let failed = |error: StoreError| OpenError::Failed { path: server.to_string(), cause: error.to_string() };
    let pool = Pool::new(server, &server.dial()?)?;
    partitions::begin(&pool.get().await.map_err(failed)?).await.map_err(failed)?;
    pool.close().await;
    Ok(())
}

#[async_trait]
impl Store for PostgresStore {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn ping(&self) -> Result<()> {
        self.database.read().await?.any("SELECT 1 FROM sites LIMIT 1", params![]).await.map(|_| ())
    }

    async fn purge(&self, now: Timestamp, finished_before: Timestamp, limit: usize) -> Result<usize> {
        let dropped = self.care_for_partitions(now, finished_before).await?;
        let deleted: Result<usize> = write!(self, Relaxed, tx => purge::purge(&tx, now, finished_before, limit));
        Ok(dropped + deleted?)
    }

    async fn close(&self) {
        self.intake.close().await;
        self.database.close().await;
        self.news.close();
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(line) = line {
            // Ends with an error only after a panic, which has been reported.
            let _ = line.await;
        }
    }
}

impl Drop for PostgresStore {
    /// One that is dropped without being closed leaves no task behind.
    fn drop(&mut self) {
        self.news.close();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresStore")
    }
}
