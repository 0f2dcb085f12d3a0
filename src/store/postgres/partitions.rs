//! The partitions of the delivery log: made ahead, and dropped when all that is in them is past.
//!
//! A day is a partition. So a day that was kept long enough costs one DROP, however much is in it. What is kept for very
//! long is kept in wider ones, because each partition has its share in the cost of a listing.
//!
//! Neither may keep deliveries waiting. A new partition is made beside the log and attached, which stops nobody who writes.
//! To drop one, the log must be free of others for a moment: that is waited for very shortly, since everybody else waits
//! behind; if it cannot be had, the next housekeeping tries again.

use tokio_postgres::Row;

use super::locks;
use super::statements::{Db, RowResult, params};
use super::transaction::Tx;
use super::values::{At, at};
use crate::model::{Timestamp, time};
use crate::store::Result;

/// A day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// How many days are covered ahead: that long housekeeping may be away before the net below is needed.
const AHEAD: i64 = 7;

/// Into about how many partitions the log is cut, at most. A listing looks into each.
const PARTITIONS: i64 = 60;

/// The widest partition, in days: with it the longest retention that can be set comes to about that number.
const WIDEST: i64 = 61;

/// How long each statement here may wait for others, who meanwhile may have to wait for it, and how long it may run.
const PATIENCE: &str = "SET LOCAL lock_timeout = '100ms'; SET LOCAL statement_timeout = '2s'";

/// The partitions that are for some time, oldest first. All but the default one are.
const SPANS: &str = "SELECT c.relname::TEXT AS name, span[1]::BIGINT AS starts, span[2]::BIGINT AS ends
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     CROSS JOIN regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''(-?\\d+)''\\) TO \\(''(-?\\d+)''\\)') AS span
     WHERE i.inhparent = 'delivery_log'::REGCLASS AND span IS NOT NULL
     ORDER BY starts";

/// A partition for what finishes from a time on and before another one.
struct Span {
    name: String,
    starts: Timestamp,
    ends: Timestamp,
}

impl Span {
    /// A partition that is yet to be made. Its name says its days: `delivery_log_20260102_20260103`.
    fn new(starts: i64, ends: i64) -> Self {
        let (starts, ends) = (time::from_millis(starts), time::from_millis(ends));
        let name = format!("delivery_log_{}_{}", starts.strftime("%Y%m%d"), ends.strftime("%Y%m%d"));
        Self { name, starts, ends }
    }

    fn read(row: &Row) -> RowResult<Self> {
        Ok(Self { name: row.try_get("name")?, starts: at(row, "starts")?, ends: at(row, "ends")? })
    }

    /// Makes the partition, unless something of its time was caught by the net already: then the rest goes there, too.
    async fn make(&self, db: &Db) -> Result<()> {
        let caught = "SELECT 1 FROM delivery_log_default WHERE finished_at >= $1 AND finished_at < $2 LIMIT 1";
        if db.any(caught, params![At(self.starts), At(self.ends)]).await? {
            return Ok(());
        }
        // Rows are only ever added to it; vacuum would read all of it once more, and find nothing.
        let (name, starts, ends) = (&self.name, self.starts.as_millisecond(), self.ends.as_millisecond());
        db.batch(&format!(
            "CREATE TABLE {name} (LIKE delivery_log INCLUDING ALL) WITH (autovacuum_vacuum_insert_threshold = -1);
             ALTER TABLE delivery_log ATTACH PARTITION {name} FOR VALUES FROM ({starts}) TO ({ends})"
        ))
        .await
    }

    async fn is_empty(&self, db: &Db) -> Result<bool> {
        let sql = "SELECT 1 FROM delivery_log WHERE finished_at >= $1 AND finished_at < $2 LIMIT 1";
        Ok(!db.any(sql, params![At(self.starts), At(self.ends)]).await?)
    }
}

async fn spans(db: &Db) -> Result<Vec<Span>> {
    db.all(SPANS, params![], Span::read).await
}

