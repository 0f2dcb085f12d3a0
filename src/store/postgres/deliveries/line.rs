//! Who stands in line to be leased from, for those who only look.

use tokio_postgres::Row;

use crate::model::Timestamp;
use crate::model::delivery::InLine;
use crate::store::Result;
use crate::store::postgres::statements::{Db, RowResult, params};
use crate::store::postgres::values::{At, at, maybe_at, rows};

pub(in crate::store::postgres) const WAITING: &str = "SELECT s.id, s.url, s.next_due_at, d.due_at
     FROM subscriptions s CROSS JOIN LATERAL (
         SELECT due_at FROM deliveries
         WHERE subscription_id = s.id AND due_at IS NOT NULL ORDER BY due_at LIMIT 1
     ) d
     WHERE s.next_due_at <= $1 AND s.paused_at IS NULL AND s.removed_at IS NULL
     ORDER BY s.next_due_at LIMIT $2";

/// See [`crate::store::Deliveries::in_line`].
pub(super) async fn in_line(db: &Db, now: Timestamp, limit: usize) -> Result<Vec<InLine>> {
    let in_line = db.all(WAITING, params![At(now), rows(limit)], |row| waiting(row, now)).await?;
    Ok(in_line.into_iter().flatten().collect())
}

fn waiting(row: &Row, now: Timestamp) -> RowResult<Option<InLine>> {
    let Some(due) = maybe_at(row, "due_at")?.filter(|due| *due <= now) else { return Ok(None) };
    let since = due.max(at(row, "next_due_at")?);
    Ok(Some(InLine { subscription: row.try_get("id")?, url: row.try_get("url")?, since }))
}
