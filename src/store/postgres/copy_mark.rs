//! The mark of a gateway that was copied into this database: from what, how far, and whether that is finished.

use tokio_postgres::{Client, Error, GenericClient, Row};

use super::server::Server;
use super::values::count;
use crate::store::OpenError;

/// What is known of the copy.
pub(super) struct Mark {
    /// Tells its source from others.
    pub(super) source: Vec<u8>,
    /// Rows that are written.
    pub(super) rows: u64,
    /// Whether all are, and were checked.
    pub(super) finished: bool,
}

/// The mark, if there is one.
pub(super) async fn read(client: &impl GenericClient) -> Result<Option<Mark>, Error> {
    let found = client.query_opt("SELECT source, rows, finished FROM copy_mark", &[]).await?;
    found
        .map(|row: Row| {
            Ok(Mark { source: row.try_get("source")?, rows: count(&row, "rows")?, finished: row.try_get("finished")? })
        })
        .transpose()
}

/// Refuses a database into which a gateway was copied in part.
pub(super) async fn require_finished(server: &Server, client: &Client) -> Result<(), OpenError> {
    match read(client).await.map_err(|error| server.failed(&error))? {
        Some(mark) if !mark.finished => Err(OpenError::Unfinished(server.to_string())),
        _ => Ok(()),
    }
}
