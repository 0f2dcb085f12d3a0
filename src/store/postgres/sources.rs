//! Sources: HTTP Basic credentials that send leads in.

use tokio_postgres::Row;

use super::sites;
use super::statements::{Db, RowResult, params};
use super::transaction::Tx;
use super::values::{At, at};
use crate::model::SiteId;
use crate::model::source::{Reach, Source, Username};
use crate::store::{AddSource, Removed, Result};

/// The source's row, and whether it reaches every site; if not, its sites lie in their own table.
fn source(row: &Row) -> RowResult<(Source, bool)> {
    let source = Source {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        password: row.try_get("password")?,
        reach: Reach::All,
        created: at(row, "created_at")?,
    };
    Ok((source, row.try_get("all_sites")?))
}

async fn with_reach(db: &Db, (source, all_sites): (Source, bool)) -> Result<Source> {
    if all_sites {
        return Ok(source);
    }
    let sql = "SELECT site_uuid FROM source_sites WHERE source_id = $1 ORDER BY site_uuid";
    Ok(Source { reach: Reach::Only(db.all(sql, params![source.id], |row| row.try_get("site_uuid")).await?), ..source })
}

pub(super) async fn add(tx: &Tx, source: &Source) -> Result<AddSource> {
    if tx.any("SELECT 1 FROM sources WHERE username = $1", params![source.username]).await? {
        return Ok(AddSource::UsernameTaken);
    }
    let (all_sites, only): (bool, &[SiteId]) = match &source.reach {
        Reach::All => (true, &[]),
        Reach::Only(only) => (false, only),
    };
    for site in only {
        if !sites::keep(tx, *site).await? {
            return Ok(AddSource::NoSuchSite(*site));
        }
    }
    let added = tx
        .run(
            "INSERT INTO sources (id, username, password, all_sites, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (username) DO NOTHING",
            params![source.id, source.username, source.password, all_sites, At(source.created)],
        )
        .await?;
    if added == 0 {
        return Ok(AddSource::UsernameTaken);
    }
    for site in only {
        let sql = "INSERT INTO source_sites (source_id, site_uuid) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        tx.run(sql, params![source.id, site]).await?;
    }
    Ok(AddSource::Added)
}

pub(super) async fn all(db: &Db) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for row in db.all("SELECT * FROM sources ORDER BY username", params![], source).await? {
        sources.push(with_reach(db, row).await?);
    }
    Ok(sources)
}

pub(super) async fn by_username(db: &Db, username: &Username) -> Result<Option<Source>> {
    match db.one("SELECT * FROM sources WHERE username = $1", params![username], source).await? {
        Some(row) => with_reach(db, row).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn remove(tx: &Tx, username: &Username) -> Result<Removed> {
    let removed = tx.run("DELETE FROM sources WHERE username = $1", params![username]).await?;
    Ok(if removed == 0 { Removed::NotFound } else { Removed::Yes })
}
