//! What SQLite's errors mean: to a caller of the store, and to someone who opens a database.

use rusqlite::ErrorCode;

use crate::store::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        let text = error.to_string();
        match (&error, error.sqlite_error_code()) {
            (_, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) => StoreError::Corrupt(text),
            // Another process holds the lock for longer than we wait, or the disk is full or fails: it may pass.
            (_, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => StoreError::Unavailable(text),
            (_, Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure)) => StoreError::Unavailable(text),
            (
                FromSqlConversionFailure(..) | InvalidColumnType(..) | IntegralValueOutOfRange(..) | Utf8Error(..),
                None,
            ) => StoreError::Corrupt(text),
            _ => StoreError::Failed(text),
        }
    }
}

/// The store is closing, or closed.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

/// An operation of the store panicked: a bug.
pub(super) fn panicked() -> StoreError {
    StoreError::Failed("a bug in the store: the operation panicked".into())
}
