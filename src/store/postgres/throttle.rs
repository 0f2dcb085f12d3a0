//! Buckets of guesses. A full one has no row, or one that waits to be purged; so who takes from it locks its key.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::statements::{Db, RowResult, params};
use super::transaction::Durability::Relaxed;
use super::transaction::{Tx, write};
use super::values::{At, at};
use super::{PostgresStore, locks};
use crate::model::Timestamp;
use crate::model::throttle::{self, Bucket, Empty, Level};
use crate::store::{Result, Throttle};

const LEVELS: &str = "SELECT key, full_at FROM guess_buckets WHERE key = ANY($1)";

#[async_trait]
impl Throttle for PostgresStore {
    async fn take_guess(&self, buckets: &[Bucket], now: Timestamp) -> Result<std::result::Result<(), Empty>> {
        write!(self, Relaxed, tx => take(&tx, buckets, now))
    }

    async fn give_guess_back(&self, buckets: &[Bucket]) -> Result<()> {
        write!(self, Relaxed, tx => give_back(&tx, buckets))
    }

    async fn see_guess(&self, buckets: &[Bucket], now: Timestamp) -> Result<std::result::Result<(), Empty>> {
        let levels = self.look_ups.levels(buckets.iter().map(|bucket| bucket.key).collect()).await?;
        Ok(throttle::take_all(buckets, &levels, now).map(drop))
    }
}

async fn take(tx: &Tx, buckets: &[Bucket], now: Timestamp) -> Result<std::result::Result<(), Empty>> {
    locks::take_buckets(tx, buckets).await?;
    match throttle::take_all(buckets, &levels(tx, buckets).await?, now) {
        Ok(levels) => keep(tx, &levels).await.map(Ok),
        Err(empty) => Ok(Err(empty)),
    }
}

async fn give_back(tx: &Tx, buckets: &[Bucket]) -> Result<()> {
    locks::take_buckets(tx, buckets).await?;
    keep(tx, &throttle::give_all_back(buckets, &levels(tx, buckets).await?)).await
}

async fn levels(db: &Db, buckets: &[Bucket]) -> Result<Vec<Level>> {
    let keys: Vec<_> = buckets.iter().map(|bucket| bucket.key).collect();
    db.all(LEVELS, params![keys], level).await
}

pub(super) fn level(row: &Row) -> RowResult<Level> {
    Ok(Level { key: row.try_get("key")?, full: at(row, "full_at")? })
}

async fn keep(tx: &Tx, levels: &[Level]) -> Result<()> {
    let (keys, full): (Vec<_>, Vec<_>) = levels.iter().map(|level| (level.key, At(level.full))).unzip();
    let sql = "INSERT INTO guess_buckets (key, full_at) SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[])
         ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at";
    tx.run(sql, params![keys, full]).await?;
    Ok(())
}
