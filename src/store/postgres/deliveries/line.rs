//! Who stands in line to be leased from, for those who only look.

use tokio_postgres::Row;

use crate::model::Timestamp;
use crate::model::delivery::InLine;
use crate::store::Result;
use crate::store::postgres::statements::{Db, RowResult, params};
use crate::store::postgres::values::{At, at, maybe_at, rows};

/// Those who have something due, and since when: the first that nobody has leased, or, of those before it, the one whose lease ran
/// out first.
pub(in crate::store::postgres) const WAITING: &str = "SELECT s.id, s.url, s.next_due_at, least(free.due_at, (
         SELECT min(d.leased_until) FROM deliveries d
         WHERE d.subscription_id = s.id AND d.due_at < coalesce(free.due_at, $1::BIGINT + 1) AND d.leased_until <= $1
     )) AS due_at
     FROM subscriptions s LEFT JOIN LATERAL (
         SELECT d.due_at FROM deliveries d
         WHERE d.subscription_id = s.id AND d.due_at <= $1 AND d.leased_until IS NULL ORDER BY d.due_at LIMIT 1
     ) free ON TRUE
     WHERE s.next_due_at <= $1 AND s.paused_at IS NULL AND s.removed_at IS NULL
     ORDER BY s.next_due_at LIMIT $2";

/// See [`crate::store::Deliveries::in_line`].
pub(super) async fn in_line(db: &Db, now: Timestamp, limit: usize) -> Result<Vec<InLine>> {
    let in_line = db.all(WAITING, params![At(now), rows(limit)], waiting).await?;
    Ok(in_line.into_iter().flatten().collect())
}

fn waiting(row: &Row) -> RowResult<Option<InLine>> {
    let Some(due) = maybe_at(row, "due_at")? else { return Ok(None) };
    let since = due.max(at(row, "next_due_at")?);
    Ok(Some(InLine { subscription: row.try_get("id")?, url: row.try_get("url")?, since }))
}
