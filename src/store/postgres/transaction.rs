//! Transactions: begun, worked in, ended; tried again when other transactions were in the way.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use super::news::News;
use super::statements::Db;
use crate::model::delivery::Space;
use crate::model::{LeaseToken, SubscriptionId};
use crate::store::courier::Born;
use crate::store::{Result, Room, Signal, StoreError};

/// What must be on disk when an operation is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The commit survives the process, but the last few may be lost when the database's machine fails. For leases,
    /// outcomes and clean-ups: losing one repeats a delivery, which the receiver recognises, or a clean-up.
    Relaxed,
    /// The commit survives a power cut; and, with a synchronous standby, the machine.
    Full,
}

/// An open transaction: a connection, and a place to leave things for after the commit. One that is dropped without its
/// end closes its connection, and so is rolled back.
pub(super) struct Tx {
    db: Db,
    news: Arc<News>,
    signals: Mutex<Vec<Signal>>,
    born: Mutex<Vec<Born>>,
    /// Whether COMMIT was sent, and answered.
    closing: Mutex<Closing>,
}

/// How far a transaction's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// COMMIT is still to be sent.
    Open,
    /// It was sent; what came of it is not known.
    Sent,
    /// The server has ended the transaction: committed it, unless a statement had failed.
    Ended,
}

impl Tx {
    pub(super) async fn begin(db: Db, news: Arc<News>, durability: Durability) -> Result<Self> {
        let tx = Self::unbegun(db, news);
        tx.open(durability).await?;
        Ok(tx)
    }

    /// One that is not begun yet: [`Tx::open`] does that, in one round trip with the first statements.
    pub(super) fn unbegun(db: Db, news: Arc<News>) -> Self {
        db.spoil();
        Self { db, news, signals: Mutex::default(), born: Mutex::default(), closing: Mutex::new(Closing::Open) }
    }

    /// A statement that is cancelled while it waits for a synchronous standby says that it is committed all the same: so the
    /// server's time-out is not for COMMIT. Ours is; then nothing is acknowledged.
    pub(super) async fn open(&self, durability: Durability) -> Result<()> {
        self.batch(match durability {
            Durability::Full => "BEGIN; SET LOCAL statement_timeout = 0",
            Durability::Relaxed => "BEGIN; SET LOCAL synchronous_commit = off",
        })
        .await
    }

