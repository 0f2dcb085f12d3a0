//! The sealed word that tells a wrong `secret_key` from the right one.

use super::statements::{Db, params};
use super::transaction::Tx;
use crate::model::seal::Sealed;
use crate::store::Result;

pub(super) async fn read(db: &Db) -> Result<Option<Sealed>> {
    db.one("SELECT sealed FROM key_check", params![], |row| row.try_get("sealed")).await
}

pub(super) async fn write_first(tx: &Tx, check: &Sealed) -> Result<()> {
    let sql = "INSERT INTO key_check (only_row, sealed) VALUES (TRUE, $1) ON CONFLICT DO NOTHING";
    tx.run(sql, params![check]).await?;
    Ok(())
}
