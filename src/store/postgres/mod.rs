//! The engine for more than one machine: PostgreSQL. Any number of nodes share one database.
//!
//! It mirrors the embedded engine, file by file. Each file of this directory holds the operations of one noun as plain
//! functions on a transaction; the `impl`s of the store's traits only carry them there. What one writer thread does in the
//! embedded engine, locks do here: see `locks`.

mod deliveries;
mod directory;
mod error;
mod key_check;
mod leads;
mod locks;
mod migrate;
mod news;
mod oauth;
mod partners;
mod pool;
mod purge;
mod server;
mod sites;
mod sources;
mod statements;
mod subscriptions;
mod tls;
mod transaction;
mod users;
mod values;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;

use self::news::{Line, News};
use self::pool::Pool;
pub use self::server::Server;
use self::statements::{Db, params};
use self::transaction::Durability::{Full, Relaxed};
use self::transaction::{Durability, Tx, write};
use super::{OpenError, Purpose, Result, Signals, Store};
use crate::model::Timestamp;
use crate::model::seal::Sealed;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    pool: Pool,
    signals: Arc<Signals>,
    news: Arc<News>,
    /// What tells and hears the news; `None` when it was opened only to look at.
    line: Mutex<Option<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Opens the database on `server`. It must be up to date: nodes of two versions may run side by side, so none of them
    /// migrates by itself.
    pub async fn open(server: &Server, purpose: Purpose) -> std::result::Result<Self, OpenError> {
        let client = server.connect().await?;
        migrate::require_current(server, &client).await?;
        let dial = server.dial()?;
        let failed = |error| server.failed(&error);
        let node = client.query_one("SELECT gen_random_uuid()::TEXT", &[]).await.map_err(failed)?;
        let signals = Arc::new(Signals::default());
        let news = Arc::new(News::new(node.try_get(0).map_err(failed)?, signals.clone()));
        let line = match purpose {
            Purpose::Check => None,
            Purpose::Command | Purpose::Serve => {
                let line = Line::open(&dial).await.map_err(failed)?;
                Some(tokio::spawn(news.clone().run(dial.clone(), line)))
            }
        };
        Ok(Self { pool: Pool::new(server, &dial)?, signals, news, line: Mutex::new(line) })
    }

    /// A transaction.
    async fn begin(&self, durability: Durability) -> Result<Tx> {
        Tx::begin(self.pool.get().await?, self.news.clone(), durability).await
    }

    /// A transaction that reads as of one moment.
    async fn snapshot(&self) -> Result<Tx> {
        Tx::snapshot(self.pool.get().await?, self.news.clone()).await
    }

    /// A connection to read with. Each statement sees what was committed before it.
    async fn read(&self) -> Result<Db> {
        self.pool.get().await
    }
}

/// Brings the database on `server` up to date. Returns the names of the migrations that were applied, in order.
pub async fn migrate(server: &Server) -> std::result::Result<Vec<String>, OpenError> {
    migrate::apply(server).await
}

#[async_trait]
impl Store for PostgresStore {
    fn signals(&self) -> &Signals {
        &self.signals
    }

    async fn ping(&self) -> Result<()> {
        self.read().await?.any("SELECT 1 FROM sites LIMIT 1", params![]).await.map(|_| ())
    }

    async fn purge(&self, now: Timestamp, finished_before: Timestamp, limit: usize) -> Result<usize> {
        write!(self, Relaxed, tx => purge::purge(&tx, now, finished_before, limit))
    }

    async fn key_check(&self) -> Result<Option<Sealed>> {
        key_check::read(&self.read().await?).await
    }

    async fn set_key_check(&self, check: Sealed) -> Result<()> {
        write!(self, Full, tx => key_check::write_first(&tx, &check))
    }

    async fn close(&self) {
        self.pool.close().await;
        self.news.close();
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(line) = line {
            // Ends with an error only after a panic, which has been reported.
            let _ = line.await;
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresStore")
    }
}
