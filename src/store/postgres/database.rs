//! What every operation begins with: a connection, to read with or to open a transaction on.

use std::sync::{Arc, PoisonError, RwLock};

use super::news::News;
use super::pool::Pool;
use super::statements::Db;
use super::transaction::{Durability, Tx};
use crate::store::Result;

/// The database, as the operations of one node share it.
#[derive(Clone)]
pub(super) struct Database {
    pool: Arc<Pool>,
    /// The connection of all short reads.
    short: Arc<RwLock<Option<Arc<Db>>>>,
    news: Arc<News>,
}

impl Database {
    pub(super) fn new(pool: Pool, news: Arc<News>) -> Self {
        Self { pool: Arc::new(pool), short: Arc::default(), news }
    }

    /// A transaction.
    pub(super) async fn begin(&self, durability: Durability) -> Result<Tx> {
        Tx::begin(self.pool.get().await?, self.news.clone(), durability).await
    }

    /// A transaction that is begun together with its first statements.
    pub(super) async fn unbegun(&self) -> Result<Tx> {
        Ok(Tx::unbegun(self.pool.get().await?, self.news.clone()))
    }

    /// A transaction that reads as of one moment.
    pub(super) async fn snapshot(&self) -> Result<Tx> {
        Tx::snapshot(self.pool.get().await?, self.news.clone()).await
    }

    /// A connection to read with. Each statement sees what was committed before it.
    pub(super) async fn read(&self) -> Result<Db> {
        self.pool.get().await
    }

    /// The connection for reads that take no time: one row by its key. All callers share it. Their statements are sent as
    /// they come and answered in that order, so that at full load one system call carries many of them.
    pub(super) async fn short_read(&self) -> Result<Arc<Db>> {
        let shared = self.short.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(db) = shared.filter(|db| db.is_well()) {
            return Ok(db);
        }
        // Whoever comes meanwhile gets one, too: while the database is away, nobody waits for anybody. The last one stays.
        let db = Arc::new(self.pool.get().await?);
        *self.short.write().unwrap_or_else(PoisonError::into_inner) = Some(db.clone());
        Ok(db)
    }

    /// Closes the connections, once what is under way is finished.
    pub(super) async fn close(&self) {
        *self.short.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.pool.close().await;
    }
}
