//! Sources: HTTP Basic credentials that send leads in.

use rusqlite::{Connection, Row, params};

use super::sites;
use super::statements::Statements;
use super::values::{At, at};
use super::writer::Tx;
use crate::model::source::{Reach, Source, Username};
use crate::model::{SiteId, SourceId};
use crate::store::{AddSource, Removed, Result};

/// The source's row, and whether it reaches every site; if not, its sites lie in their own table.
fn source(row: &Row) -> rusqlite::Result<(Source, bool)> {
    let source = Source {
        id: row.get("id")?,
        username: row.get("username")?,
        password: row.get("password")?,
        reach: Reach::All,
        created: at(row, "created_at")?,
    };
    Ok((source, row.get("all_sites")?))
}

fn with_reach(db: &Connection, (source, all_sites): (Source, bool)) -> Result<Source> {
    if all_sites {
        return Ok(source);
    }
    let sql = "SELECT site_uuid FROM source_sites WHERE source_id = ?1 ORDER BY site_uuid";
    Ok(Source { reach: Reach::Only(db.all(sql, [source.id], |row| row.get("site_uuid"))?), ..source })
}

pub(super) fn add(tx: &Tx, source: &Source) -> Result<AddSource> {
    if tx.any("SELECT 1 FROM sources WHERE username = ?1", [&source.username])? {
        return Ok(AddSource::UsernameTaken);
    }
    let (all_sites, only): (bool, &[SiteId]) = match &source.reach {
        Reach::All => (true, &[]),
        Reach::Only(only) => (false, only),
    };
    for site in only {
        if sites::find(tx, *site)?.is_none() {
            return Ok(AddSource::NoSuchSite(*site));
        }
    }
    tx.run(
        "INSERT INTO sources (id, username, password, all_sites, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![source.id, source.username, source.password, all_sites, At(source.created)],
    )?;
    for site in only {
        let sql = "INSERT OR IGNORE INTO source_sites (source_id, site_uuid) VALUES (?1, ?2)";
        tx.run(sql, params![source.id, site])?;
    }
    Ok(AddSource::Added)
}

pub(super) fn all(db: &Connection) -> Result<Vec<Source>> {
    let rows = db.all("SELECT * FROM sources ORDER BY username", [], source)?;
    rows.into_iter().map(|row| with_reach(db, row)).collect()
}

pub(super) fn by_username(db: &Connection, username: &Username) -> Result<Option<Source>> {
    let found = db.one("SELECT * FROM sources WHERE username = ?1", [username], source)?;
    found.map(|row| with_reach(db, row)).transpose()
}

/// Whether the source is there and may send to the site.
pub(super) fn may_send(db: &Connection, source: SourceId, site: SiteId) -> Result<bool> {
    let sql = "SELECT 1 FROM sources s WHERE id = ?1 AND (all_sites OR EXISTS (
             SELECT 1 FROM source_sites o WHERE o.source_id = s.id AND o.site_uuid = ?2
         ))";
    Ok(db.any(sql, params![source, site])?)
}

pub(super) fn remove(tx: &Tx, username: &Username) -> Result<Removed> {
    let removed = tx.run("DELETE FROM sources WHERE username = ?1", [username])?;
    Ok(if removed == 0 { Removed::NotFound } else { Removed::Yes })
}
