//! The writer: one thread that owns the only write connection, and commits in groups.
//!
//! What costs time is the fsync of a commit, not the statements before it. So the writer takes whatever has queued up
//! while the last commit was on its way, runs it in one transaction, commits once, and only then answers all callers. A
//! lone caller waits for nobody; many share one fsync. Each job runs in a savepoint of its own: one that fails takes
//! nothing of the others with it. A commit that fails has failed for all of them.

use std::cell::RefCell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::{self, Mover, Shortener};
use super::error::{closed, panicked};
use super::statements::Statements;
use crate::model::delivery::{Leased, Space};
use crate::model::{LeaseToken, SubscriptionId};
use crate::store::courier::Born;
use crate::store::{Result, Room, Signal, Signals, StoreError};

/// Jobs that may wait. A caller beyond waits until there is room.
const QUEUE: usize = 1024;
/// Jobs in one transaction at most, so that the first of them does not wait long for the last.
const BATCH: usize = 256;

/// What must be on disk when a job is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Durability {
    /// The commit survives the process, but the last few may be lost when the machine loses its power. For leases,
    /// outcomes and clean-ups: losing one repeats a delivery, which the receiver recognises, or a clean-up. A batch of
    /// only such jobs is committed without fsync, so that sending a backlog does not cost one for every answer.
    Relaxed,
    /// The commit survives a power cut.
    Full,
}

/// The transaction as a job sees it: a connection, and a place to leave things for after the commit.
pub(super) struct Tx<'c> {
    connection: &'c Connection,
    told: &'c Signals,
    after: RefCell<After>,
}

/// What follows from a commit.
#[derive(Default)]
struct After {
    signals: Vec<Signal>,
    born: Vec<Born>,
}

impl Tx<'_> {
    /// Has the signal sent once the job is committed.
    pub(super) fn signal(&self, signal: Signal) {
        self.after.borrow_mut().signals.push(signal);
    }

    /// Room in this process for a delivery to the subscription, with a body of so many bytes.
    pub(super) fn room(&self, subscription: SubscriptionId, bytes: usize) -> Option<Box<dyn Room>> {
        self.told.room(subscription, bytes)
    }

    /// Whether this process has space for what falls due of the subscription. If not, it need not be told.
    pub(super) fn space_for(&self, subscription: SubscriptionId) -> Space {
        self.told.space_for(subscription)
    }

    /// Whether the lease is this process's own.
    pub(super) fn is_own(&self, lease: LeaseToken) -> bool {
        self.told.is_own(lease)
    }

    /// Has the delivery sent once the job is committed. It was written under the room's lease.
    pub(super) fn hand_over(&self, room: Box<dyn Room>, delivery: Leased) {
        self.after.borrow_mut().born.push(Born { room, delivery });
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// A handle on the writer thread.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    /// Completes when the thread has ended; taken by whoever closes it.
    end: Mutex<Option<oneshot::Receiver<()>>>,
}

enum Message {
    Job(Box<dyn Job>),
    Close,
}

impl Writer {
    /// Starts the thread, with `other`, a connection for the log's [`Mover`]. `held` is dropped when it ends, after the
    /// connections are closed: the lock on the database.
    pub(super) fn start(
        mut connection: Connection,
        other: Connection,
        signals: Arc<Signals>,
        held: impl Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (ending, end) = oneshot::channel::<()>();
        let mover = Mover::start(&mut connection, other)?;
        std::thread::Builder::new().name("sqlite-writer".into()).spawn(move || {
            // Dropped at the end, also if that is a panic.
            let _ending = ending;
            let shortener = Shortener::new(checkpoint::LONG);
            Loop { connection, jobs, signals, durability: None, shortener }.run();
            mover.join();
            drop(held);
        })?;
        Ok(Self { queue, end: Mutex::new(Some(end)) })
    }

    /// Runs `work` in a transaction; returns once that is committed.
    pub(super) async fn run<T, W>(&self, durability: Durability, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Tx) -> Result<T> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job = Work { durability, work: Some(work), result: None, caller };
        self.queue.send(Message::Job(Box::new(job))).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Whether jobs are accepted.
    pub(super) fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Finishes what was accepted, and closes the connection.
    pub(super) async fn close(&self) {
        // It cannot be sent only if the writer has ended already.
        let _ = self.queue.send(Message::Close).await;
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(end) = end {
            // Nothing is ever sent: that the other end is gone is the news.
            let _ = end.await;
        }
    }
}

