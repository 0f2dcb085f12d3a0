//! The group commit itself: what shares a transaction, what fails with whom, and what is on disk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::statements::Statements;
use super::writer::Durability::{Full, Relaxed};
use super::writer::{Tx, Writer};
use crate::store::{Result, Signal, Signals, StoreError};

/// A writer on a file with one table, and a second connection that sees what is committed.
struct Desk {
    writer: Arc<Writer>,
    signals: Arc<Signals>,
    reader: Connection,
    _directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("desk.db");
        let connection = Connection::open(&path).unwrap();
        let sql = "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;
             CREATE TABLE notes (n INTEGER PRIMARY KEY, parent INTEGER REFERENCES notes (n))";
        connection.execute_batch(sql).unwrap();
        let signals = Arc::new(Signals::default());
        let writer =
            Arc::new(Writer::start(connection, Connection::open(&path).unwrap(), signals.clone(), ()).unwrap());
        Self { writer, signals, reader: Connection::open(&path).unwrap(), _directory: directory }
    }

    fn committed(&self) -> Vec<i64> {
        self.reader.all("SELECT n FROM notes ORDER BY n", [], |row| row.get(0)).unwrap()
    }

    /// Keeps the writer busy with a job until the sender is used: whatever is queued meanwhile is one batch.
    async fn hold(&self) -> (mpsc::Sender<()>, JoinHandle<Result<()>>) {
        let (release, released) = mpsc::channel();
        let (start, started) = oneshot::channel();
        let writer = self.writer.clone();
        let gate = tokio::spawn(async move {
            let hold = move |_: &Tx| {
                start.send(()).unwrap();
                released.recv().unwrap();
                Ok(())
            };
            writer.run(Relaxed, hold).await
        });
        started.await.unwrap();
        (release, gate)
    }
}

fn note(n: i64) -> impl FnOnce(&Tx) -> Result<i64> + Send + 'static {
    move |tx| {
        tx.run("INSERT INTO notes (n) VALUES (?1)", [n])?;
        Ok(n)
    }
}

