//! Keeps the write-ahead log short.
//!
//! What is in the log is moved into the database by a thread of its own: to do so, and to have the disk take it, lasts
//! some milliseconds, in which the writer could have committed leads. The log begins anew only when all of it has been moved, which
//! is never so while the writer adds to it: so now and then the writer moves the rest itself, which is little.
//!
//! SQLite can begin the log anew only when no reader looks at it. Under steady reading that may not happen by itself for long; so
//! once the log is long, the writer tries to empty it. It never waits for a reader: one from elsewhere, a backup or a dump, may
//! read for minutes.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

/// Pages that are added to the log until some are moved: 8 MiB.
const MOVED_AFTER: i32 = 2000;

/// Pages in the log after which the writer moves the rest: 32 MiB.
const ANEW_AFTER: i32 = 4 * MOVED_AFTER;

/// Bytes of log after which the writer tries to empty it.
pub(super) const LONG: u64 = 64 * 1024 * 1024;

/// Sets up the write connection.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_size_limit", i64::try_from(LONG).unwrap_or(i64::MAX))
}

/// The thread that moves the log into the database. It ends when the write connection that it works for is closed.
pub(super) struct Mover(JoinHandle<()>);

impl Mover {
    /// Starts it, with a `connection` of its own to the database that `writer` writes.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(writer: &mut Connection, connection: Connection) -> std::io::Result<Self> {
        let (nudge, nudges) = sync_channel(1);
        let mover = std::thread::Builder::new().name("sqlite-mover".into()).spawn(move || {
            while nudges.recv().is_ok() {
                move_log(&connection);
            }
        })?;
        writer.wal_hook(Some(watch(nudge))).map_err(std::io::Error::other)?;
        Ok(Self(mover))
    }

    /// Waits until it has ended.
    pub(super) fn join(self) {
        // A panic there has been reported.
        let _ = self.0.join();
    }
}

/// What follows from each commit: the mover is nudged, or the rest is moved.
fn watch(nudge: SyncSender<()>) -> impl FnMut(&mut Wal, i32) -> rusqlite::Result<()> + Send {
    let mut moved = 0;
    move |wal, pages| {
        if pages >= ANEW_AFTER {
            // Fails while the mover is at it; then the next commit tries again.
            let _ = wal.checkpoint();
        } else if pages < moved {
            moved = 0;
        } else if pages - moved >= MOVED_AFTER {
            moved = pages;
            // It may have been nudged already.
            let _ = nudge.try_send(());
        }
        Ok(())
    }
}

/// Moves what the log holds, as far as nobody reads what was before. Neither waits for a writer nor keeps one waiting.
fn move_log(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log was not moved");
    }
}

/// Keeps a connection's log short.
pub(super) struct Shortener {
    /// The length in bytes above which the log is long.
    limit: u64,
    /// The length above which emptying it is tried next: longer than `limit` while a reader stands in the way.
    next: u64,
}

impl Shortener {
    /// Keeps the log at about `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, next: limit }
    }

    /// Tries to empty the log if it is long; after a try in vain, not before the log has grown by a sixteenth.
    pub(super) fn shorten(&mut self, connection: &Connection) {
        let length = length(connection);
        if length > self.next {
            let emptied = empty(connection);
            self.next = if emptied { self.limit } else { length + self.limit / 16 };
        } else if length <= self.limit {
            self.next = self.limit;
        }
    }
}

/// The log's length in bytes. Without a log there is nothing to shorten.
fn length(connection: &Connection) -> u64 {
    let log = connection.path().map(|path| std::fs::metadata(format!("{path}-wal")));
    log.and_then(Result::ok).map_or(0, |log| log.len())
}

/// Moves the log into the database and empties it, if that can be done at once. What is in the log is safe there: not
/// to empty it costs nothing but room. Returns whether it is empty.
pub(super) fn empty(connection: &Connection) -> bool {
    match try_to_empty(connection) {
        Ok(emptied) => emptied,
        Err(error) => {
            tracing::warn!(%error, "the write-ahead log was not emptied");
            false
        }
    }
}