/// A job in the queue, whatever it returns.
trait Job: Send {
    fn durability(&self) -> Durability;
    /// Does the work and keeps the result. Whether it succeeded.
    fn run(&mut self, tx: &Tx) -> bool;
    /// Gives the caller the result, or the failure of the whole batch.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

struct Work<T, W> {
    durability: Durability,
    work: Option<W>,
    result: Option<Result<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<T, W> Job for Work<T, W>
where
    T: Send,
    W: FnOnce(&Tx) -> Result<T> + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, tx: &Tx) -> bool {
        let Some(work) = self.work.take() else { return false };
        let result = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|_| Err(panicked()));
        self.result.insert(result).is_ok()
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let result = match (failure, self.result) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Some(result)) => result,
            (None, None) => Err(closed()),
        };
        // A caller that has gone away needs no answer.
        let _ = self.caller.send(result);
    }
}

/// What the thread works with.
struct Loop {
    connection: Connection,
    jobs: mpsc::Receiver<Message>,
    signals: Arc<Signals>,
    /// How commits are done now; `None` until the first.
    durability: Option<Durability>,
    shortener: Shortener,
}

impl Loop {
    fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            let mut batch = Vec::new();
            self.take(first, &mut batch);
            while batch.len() < BATCH
                && let Ok(next) = self.jobs.try_recv()
            {
                self.take(next, &mut batch);
            }
            self.finish(batch);
        }
        // Everything is committed already; this only leaves a tidy file behind.
        checkpoint::empty(&self.connection);
    }

    fn take(&mut self, message: Message, batch: &mut Vec<Box<dyn Job>>) {
        match message {
            Message::Job(job) => batch.push(job),
            // What was accepted before is still received; nothing more is accepted.
            Message::Close => self.jobs.close(),
        }
    }

    /// Commits a batch, and tells everybody.
    fn finish(&mut self, mut batch: Vec<Box<dyn Job>>) {
        let failure = match self.commit(&mut batch) {
            Ok(after) => {
                // In this order: what is handed over and then recalled is put back.
                Born::hand_over(after.born);
                self.send(&after.signals);
                None
            }
            Err(error) => {
                tracing::error!(%error, jobs = batch.len(), "the database did not commit");
                Some(error)
            }
        };
        for job in batch {
            job.answer(failure.as_ref());
        }
        self.shortener.shorten(&self.connection);
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<After> {
        let Some(needed) = batch.iter().map(|job| job.durability()).max() else { return Ok(After::default()) };
        self.prepare(needed)?;
        // IMMEDIATE: other processes write too, and a transaction that begins as a reader could not wait for them.
        self.connection.run("BEGIN IMMEDIATE", [])?;
        let committed = self.run_all(batch).and_then(|after| {
            self.connection.run("COMMIT", [])?;
            Ok(after)
        });
        if committed.is_err() {
            self.roll_back()?;
        }
        committed
    }

    /// Leaves no transaction of an earlier failure open, and sets how the next commit is done.
    fn prepare(&mut self, needed: Durability) -> Result<()> {
        self.roll_back()?;
        if self.durability != Some(needed) {
            self.connection.execute_batch(match needed {
                Durability::Full => "PRAGMA synchronous = FULL",
                Durability::Relaxed => "PRAGMA synchronous = NORMAL",
            })?;
            self.durability = Some(needed);
        }
        Ok(())
    }

    fn roll_back(&self) -> Result<()> {
        if !self.connection.is_autocommit() {
            self.connection.run("ROLLBACK", [])?;
        }
        Ok(())
    }

    /// Runs every job in its savepoint. Returns what follows from those that succeeded.
    fn run_all(&self, batch: &mut [Box<dyn Job>]) -> Result<After> {
        let mut after = After::default();
        for job in batch {
            let tx = Tx { connection: &self.connection, told: &self.signals, after: RefCell::default() };
            self.connection.run("SAVEPOINT job", [])?;
            if job.run(&tx) {
                let mut more = tx.after.into_inner();
                after.signals.append(&mut more.signals);
                after.born.append(&mut more.born);
            } else if self.connection.is_autocommit() {
                // A full disk and the like: SQLite has rolled back the whole transaction by itself.
                return Err(StoreError::Unavailable("the transaction was rolled back".into()));
            } else {
                self.connection.run("ROLLBACK TO job", [])?;
            }
            self.connection.run("RELEASE job", [])?;
        }
        Ok(after)
    }

    fn send(&self, signals: &[Signal]) {
        for (index, signal) in signals.iter().enumerate() {
            let told_before = signals[..index].contains(signal);
            let told = || self.signals.send(*signal);
            // The writer outlives a listener that panics.
            if !told_before && catch_unwind(AssertUnwindSafe(told)).is_err() {
                tracing::error!(?signal, "a listener panicked");
            }
        }
    }
}