    /// A transaction that only reads, all of it as of one moment.
    pub(super) async fn snapshot(db: Db, news: Arc<News>) -> Result<Self> {
        let tx = Self::unbegun(db, news);
        tx.batch("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        Ok(tx)
    }

    /// Has the signal sent once this is committed.
    pub(super) fn signal(&self, signal: Signal) {
        let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        if !signals.contains(&signal) {
            signals.push(signal);
        }
    }

    /// Room in this process for a delivery to the subscription, with a body of so many bytes.
    pub(super) fn room(&self, subscription: SubscriptionId, bytes: usize) -> Option<Box<dyn Room>> {
        self.news.room(subscription, bytes)
    }

    /// Whether this process has space for what falls due of the subscription. If not, it need not be told.
    pub(super) fn space_for(&self, subscription: SubscriptionId) -> Space {
        self.news.space_for(subscription)
    }

    /// Whether the lease is this process's own.
    pub(super) fn is_own(&self, lease: LeaseToken) -> bool {
        self.news.is_own(lease)
    }

    /// Has deliveries sent once this is committed. They were written under the leases of their rooms.
    pub(super) fn hand_over(&self, born: Vec<Born>) {
        self.born.lock().unwrap_or_else(PoisonError::into_inner).extend(born);
    }

    fn signals(&self) -> Vec<Signal> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs the last statements, which are sent in one go, with COMMIT in the same round trip. When this succeeds, they are
    /// committed: nothing may fail between this and [`Tx::end`]. (Nothing is recalled in such a transaction.)
    ///
    /// PostgreSQL makes a ROLLBACK of a COMMIT that follows a failed statement, and tells it by the statement's own error. What
    /// it cannot know are statements that never reached it, because they could not be prepared or written down: COMMIT
    /// would be good for the rest. So it goes along only if all of them are on their way, and nothing has failed before.
    pub(super) async fn finish<T>(&self, last: impl Future<Output = Result<T>>) -> Result<T> {
        let last = async { last.await.inspect_err(|_| self.db.stay_open()) };
        let (done, committed) = tokio::join!(biased; last, self.commit_along());
        let done = done?;
        committed?;
        Ok(done)
    }

    async fn commit_along(&self) -> Result<()> {
        if self.db.seal() { self.close().await } else { Ok(()) }
    }

    async fn close(&self) -> Result<()> {
        self.set_closing(Closing::Sent);
        self.db.batch("COMMIT").await?;
        self.set_closing(Closing::Ended);
        Ok(())
    }

    fn set_closing(&self, closing: Closing) {
        *self.closing.lock().unwrap_or_else(PoisonError::into_inner) = closing;
    }

    fn closing(&self) -> Closing {
        *self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what succeeded and rolls back what failed. `Err(Again)` if it failed because of others.
    pub(super) async fn end<T>(self, result: Result<T>) -> std::result::Result<T, Failure> {
        let ended = match result {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        };
        ended.map_err(|error| match self.db.met_conflict() {
            true => Failure::Conflict(error),
            false => Failure::Final(error),
        })
    }

    async fn commit(&self) -> Result<()> {
        let signals = self.signals();
        if self.closing() == Closing::Open {
            self.news.write(&self.db, &signals).await?;
            self.close().await?;
        }
        self.db.mend();
        // In this order: what is handed over and then recalled is put back.
        Born::hand_over(std::mem::take(&mut *self.born.lock().unwrap_or_else(PoisonError::into_inner)));
        self.news.tell(&signals);
        Ok(())
    }

    /// What cannot be rolled back is closed, which comes to the same.
    async fn roll_back(&self) {
        let rolled_back = match self.closing() {
            Closing::Open => self.db.batch("ROLLBACK").await.is_ok(),
            Closing::Sent => false,
            Closing::Ended => true,
        };
        if rolled_back {
            self.db.mend();
        }
    }
}

impl Deref for Tx {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}

/// Why a transaction failed.
pub(super) enum Failure {
    /// Others were in the way: worth trying again at once.
    Conflict(StoreError),
    /// Anything else.
    Final(StoreError),
}

/// How often a transaction is tried.
pub(super) const TRIES: usize = 5;

/// Does the work in a transaction, and commits: `write!(store, Full, tx => users::add(&tx, &user))`; or, without the
/// durability, has the work begin it. It is done anew if other transactions were in the way, so it must not use up what it
/// works with. (A function would need a closure whose future borrows from it and is `Send`, which cannot be written yet.)
macro_rules! write {
    ($store:expr, $durability:expr, $tx:ident => $work:expr) => {
        $crate::store::postgres::transaction::write!(@ $store.database.begin($durability), $tx => $work)
    };
    ($store:expr, $tx:ident => $work:expr) => {
        $crate::store::postgres::transaction::write!(@ $store.database.unbegun(), $tx => $work)
    };
    (@ $begin:expr, $tx:ident => $work:expr) => {{
        let mut tries = 1;
        loop {
            let $tx = $begin.await?;
            let result = $work.await;
            match $tx.end(result).await {
                Ok(done) => break Ok(done),
                Err($crate::store::postgres::transaction::Failure::Conflict(_))
                    if tries < $crate::store::postgres::transaction::TRIES =>
                {
                    tries += 1;
                }
                Err(
                    $crate::store::postgres::transaction::Failure::Conflict(error)
                    | $crate::store::postgres::transaction::Failure::Final(error),
                ) => break Err(error),
            }
        }
    }};
}
pub(super) use write;

/// Reads in one snapshot: `snapshot!(store, tx => log::details(&tx, id))`.
macro_rules! snapshot {
    ($store:expr, $tx:ident => $work:expr) => {{
        let $tx = $store.database.snapshot().await?;
        let result = $work.await;
        $tx.end(result).await.map_err(|failure| match failure {
            $crate::store::postgres::transaction::Failure::Conflict(error)
            | $crate::store::postgres::transaction::Failure::Final(error) => error,
        })
    }};
}
pub(super) use snapshot;
