//! Why a copy failed: always one line for the operator.

use super::Summary;
use crate::store::{OpenError, StoreError};

/// A gateway was not copied, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the databases cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The source failed.
    #[error("the source: {0}")]
    Source(StoreError),
    /// The target failed.
    #[error("the target: {0}")]
    Target(StoreError),
    /// The target is being used.
    #[error("{0} is in use: stop the gateways, commands and other copies on it")]
    InUse(String),
    /// The target holds something.
    #[error("{0} holds other data: copy into an empty database")]
    NotEmpty(String),
    /// The target has been begun with something else.
    #[error(
        "{0} holds an unfinished copy of other data, or the source has changed since: begin anew with an empty database"
    )]
    OtherSource(String),
    /// The target holds something else than the source.
    #[error("the copy differs from the source in {}: begin anew with an empty database", list(.0))]
    Differs(Vec<Difference>),
}

/// A table that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{table} ({} rows with checksum {}, instead of {} with {})",
    found.rows, found.checksum, expected.rows, expected.checksum
)]
pub struct Difference {
    /// Its name.
    pub table: &'static str,
    /// What the source holds.
    pub expected: Summary,
    /// What the target holds.
    pub found: Summary,
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join(", ")
}
