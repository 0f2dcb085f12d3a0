//! What PostgreSQL's errors mean: to a caller of the store, and to someone who opens a database.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::values::Senseless;
use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let text = describe(&error);
        match error.code() {
            Some(code) if passes(code) => StoreError::Unavailable(text),
            Some(code) if is_damage(code) => StoreError::Corrupt(text),
            Some(_) => StoreError::Failed(text),
            None if error.source().is_some_and(|cause| cause.is::<Senseless>()) => StoreError::Corrupt(text),
            // What comes neither from the server nor from reading its answer comes from the connection.
            None if error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>()) => {
                StoreError::Unavailable(text)
            }
            None => StoreError::Failed(text),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => StoreError::Unavailable(describe(&error)),
            PoolError::Closed => closed(),
            PoolError::Timeout(_) => StoreError::Unavailable("no connection became free in time".into()),
            other => StoreError::Unavailable(other.to_string()),
        }
    }
}

/// The store is closing, or closed.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

/// The server has not answered in time.
pub(super) fn too_slow() -> StoreError {
    StoreError::Unavailable("it did not answer in time".into())
}

/// Whether others came in between: the same transaction can succeed if it is tried again.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(error.code(), Some(code) if [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE].contains(code))
}

/// The whole of an error, with its causes. Its own text is only "db error".
pub(super) fn describe(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

/// Whether it is worth trying again: the server goes down or comes up, has changed its role, is full or too slow; or others
/// were in the way.
fn passes(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    let busy = [
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    // 08 connection exception, 40 transaction rollback, 53 insufficient resources, 57P operator intervention,
    // 58 system error.
    ["08", "40", "53", "58"].contains(&class) || code.code().starts_with("57P") || busy.contains(code)
}

fn is_damage(code: &SqlState) -> bool {
    [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code)
}