fn try_to_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let patience: u32 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
    connection.busy_timeout(Duration::ZERO)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>("busy"));
    connection.busy_timeout(Duration::from_millis(patience.into()))?;
    Ok(!busy?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A log that has something in it.
    struct Log {
        directory: tempfile::TempDir,
        connection: Connection,
    }

    impl Log {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let connection = Connection::open(directory.path().join("x.db")).unwrap();
            connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
            Self { directory, connection }
        }

        fn path(&self) -> std::path::PathBuf {
            self.directory.path().join("x.db")
        }

        /// The length of the database itself.
        fn database(&self) -> u64 {
            std::fs::metadata(self.path()).unwrap().len()
        }

        fn grow(&self, bytes: u64) {
            self.connection.execute_batch(&format!("INSERT INTO t VALUES (zeroblob({bytes}))")).unwrap();
        }

        fn length(&self) -> u64 {
            length(&self.connection)
        }

        /// Somebody else, who reads and goes on reading.
        fn reader(&self) -> Connection {
            let reader = Connection::open(self.path()).unwrap();
            reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
            reader
        }
    }

    #[test]
    fn a_long_log_is_moved_though_somebody_is_writing_and_begins_anew_when_nobody_is() {
        let mut log = Log::new();
        let other = Connection::open(log.path()).unwrap();
        let mover = Mover::start(&mut log.connection, other).unwrap();
        let page: i64 = log.connection.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
        let pages = |pages: i32| (i64::from(pages) * page) as u64;

        let before = log.database();
        log.grow(pages(MOVED_AFTER));
        log.connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        while log.database() < before + pages(MOVED_AFTER) {
            std::thread::yield_now();
        }
        log.connection.execute_batch("COMMIT").unwrap();

        // From this length on each commit moves the log by itself, as soon as the mover is done with what it is at; the one after
        // that writes over the log's front.
        log.grow(pages(ANEW_AFTER));
        let begins_anew = || {
            let length = log.length();
            log.grow(1);
            log.length() == length
        };
        while !begins_anew() {
            std::thread::yield_now();
        }
        let longest = log.length();
        log.grow(pages(MOVED_AFTER / 2));
        assert_eq!(log.length(), longest, "there is room at its front");
        drop(log);
        mover.join();
    }

    #[test]
    fn a_log_is_emptied_once_it_is_long() {
        let log = Log::new();
        let before = log.length();
        Shortener::new(before).shorten(&log.connection);
        assert_eq!(log.length(), before);
        Shortener::new(before - 1).shorten(&log.connection);
        assert_eq!(log.length(), 0);
    }

    #[test]
    fn a_reader_is_not_waited_for() {
        static WAITED: AtomicUsize = AtomicUsize::new(0);
        let mut log = Log::new();
        let _reader = log.reader();
        log.grow(8192);
        let wait = |_| {
            WAITED.fetch_add(1, Ordering::Relaxed);
            false
        };
        log.connection.busy_handler(Some(wait)).unwrap();
        Shortener::new(1).shorten(&log.connection);
        assert!(log.length() > 1, "the reader needs it");
        assert_eq!(WAITED.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn another_writer_is_waited_for_as_long_as_before() {
        let log = Log::new();
        let patience = || log.connection.pragma_query_value(None, "busy_timeout", |row| row.get::<_, u32>(0)).unwrap();
        let before = patience();
        assert!(before > 0 && empty(&log.connection));
        assert_eq!(patience(), before);
    }

    #[test]
    fn after_a_try_in_vain_the_next_waits_until_the_log_has_grown() {
        let log = Log::new();
        log.grow(8192);
        let mut shortener = Shortener::new(log.length() - 1);
        let reader = log.reader();
        shortener.shorten(&log.connection);
        drop(reader);

        let before = log.length();
        shortener.shorten(&log.connection);
        assert_eq!(log.length(), before, "not tried again");
        // The log has begun anew meanwhile: more than it ever held.
        log.grow(2 * before);
        assert!(log.length() > before + before / 16);
        shortener.shorten(&log.connection);
        assert_eq!(log.length(), 0);
    }
}