/// Covers today and the days ahead, by the database's clock. For whoever migrates: on a new database nothing has finished
/// yet.
pub(super) async fn begin(db: &Db) -> Result<()> {
    db.batch("BEGIN").await?;
    locks::take_purge(db).await?;
    let sql = "SELECT (extract(epoch FROM now()) * 1000)::BIGINT AS now";
    let today = day_of(db.one(sql, params![], |row| at(row, "now")).await?.unwrap_or_default());
    for span in missing(&spans(db).await?, today, today + (1 + AHEAD) * DAY, DAY) {
        span.make(db).await?;
    }
    db.batch("COMMIT").await
}

/// Covers the days since `oldest` as well. For a log that comes from elsewhere, before it is here.
pub(super) async fn begin_with(db: &Db, oldest: Timestamp) -> Result<()> {
    begin(db).await?;
    db.batch("BEGIN").await?;
    locks::take_purge(db).await?;
    let there = spans(db).await?;
    let end = there.last().map_or(0, |span| span.starts.as_millisecond());
    for span in missing(&there, day_of(oldest), end, width((end - day_of(oldest)) / DAY)) {
        span.make(db).await?;
    }
    db.batch("COMMIT").await
}

/// Whether there is something to be done at `now`, when what finished before `finished_before` may go.
pub(super) async fn need_care(db: &Db, now: Timestamp, finished_before: Timestamp) -> Result<bool> {
    let there = spans(db).await?;
    Ok(there.iter().any(|span| span.ends <= finished_before) || !ahead(&there, now, finished_before).is_empty())
}

/// Makes the partitions for the days ahead. Nothing, if another node is at it.
pub(super) async fn cover(tx: &Tx, now: Timestamp, finished_before: Timestamp) -> Result<()> {
    if locks::try_purge(tx).await? {
        tx.batch(PATIENCE).await?;
        for span in ahead(&spans(tx).await?, now, finished_before) {
            span.make(tx).await?;
        }
    }
    Ok(())
}

/// Drops one partition of which everything finished before `finished_before`. Returns how many: 0 also if another node is at
/// it.
pub(super) async fn drop_one(tx: &Tx, finished_before: Timestamp) -> Result<usize> {
    if !locks::try_purge(tx).await? {
        return Ok(0);
    }
    let there = spans(tx).await?;
    let Some(past) = there.iter().find(|span| span.ends <= finished_before) else { return Ok(0) };
    tx.batch(&format!("{PATIENCE}; DROP TABLE {}", past.name)).await?;
    Ok(1)
}

/// From when on the log may still hold something, after what can be deleted before `finished_before` has been.
pub(super) async fn kept_from(tx: &Tx, finished_before: Timestamp) -> Result<Timestamp> {
    for span in spans(tx).await?.iter().filter(|span| span.starts < finished_before) {
        if !span.is_empty(tx).await? {
            return Ok(span.starts);
        }
    }
    Ok(finished_before)
}

/// What is missing for the days after today. Today itself is left to the net if it has none: some of it may be there already.
fn ahead(there: &[Span], now: Timestamp, finished_before: Timestamp) -> Vec<Span> {
    let kept = (now.as_millisecond() - finished_before.as_millisecond()) / DAY;
    let tomorrow = day_of(now) + DAY;
    missing(there, tomorrow, tomorrow + AHEAD * DAY, width(kept))
}

/// How wide partitions are when the log is kept for so many days.
fn width(kept: i64) -> i64 {
    (kept / PARTITIONS).clamp(1, WIDEST) * DAY
}

/// Partitions, so wide if there is room, for what none of those that are there (oldest first) has between two times.
fn missing(there: &[Span], from: i64, until: i64, width: i64) -> Vec<Span> {
    let ends = there.iter().map(|span| span.ends.as_millisecond());
    let starts = there.iter().map(|span| span.starts.as_millisecond());
    let gaps = std::iter::once(i64::MIN).chain(ends).zip(starts.chain([i64::MAX]));
    gaps.flat_map(|(begins, closes)| {
        let starts = (from.max(begins)..until.min(closes)).step_by(usize::try_from(width).unwrap_or(usize::MAX));
        starts.map(move |starts| Span::new(starts, (starts + width).min(closes)))
    })
    .collect()
}

/// When the day began, in milliseconds since 1970.
fn day_of(now: Timestamp) -> i64 {
    now.as_millisecond().div_euclid(DAY) * DAY
}
