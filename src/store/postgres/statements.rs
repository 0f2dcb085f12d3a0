//! A connection of the pool, and shorthands for running prepared statements on it. Each text is prepared once for each
//! connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use deadpool_postgres::Object;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, ToStatement};

use super::error::{is_conflict, too_slow};
use super::server::ANSWER;
use crate::store::{Result, StoreError};

/// What reading a row comes to.
pub(super) type RowResult<T> = std::result::Result<T, tokio_postgres::Error>;

/// Values for a statement's parameters.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// References to values, as a statement's parameters.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$(&$value as &(dyn tokio_postgres::types::ToSql + Sync)),*] };
}
pub(super) use params;

/// A connection, borrowed from the pool.
pub(super) struct Db {
    /// `None` only while it is dropped.
    client: Option<Object>,
    /// Set when the connection is in an unknown state: it is not given back to the pool then.
    spoilt: AtomicBool,
    /// Set when a statement failed because of other transactions.
    conflict: AtomicBool,
    /// Statements that are not on their way to the server: they are being prepared, or could not be written down.
    unsent: AtomicUsize,
    /// Set when COMMIT is on its way: what came now would be outside of the transaction.
    sealed: AtomicBool,
    /// Given back last.
    _permit: OwnedSemaphorePermit,
}

impl Db {
    pub(super) fn new(client: Object, permit: OwnedSemaphorePermit) -> Self {
        Self {
            client: Some(client),
            spoilt: false.into(),
            conflict: false.into(),
            unsent: AtomicUsize::new(0),
            sealed: false.into(),
            _permit: permit,
        }
    }

    fn client(&self) -> &Object {
        self.client.as_ref().expect("taken only when dropped")
    }

    /// Runs a statement that returns no rows; the number of rows that it changed.
    pub(super) async fn run(&self, sql: &str, params: Params<'_>) -> Result<usize> {
        let statement = self.prepared(sql).await?;
        let changed = self.answer(self.sent(self.client().execute(&statement, params))).await?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// The first row, if there is one.
    pub(super) async fn one<T>(
        &self,
        sql: &str,
        params: Params<'_>,
        read: impl FnOnce(&Row) -> RowResult<T>,
    ) -> Result<Option<T>> {
        let rows = self.rows(sql, params).await?;
        Ok(rows.first().map(read).transpose()?)
    }

    /// All rows.
    pub(super) async fn all<T>(
        &self,
        sql: &str,
        params: Params<'_>,
        read: impl FnMut(&Row) -> RowResult<T>,
    ) -> Result<Vec<T>> {
        let rows = self.rows(sql, params).await?;
        Ok(rows.iter().map(read).collect::<RowResult<_>>()?)
    }

    /// Whether there is a row.
    pub(super) async fn any(&self, sql: &str, params: Params<'_>) -> Result<bool> {
        Ok(!self.rows(sql, params).await?.is_empty())
    }

    /// Runs statements without parameters and results.
    pub(super) async fn batch(&self, sql: &str) -> Result<()> {
        self.answer(self.client().batch_execute(sql)).await
    }

    /// Prepares statements that are to be sent in one go. What is sent together with `tokio::join!(biased; …)` arrives in
    /// that order, as long as none of it has to be prepared first.
    pub(super) async fn make_ready(&self, statements: &[&str]) -> Result<()> {
        for sql in statements {
            self.prepared(sql).await?;
        }
        Ok(())
    }

    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let statement = self.prepared(sql).await?;
        self.answer(self.sent(self.client().query(&statement, params))).await
    }

    /// Runs a prepared statement, and notes when it is sent: the driver does that, or fails to, when it is polled first.
    async fn sent<T>(&self, statement: impl Future<Output = RowResult<T>>) -> RowResult<T> {
        let mut statement = pin!(statement);
        let mut first = true;
        self.unsent.fetch_add(1, Ordering::Relaxed);
        poll_fn(|context| {
            let polled = statement.as_mut().poll(context);
            if std::mem::take(&mut first) && !matches!(polled, Poll::Ready(Err(_))) {
                self.unsent.fetch_sub(1, Ordering::Relaxed);
            }
            polled
        })
        .await
    }

    /// Has [`Db::seal`] refuse from now on: something failed, sent or not.
    pub(super) fn stay_open(&self) {
        self.unsent.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes no more statements, if everything that was begun is on its way to the server, or answered. Returns whether it is:
    /// never, if something could not be prepared or sent.
    pub(super) fn seal(&self) -> bool {
        let all_is_sent = self.unsent.load(Ordering::Relaxed) == 0;
        self.sealed.store(all_is_sent, Ordering::Relaxed);
        all_is_sent
    }

    async fn prepared(&self, sql: &str) -> Result<impl ToStatement + use<>> {
        if self.sealed.load(Ordering::Relaxed) {
            return Err(StoreError::Failed("a statement came after COMMIT".into()));
        }
        self.unsent.fetch_add(1, Ordering::Relaxed);
        let statement = self.answer(self.client().prepare_cached(sql)).await?;
        self.unsent.fetch_sub(1, Ordering::Relaxed);
        Ok(statement)
    }

    /// Waits for the server's answer, but not for ever: a server that is cut off does not even refuse.
    async fn answer<T>(&self, answer: impl Future<Output = RowResult<T>>) -> Result<T> {
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if is_conflict(&error) {
                    self.conflict.store(true, Ordering::Relaxed);
                }
                Err(error.into())
            }
            Err(_) => {
                self.spoil();
                Err(too_slow())
            }
        }
    }

    /// Keeps the connection from being used again.
    pub(super) fn spoil(&self) {
        self.spoilt.store(true, Ordering::Relaxed);
    }

    /// Whether statements can be expected to be answered.
    pub(super) fn is_well(&self) -> bool {
        !self.spoilt.load(Ordering::Relaxed) && !self.client().is_closed()
    }

    /// It can be used again after all.
    pub(super) fn mend(&self) {
        self.spoilt.store(false, Ordering::Relaxed);
    }

    /// Whether a statement failed because of other transactions.
    pub(super) fn met_conflict(&self) -> bool {
        self.conflict.load(Ordering::Relaxed)
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let client = self.client.take();
        if self.spoilt.load(Ordering::Relaxed) {
            // Taken out of the pool, and closed: the server rolls back what was open.
            drop(client.map(Object::take));
        }
    }
}
