//! What every operation begins with: a connection, to read with or to open a transaction on.

use std::sync::Arc;

use super::news::News;
use super::pool::Pool;
use super::statements::Db;
use super::transaction::{Durability, Tx};
use crate::store::Result;

/// The database, as the operations of one node share it.
#[derive(Clone)]
pub(super) struct Database {
    pool: Arc<Pool>,
    news: Arc<News>,
}

impl Database {
    pub(super) fn new(pool: Pool, news: Arc<News>) -> Self {
        Self { pool: Arc::new(pool), news }
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

    /// Closes the connections, once what is under way is finished.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
