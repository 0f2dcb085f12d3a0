//! The readers: a few connections that cannot write.
//!
//! In WAL mode a reader sees every commit that was answered before it began, and waits for no writer.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::closed;
use crate::store::{Result, StoreError};

/// How many reads may run at once. Each is short, and the machine has few cores.
pub(super) const READERS: usize = 4;

/// A pool of read connections.
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    /// A pool of these connections.
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self { permits: Arc::new(Semaphore::new(connections.len())), idle: Arc::new(Mutex::new(connections)) }
    }

    /// Runs `work`, which finds a few rows by their keys, in the caller's own thread. That takes some ten microseconds,
    /// since nothing locks a reader out and such pages are in memory; to hand it to another thread takes many times
    /// that, on every request.
    pub(super) async fn look_up<T, W>(&self, work: W) -> Result<T>
    where
        W: FnOnce(&Connection) -> Result<T> + Send,
    {
        let borrowed = self.borrow().await?;
        work(&borrowed)
    }

    /// Runs `work`, which may read many rows, in a thread that the runtime keeps for what takes longer.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let borrowed = self.borrow().await?;
        let done = tokio::task::spawn_blocking(move || work(&borrowed)).await;
        done.unwrap_or_else(|error| match error.is_panic() {
            true => Err(StoreError::Failed("a bug in the store: the operation panicked".into())),
            // The runtime is stopping.
            false => Err(closed()),
        })
    }

    /// A connection that is free, as soon as there is one.
    async fn borrow(&self) -> Result<Borrowed> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| closed())?;
        let connection = lock(&self.idle).pop().ok_or_else(closed)?;
        Ok(Borrowed { connection: Some(connection), idle: self.idle.clone(), permit })
    }

    /// Closes the connections, once each is free.
    pub(super) async fn close(&self) {
        let all = u32::try_from(READERS).expect("a small number");
        // It fails only if the pool is closed already.
        let _all = self.permits.acquire_many(all).await;
        self.permits.close();
        lock(&self.idle).clear();
    }
}

/// A connection that goes back into the pool, also when its user panics.
struct Borrowed {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Given back last: whoever gets it next finds the connection.
    #[allow(dead_code)] // held, not read
    permit: OwnedSemaphorePermit,
}

impl Deref for Borrowed {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        lock(&self.idle).extend(self.connection.take());
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
