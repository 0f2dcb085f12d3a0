//! Moving a whole gateway from SQLite to PostgreSQL: what `leadgate copy` does.
//!
//! Rows go over as the tables hold them, and nothing of the domain looks at them: a gateway on the target goes on where the
//! one on the source has stopped. The source is read once to learn what it holds; then what the target lacks is copied, and
//! the target is read back and compared.
//!
//! The counts and checksums of the source also tell it from every other source. With them the target keeps how many rows are
//! written: an interrupted copy is continued there, but only if the source still holds the same.

mod deliveries;
mod error;
mod rows;
mod tables;

use std::path::Path;

use sha2::{Digest, Sha256};

pub use self::error::{Difference, TransferError};
pub(super) use self::rows::{Batch, Row, Value};
pub use self::rows::{Checksum, Summary};
pub use self::tables::copied_columns;
pub(super) use self::tables::{Table, all as tables};
use super::postgres::{Server, Target};
use super::sqlite::Source;

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Rows that are done.
    pub done: u64,
    /// Rows that there are to do.
    pub total: u64,
}

/// What a copy does, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reads the source, to know what it holds.
    Reading,
    /// Copies what the target lacks.
    Copying,
    /// Reads the target back.
    Checking,
}

/// What was copied, and is the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every table, in the order of copying.
    pub tables: Vec<(&'static str, Summary)>,
    /// Rows that this run wrote; the others were there already.
    pub copied: u64,
    /// Whether the copy had been finished before.
    pub was_finished: bool,
}

impl Report {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        total(&self.tables)
    }
}

/// How far the target is with this source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// So many rows are written.
    At(u64),
    /// All are written and checked.
    Finished,
}

/// Copies the gateway in the SQLite file `from` into the PostgreSQL database `to`, or finishes a copy that was interrupted.
/// Tells `watch` how far it is. The source is not changed; both are kept from being served meanwhile.
///
/// # Errors
/// One of the databases cannot be used for this, fails, or holds something else afterwards than it should.
pub async fn copy(from: &Path, to: &Server, watch: &(dyn Fn(Progress) + Send + Sync)) -> Result<Report, TransferError> {
    let source = Source::open(from).await?;
    let mut target = Target::open(to).await?;
    let report = copy_into(&mut target, &source, watch).await?;
    target.leave().await;
    Ok(report)
}

async fn copy_into(
    target: &mut Target,
    source: &Source,
    watch: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report, TransferError> {
    let held = read_source(source, watch).await?;
    let oldest = source.first_finished().await.map_err(TransferError::Source)?;
    let start = match target.begin(&fingerprint(&held), oldest).await? {
        Place::At(rows) => rows,
        Place::Finished => return Ok(Report { tables: held, copied: 0, was_finished: true }),
    };
    write_rest(source, target, &held, start, watch).await?;
    check(target, &held, watch).await?;
    target.finish().await?;
    Ok(Report { copied: total(&held) - start, tables: held, was_finished: false })
}

/// What every table of the source holds.
async fn read_source(
    source: &Source,
    watch: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<(&'static str, Summary)>, TransferError> {
    let total = source.count().await.map_err(TransferError::Source)?;
    let (mut held, mut done) = (Vec::new(), 0);
    for table in tables() {
        let mut summary = Summary::default();
        let mut batches = source.read(table, 0);
        while let Some(batch) = batches.recv().await {
            let batch = batch.map_err(TransferError::Source)?;
            batch.rows().iter().for_each(|row| summary.add(row));
            done += batch.count();
            watch(Progress { stage: Stage::Reading, done, total });
        }
        held.push((table.name, summary));
    }
    Ok(held)
}

/// Copies all rows behind the first `start`.
async fn write_rest(
    source: &Source,
    target: &mut Target,
    held: &[(&str, Summary)],
    start: u64,
    watch: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), TransferError> {
    let (total, mut done, mut before) = (total(held), start, 0);
    for (table, (_, summary)) in tables().zip(held) {
        let there = done - before;
        before += summary.rows;
        if there >= summary.rows {
            continue;
        }
        let mut batches = source.read(table, there);
        while let Some(batch) = batches.recv().await {
            let batch = batch.map_err(TransferError::Source)?;
            done += batch.count();
            target.write(table, &batch, done).await?;
            watch(Progress { stage: Stage::Copying, done, total });
        }
    }
    Ok(())
}

/// Reads the target back, and compares.
async fn check(
    target: &Target,
    held: &[(&'static str, Summary)],
    watch: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), TransferError> {
    let (total, mut done, mut differences) = (total(held), 0, Vec::new());
    for (table, (name, source)) in tables().zip(held) {
        let progress = |rows| watch(Progress { stage: Stage::Checking, done: done + rows, total });
        let found = target.summary(table, progress).await?;
        done += found.rows;
        if found != *source {
            differences.push(Difference { table: name, expected: *source, found });
        }
    }
    match differences.as_slice() {
        [] => Ok(()),
        _ => Err(TransferError::Differs(differences)),
    }
}

/// Tells one source from another.
fn fingerprint(held: &[(&str, Summary)]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (name, summary) in held {
        digest.update(format!("{name} {} {}\n", summary.rows, summary.checksum));
    }
    digest.finalize().into()
}

fn total(held: &[(&str, Summary)]) -> u64 {
    held.iter().map(|(_, summary)| summary.rows).sum()
}
