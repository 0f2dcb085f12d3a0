//! Keeps the write-ahead log short.
//!
//! SQLite moves the log's contents into the database by itself every so many pages, but can begin the log anew only when
//! no reader looks at it. Under steady reading that may not happen by itself for long; so once the log is long, the
//! writer tries to empty it. It never waits for a reader: one from elsewhere, a backup or a dump, may read for minutes.

use std::time::Duration;

use rusqlite::Connection;

/// Pages in the log after which SQLite moves them, without waiting for anybody: 8 MiB.
const MOVED_AFTER: i64 = 2000;

/// Bytes of log after which the writer tries to empty it.
pub(super) const LONG: u64 = 64 * 1024 * 1024;

/// Sets up the write connection.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "wal_autocheckpoint", MOVED_AFTER)?;
    connection.pragma_update(None, "journal_size_limit", i64::try_from(LONG).unwrap_or(i64::MAX))
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

        fn grow(&self, bytes: u64) {
            self.connection.execute_batch(&format!("INSERT INTO t VALUES (zeroblob({bytes}))")).unwrap();
        }

        fn length(&self) -> u64 {
            length(&self.connection)
        }

        /// Somebody else, who reads and goes on reading.
        fn reader(&self) -> Connection {
            let reader = Connection::open(self.directory.path().join("x.db")).unwrap();
            reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
            reader
        }
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
