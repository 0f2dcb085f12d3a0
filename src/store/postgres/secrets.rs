//! What is sealed: subscriptions' secrets, and the word that tells a wrong `secret_key` from the right one.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresStore;
use super::statements::{RowResult, params};
use super::transaction::Durability::Full;
use super::transaction::{Tx, write};
use super::values::{count, rows};
use crate::model::SubscriptionId;
use crate::model::seal::Sealed;
use crate::store::{Resealed, Result, SealedSecret, Secrets};

const SECRETS: &str = "SELECT id, site_uuid, partner_id, secret FROM subscriptions
     WHERE id > $1 AND removed_at IS NULL ORDER BY id LIMIT $2";

/// Before every id.
const FIRST: SubscriptionId = SubscriptionId::from_bytes([0; 16]);

#[async_trait]
impl Secrets for PostgresStore {
    async fn count_secrets(&self) -> Result<u64> {
        let sql = "SELECT count(*) AS count FROM subscriptions WHERE removed_at IS NULL";
        Ok(self.database.read().await?.one(sql, params![], |row| count(row, "count")).await?.unwrap_or_default())
    }

    async fn sealed_secrets(&self, after: Option<SubscriptionId>, limit: usize) -> Result<Vec<SealedSecret>> {
        let db = self.database.read().await?;
        db.all(SECRETS, params![after.unwrap_or(FIRST), rows(limit)], secret).await
    }

    async fn reseal(&self, secrets: Vec<Resealed>) -> Result<usize> {
        write!(self, Full, tx => reseal(&tx, &secrets))
    }

    async fn key_check(&self) -> Result<Option<Sealed>> {
        let db = self.database.read().await?;
        db.one("SELECT sealed FROM key_check", params![], |row| row.try_get("sealed")).await
    }

    async fn set_key_check(&self, check: Sealed) -> Result<()> {
        let sql = "INSERT INTO key_check (only_row, sealed) VALUES (TRUE, $1) ON CONFLICT DO NOTHING";
        write!(self, Full, tx => tx.run(sql, params![check])).map(drop)
    }

    async fn replace_key_check(&self, old: Sealed, new: Sealed) -> Result<()> {
        let sql = "UPDATE key_check SET sealed = $2 WHERE sealed = $1";
        write!(self, Full, tx => tx.run(sql, params![old, new])).map(drop)
    }
}

fn secret(row: &Row) -> RowResult<SealedSecret> {
    Ok(SealedSecret {
        id: row.try_get("id")?,
        site: row.try_get("site_uuid")?,
        partner: row.try_get("partner_id")?,
        secret: row.try_get("secret")?,
    })
}

async fn reseal(tx: &Tx, secrets: &[Resealed]) -> Result<usize> {
    let mut resealed = 0;
    // One by one, in the order of their ids: whoever sets one of them holds its row for a moment only.
    for Resealed { old, new } in secrets {
        let sql = "UPDATE subscriptions SET secret = $4 WHERE site_uuid = $1 AND id = $2 AND secret = $3";
        resealed += tx.run(sql, params![old.site, old.id, old.secret, new]).await?;
    }
    Ok(resealed)
}
