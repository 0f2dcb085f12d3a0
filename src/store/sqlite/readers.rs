//! The readers: a few connections that cannot write.
//!
//! In WAL mode a reader sees every commit that was answered before it began, and waits for no writer.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

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
        // Nothing here is shared by counting its users: all threads would count in the same place.
        let permit = self.permits.acquire().await.map_err(|_| closed())?;
        let borrowed = Borrowed::take(&*self.idle, permit)?;
        work(&borrowed)
    }

    /// Runs `work`, which may read many rows, in one of the pool's threads.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| closed())?;
        let borrowed = Borrowed::take(self.idle.clone(), permit)?;
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
struct Borrowed<I: Idle, P> {
    connection: Option<Connection>,
    idle: I,
    /// Given back last: whoever gets it next finds the connection.
    _permit: P,
}

/// The connections that are free, or a way to them.
trait Idle: Deref<Target = Mutex<Vec<Connection>>> {}

impl<I: Deref<Target = Mutex<Vec<Connection>>>> Idle for I {}

impl<I: Idle, P> Borrowed<I, P> {
    /// One that is free; the permit says that there is one.
    fn take(idle: I, permit: P) -> Result<Self> {
        let connection = lock(&idle).pop().ok_or_else(closed)?;
        Ok(Self { connection: Some(connection), idle, _permit: permit })
    }
}

impl<I: Idle, P> Deref for Borrowed<I, P> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("taken only when dropped")
    }
}

impl<I: Idle, P> Drop for Borrowed<I, P> {
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
