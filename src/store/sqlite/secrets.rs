//! What is sealed: subscriptions' secrets, and the word that tells a wrong `secret_key` from the right one.

use async_trait::async_trait;
use rusqlite::{Row, params};

use super::SqliteStore;
use super::statements::Statements;
use super::values::rows;
use super::writer::Durability::Full;
use super::writer::Tx;
use crate::model::SubscriptionId;
use crate::model::seal::Sealed;
use crate::store::{Resealed, Result, SealedSecret, Secrets};

pub(super) const SECRETS: &str = "SELECT id, site_uuid, partner_id, secret FROM subscriptions
     WHERE id > ?1 AND removed_at IS NULL ORDER BY id LIMIT ?2";

/// Before every id.
const FIRST: SubscriptionId = SubscriptionId::from_bytes([0; 16]);

#[async_trait]
impl Secrets for SqliteStore {
    async fn count_secrets(&self) -> Result<u64> {
        let sql = "SELECT count(*) FROM subscriptions WHERE removed_at IS NULL";
        let count = self.read(|db| Ok(db.one(sql, [], |row| row.get::<_, i64>(0))?)).await?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    async fn sealed_secrets(&self, after: Option<SubscriptionId>, limit: usize) -> Result<Vec<SealedSecret>> {
        self.read(move |db| Ok(db.all(SECRETS, params![after.unwrap_or(FIRST), rows(limit)], secret)?)).await
    }

    async fn reseal(&self, secrets: Vec<Resealed>) -> Result<usize> {
        self.write(Full, move |tx| reseal(tx, &secrets)).await
    }

    async fn key_check(&self) -> Result<Option<Sealed>> {
        self.read(|db| Ok(db.one("SELECT sealed FROM key_check", [], |row| row.get(0))?)).await
    }

    async fn set_key_check(&self, check: Sealed) -> Result<()> {
        let sql = "INSERT INTO key_check (only_row, sealed) VALUES (1, ?1) ON CONFLICT DO NOTHING";
        self.write(Full, move |tx| Ok(tx.run(sql, params![check]).map(drop)?)).await
    }

    async fn replace_key_check(&self, old: Sealed, new: Sealed) -> Result<()> {
        let sql = "UPDATE key_check SET sealed = ?2 WHERE sealed = ?1";
        self.write(Full, move |tx| Ok(tx.run(sql, params![old, new]).map(drop)?)).await
    }
}

fn secret(row: &Row) -> rusqlite::Result<SealedSecret> {
    Ok(SealedSecret {
        id: row.get("id")?,
        site: row.get("site_uuid")?,
        partner: row.get("partner_id")?,
        secret: row.get("secret")?,
    })
}

fn reseal(tx: &Tx, secrets: &[Resealed]) -> Result<usize> {
    let mut resealed = 0;
    for Resealed { old, new } in secrets {
        let sql = "UPDATE subscriptions SET secret = ?3 WHERE id = ?1 AND secret = ?2";
        resealed += tx.run(sql, params![old.id, old.secret, new])?;
    }
    Ok(resealed)
}
