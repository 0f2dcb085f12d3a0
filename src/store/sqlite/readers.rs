//! The readers: a few connections that cannot write.
//!
//! In WAL mode a reader sees every commit that was answered before it began, and waits for no writer.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::{closed, panicked};
use crate::store::Result;

/// How many reads may run at once. Each is short, and the machine has few cores.
pub(super) const READERS: usize = 4;

/// A pool of read connections, and as many threads for what takes longer. Nothing else uses those: a read waits for
/// other reads only.
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Work for the threads. They end when the pool is dropped.
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Readers {
    /// A pool of these connections.
    ///
    /// # Errors
    /// The system gives us no more threads.
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in &connections {
            let queue = queue.clone();
            std::thread::Builder::new().name("sqlite-reader".into()).spawn(move || work(&queue))?;
        }
        Ok(Self { permits: Arc::new(Semaphore::new(connections.len())), idle: Arc::new(Mutex::new(connections)), jobs })
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

    /// Runs `work`, which may read many rows, in one of the pool's threads.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let borrowed = self.borrow().await?;
        let (caller, answer) = oneshot::channel();
        let job = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&borrowed)));
            // Whoever is answered finds the connection free again.
            drop(borrowed);
            // A caller that has gone away needs no answer.
            let _ = caller.send(result.unwrap_or_else(|_| Err(panicked())));
        };
        self.jobs.send(Box::new(job)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
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

/// What each thread does: whichever is free waits for the next job, the others wait for their turn to do so.
fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let next = lock(queue).recv();
        let Ok(job) = next else { return };
        job();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
