//! The sealed word that tells a wrong `secret_key` from the right one.

use rusqlite::{Connection, params};

use super::statements::Statements;
use crate::model::seal::Sealed;
use crate::store::Result;

pub(super) fn read(db: &Connection) -> Result<Option<Sealed>> {
    Ok(db.one("SELECT sealed FROM key_check", [], |row| row.get(0))?)
}

pub(super) fn write_first(db: &Connection, check: &Sealed) -> Result<()> {
    db.run("INSERT INTO key_check (only_row, sealed) VALUES (1, ?1) ON CONFLICT DO NOTHING", params![check])?;
    Ok(())
}
