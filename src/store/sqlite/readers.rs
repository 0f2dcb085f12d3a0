//! The readers: connections that cannot write. In WAL mode a reader sees every commit that was answered before it began, and
//! waits for no writer.
//!
//! There are two kinds of reads, which never wait for each other. A look-up finds a few rows by their keys, in the caller's own
//! thread; each thread comes back to the same connection, so that what it looked through last time is still in the caches
//! of its core. What may read many rows goes to threads that do nothing else, each with a connection of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::{closed, panicked};
use crate::store::Result;

/// How many long reads may run at once. The machine has few cores.
const THREADS: usize = 4;

/// Connections for reads.
pub(super) struct Readers {
    /// One for each thread that can run at once. `None` once they are closed.
    for_look_ups: Vec<Mutex<Option<Connection>>>,
    /// Work for the threads. They end when it is `None`.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    /// Each completes when a thread has ended; taken by whoever closes them.
    ends: Mutex<Vec<oneshot::Receiver<()>>>,
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

impl Readers {
    /// Opens as many connections as it takes.
    ///
    /// # Errors
    /// A connection cannot be opened, or (`no_thread`) the system gives us no more threads.
    pub(super) fn start<E>(
        open: impl Fn() -> std::result::Result<Connection, E>,
        no_thread: impl Fn(std::io::Error) -> E,
    ) -> std::result::Result<Self, E> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let for_look_ups =
            (0..cores).map(|_| open().map(Some).map(Mutex::new)).collect::<std::result::Result<_, E>>()?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let mut ends = Vec::new();
        for _ in 0..THREADS {
            let (connection, queue) = (open()?, queue.clone());
            let (ending, end) = oneshot::channel::<()>();
            let thread = move || {
                // Dropped at the end, also if that is a panic.
                let _ending = ending;
                work(connection, &queue);
            };
            std::thread::Builder::new().name("sqlite-reader".into()).spawn(thread).map_err(&no_thread)?;
            ends.push(end);
        }
        Ok(Self { for_look_ups, jobs: Mutex::new(Some(jobs)), ends: Mutex::new(ends) })
    }

    /// Runs `work`, which finds a few rows by their keys, in the caller's own thread. That takes some ten microseconds,
    /// since nothing locks a reader out and such pages are in memory; to hand it to another thread takes many times
    /// that, on every request.
    pub(super) fn look_up<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // Two threads meet here only if there are more of them than cores.
        let own = lock(&self.for_look_ups[number_of_this_thread() % self.for_look_ups.len()]);
        work(own.as_ref().ok_or_else(closed)?)
    }

    /// Runs `work`, which may read many rows, in a thread for such.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(move |connection: &Connection| {
            let result = catch_unwind(AssertUnwindSafe(|| work(connection)));
            // A caller that has gone away needs no answer.
            let _ = caller.send(result.unwrap_or_else(|_| Err(panicked())));
        });
        lock(&self.jobs).as_ref().ok_or_else(closed)?.send(job).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Finishes what was accepted, and closes the connections.
    pub(super) async fn close(&self) {
        lock(&self.jobs).take();
        let ends = std::mem::take(&mut *lock(&self.ends));
        for end in ends {
            // Nothing is ever sent: that the other end is gone is the news.
            let _ = end.await;
        }
        // One after the other, and after the threads: whoever is the last removes the log, and of two that close at once each sees
        // the other, and leaves it.
        for connection in &self.for_look_ups {
            lock(connection).take();
        }
    }
}

/// What each thread does: whichever is free waits for the next job, the others wait for their turn to do so.
fn work(connection: Connection, queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let next = lock(queue).recv();
        let Ok(job) = next else { return };
        job(&connection);
    }
}

/// Numbers threads in the order in which they first ask.
fn number_of_this_thread() -> usize {
    static SO_FAR: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = SO_FAR.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
