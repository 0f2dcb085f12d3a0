//! Who stands in line to be leased from, for those who only look.

use rusqlite::{Connection, Row, params};

use crate::model::Timestamp;
use crate::model::delivery::InLine;
use crate::store::Result;
use crate::store::sqlite::statements::Statements;
use crate::store::sqlite::values::{At, at, maybe_at, rows};

pub(in crate::store::sqlite) const WAITING: &str = "SELECT s.id, s.url, s.next_due_at,
            (SELECT d.due_at FROM deliveries d
             WHERE d.subscription_id = s.id AND d.due_at IS NOT NULL ORDER BY d.due_at LIMIT 1) AS due_at
     FROM subscriptions s
     WHERE s.next_due_at <= ?1 AND s.paused_at IS NULL AND s.removed_at IS NULL
     ORDER BY s.next_due_at LIMIT ?2";

/// See [`crate::store::Deliveries::in_line`].
pub(super) fn in_line(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<InLine>> {
    let in_line = db.all(WAITING, params![At(now), rows(limit)], |row| waiting(row, now))?;
    Ok(in_line.into_iter().flatten().collect())
}

fn waiting(row: &Row, now: Timestamp) -> rusqlite::Result<Option<InLine>> {
    let Some(due) = maybe_at(row, "due_at")?.filter(|due| *due <= now) else { return Ok(None) };
    let since = due.max(at(row, "next_due_at")?);
    Ok(Some(InLine { subscription: row.get("id")?, url: row.get("url")?, since }))
}
