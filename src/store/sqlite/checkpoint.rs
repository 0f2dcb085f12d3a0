//! Keeps the write-ahead log short.
//!
//! SQLite moves the log's contents into the database by itself every so many pages, but can begin the log anew only when
//! no reader looks at it. Under steady reading there may be no such moment, and the log would grow without end; so once
//! it is long, the writer waits for the readers of that moment. Each reads for some milliseconds at most.

use rusqlite::Connection;

/// Pages in the log after which SQLite moves them, without waiting for anybody: 8 MiB.
const MOVED_AFTER: i64 = 2000;

/// Bytes of log after which the writer waits for the readers.
pub(super) const LONG: u64 = 64 * 1024 * 1024;

/// Sets up the write connection.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "wal_autocheckpoint", MOVED_AFTER)?;
    connection.pragma_update(None, "journal_size_limit", i64::try_from(LONG).unwrap_or(i64::MAX))
}

/// Empties the log if it is longer than `limit` bytes.
pub(super) fn shorten(connection: &Connection, limit: u64) {
    let Some(path) = connection.path() else { return };
    // Without a log there is nothing to shorten.
    let length = std::fs::metadata(format!("{path}-wal")).map_or(0, |log| log.len());
    if length > limit {
        empty(connection);
    }
}

/// Moves the whole log into the database and empties it. What is in the log is safe there: failing costs nothing but
/// room, and the next commit tries again.
pub(super) fn empty(connection: &Connection) {
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the write-ahead log was not emptied");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_emptied_once_it_is_long() {
        let directory = tempfile::tempdir().unwrap();
        let (path, log) = (directory.path().join("x.db"), directory.path().join("x.db-wal"));
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
        let length = || std::fs::metadata(&log).unwrap().len();
        let before = length();
        shorten(&connection, before);
        assert_eq!(length(), before);
        shorten(&connection, before - 1);
        assert_eq!(length(), 0);
    }
}