#[tokio::test]
async fn what_queues_up_during_a_commit_shares_the_next() {
    let desk = Desk::new();
    let (release, gate) = desk.hold().await;
    let (stop, stopped) = mpsc::channel::<()>();
    let (reach, reached) = oneshot::channel();
    let last = desk.writer.run(Full, move |_| {
        reach.send(()).unwrap();
        stopped.recv().unwrap();
        Ok(0)
    });
    let observe = async {
        release.send(()).unwrap();
        reached.await.unwrap();
        assert_eq!(desk.committed(), [0; 0], "two jobs have run, and nothing is committed yet");
        stop.send(()).unwrap();
    };
    let (first, second, last, ()) =
        tokio::join!(desk.writer.run(Full, note(1)), desk.writer.run(Full, note(2)), last, observe);
    assert_eq!((first.unwrap(), second.unwrap(), last.unwrap()), (1, 2, 0));
    assert_eq!(desk.committed(), [1, 2]);
    gate.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_job_that_fails_or_panics_takes_nothing_of_the_others_with_it() {
    let desk = Desk::new();
    let (release, _gate) = desk.hold().await;
    let refuse = |tx: &Tx| -> Result<i64> {
        note(2)(tx)?;
        Err(StoreError::Failed("on purpose".into()))
    };
    let panic = |tx: &Tx| -> Result<i64> {
        note(3)(tx)?;
        panic!("on purpose");
    };
    let (first, failed, panicked, last, ()) = tokio::join!(
        desk.writer.run(Full, note(1)),
        desk.writer.run(Full, refuse),
        desk.writer.run(Full, panic),
        desk.writer.run(Full, note(4)),
        async { release.send(()).unwrap() },
    );
    assert_eq!((first.unwrap(), last.unwrap()), (1, 4));
    assert_eq!(failed.unwrap_err().to_string(), "the database failed: on purpose");
    assert!(matches!(panicked, Err(StoreError::Failed(_))));
    assert_eq!(desk.committed(), [1, 4]);
}

#[tokio::test]
async fn a_commit_that_fails_has_failed_for_the_whole_batch() {
    let desk = Desk::new();
    let (release, _gate) = desk.hold().await;
    let orphan = |tx: &Tx| -> Result<i64> {
        // Checked when the transaction commits, and not before.
        tx.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        tx.run("INSERT INTO notes (n, parent) VALUES (2, 99)", [])?;
        tx.signal(Signal::Work);
        Ok(2)
    };
    let heard = Arc::new(AtomicUsize::new(0));
    let listener = heard.clone();
    desk.signals.listen(move |_| {
        listener.fetch_add(1, Ordering::Relaxed);
    });
    let (first, orphan, ()) = tokio::join!(desk.writer.run(Full, note(1)), desk.writer.run(Full, orphan), async {
        release.send(()).unwrap()
    },);
    assert!(first.is_err() && orphan.is_err());
    assert_eq!(desk.committed(), [0; 0]);
    assert_eq!(heard.load(Ordering::Relaxed), 0, "nothing happened, so nobody is told");
    // The writer goes on.
    assert_eq!(desk.writer.run(Full, note(5)).await.unwrap(), 5);
    assert_eq!(desk.committed(), [5]);
}

#[tokio::test]
async fn one_job_that_must_survive_a_power_cut_is_enough_for_its_batch() {
    let desk = Desk::new();
    let synchronous =
        |tx: &Tx| -> Result<i64> { Ok(tx.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?) };
    let (normal, full) = (1, 2);
    assert_eq!(desk.writer.run(Relaxed, synchronous).await.unwrap(), normal);
    assert_eq!(desk.writer.run(Full, synchronous).await.unwrap(), full);
    let (release, _gate) = desk.hold().await;
    let (relaxed, strict, ()) =
        tokio::join!(desk.writer.run(Relaxed, synchronous), desk.writer.run(Full, synchronous), async {
            release.send(()).unwrap()
        },);
    assert_eq!((relaxed.unwrap(), strict.unwrap()), (full, full));
    assert_eq!(desk.writer.run(Relaxed, synchronous).await.unwrap(), normal);
}

#[tokio::test]
async fn listeners_run_after_the_commit_and_before_the_answer() {
    let desk = Desk::new();
    let (tell, told) = mpsc::channel();
    let path = desk.reader.path().unwrap().to_owned();
    desk.signals.listen(move |signal| {
        let committed: i64 =
            Connection::open(&path).unwrap().query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
        tell.send((signal, committed)).unwrap();
    });
    desk.signals.listen(|_| panic!("on purpose: it must not stop the writer"));
    let signalling = |tx: &Tx| -> Result<i64> {
        note(1)(tx)?;
        tx.signal(Signal::Work);
        tx.signal(Signal::Work);
        Ok(1)
    };
    desk.writer.run(Full, signalling).await.unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(Signal::Work, 1)]);
    assert_eq!(desk.writer.run(Full, note(2)).await.unwrap(), 2);
}

#[tokio::test]
async fn closing_finishes_what_was_accepted_and_accepts_nothing_more() {
    let desk = Desk::new();
    let (release, gate) = desk.hold().await;
    let (accepted, late, (), ()) = tokio::join!(
        desk.writer.run(Full, note(1)),
        async {
            // Queued behind the end.
            tokio::task::yield_now().await;
            desk.writer.run(Full, note(2)).await
        },
        desk.writer.close(),
        async { release.send(()).unwrap() },
    );
    gate.await.unwrap().unwrap();
    assert_eq!(accepted.unwrap(), 1);
    // It came after the end of the queue, and may have been let in before the writer saw it; it was done or refused.
    assert_eq!(late.is_ok(), desk.committed() == [1, 2]);
    assert!(matches!(desk.writer.run(Full, note(3)).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn closing_waits_for_no_reader() {
    static WAITED: AtomicUsize = AtomicUsize::new(0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("desk.db");
    let mut connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE notes (n INTEGER PRIMARY KEY)").unwrap();
    let wait = |_| {
        WAITED.fetch_add(1, Ordering::Relaxed);
        false
    };
    connection.busy_handler(Some(wait)).unwrap();
    let writer = Writer::start(connection, Connection::open(&path).unwrap(), Arc::default(), ()).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM notes").unwrap();
    writer.run(Full, note(1)).await.unwrap();
    writer.close().await;
    assert_eq!(WAITED.load(Ordering::Relaxed), 0);
}
