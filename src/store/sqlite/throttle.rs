//! Buckets of guesses. A full one has no row, or one that waits to be purged.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::statements::Statements;
use super::values::{At, at};
use super::writer::Durability::Relaxed;
use super::writer::Tx;
use crate::model::Timestamp;
use crate::model::throttle::{self, Bucket, BucketKey, Empty, Level};
use crate::store::{Result, Throttle};

pub(super) const LEVEL: &str = "SELECT full_at FROM guess_buckets WHERE key = ?1";

#[async_trait]
impl Throttle for SqliteStore {
    async fn take_guess(&self, buckets: &[Bucket], now: Timestamp) -> Result<std::result::Result<(), Empty>> {
        let buckets = buckets.to_vec();
        self.write(Relaxed, move |tx| match throttle::take_all(&buckets, &levels(tx, &buckets)?, now) {
            Ok(levels) => keep(tx, &levels).map(Ok),
            Err(empty) => Ok(Err(empty)),
        })
        .await
    }

    async fn give_guess_back(&self, buckets: &[Bucket]) -> Result<()> {
        let buckets = buckets.to_vec();
        self.write(Relaxed, move |tx| keep(tx, &throttle::give_all_back(&buckets, &levels(tx, &buckets)?))).await
    }

    async fn see_guess(&self, buckets: &[Bucket], now: Timestamp) -> Result<std::result::Result<(), Empty>> {
        self.look_up(|db| Ok(throttle::take_all(buckets, &levels(db, buckets)?, now).map(drop)))
    }
}

fn levels(db: &Connection, buckets: &[Bucket]) -> Result<Vec<Level>> {
    let mut levels = Vec::with_capacity(buckets.len());
    for Bucket { key, .. } in buckets {
        levels.extend(db.one(LEVEL, params![key], |row| Ok(Level { key: *key, full: at(row, "full_at")? }))?);
    }
    Ok(levels)
}

/// Whether none of these lacks a guess.
pub(super) fn are_full(db: &Connection, buckets: &[BucketKey], now: Timestamp) -> Result<bool> {
    for key in buckets {
        if db.one(LEVEL, params![key], |row| at(row, "full_at"))?.is_some_and(|full| full > now) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn keep(tx: &Tx, levels: &[Level]) -> Result<()> {
    for level in levels {
        let sql = "INSERT INTO guess_buckets (key, full_at) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at";
        tx.run(sql, params![level.key, At(level.full)])?;
    }
    Ok(())
}
