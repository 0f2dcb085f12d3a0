//! Sources: HTTP Basic credentials that send leads in.

use tokio_postgres::Row;

use super::sites;
use super::statements::{Db, RowResult, params};
use super::transaction::Tx;
use super::values::{At, at};
use crate::model::SiteId;
use crate::model::source::{Reach, Source, Username};
use crate::store::{AddSource, Removed, Result};

/// With the sites that it may send to, unless those are all.
const ALL: &str = "SELECT id, username, password, created_at, CASE WHEN NOT all_sites THEN ARRAY(
         SELECT site_uuid FROM source_sites WHERE source_id = sources.id ORDER BY site_uuid
     ) END AS only
     FROM sources ORDER BY username";

pub(super) fn source(row: &Row) -> RowResult<Source> {
    Ok(Source {
        id: row.try_get("id")?,
        username: row.try_get("username")?,
        password: row.try_get("password")?,
        reach: row.try_get::<_, Option<_>>("only")?.map_or(Reach::All, Reach::Only),
        created: at(row, "created_at")?,
    })
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
    db.all(ALL, params![], source).await
}

pub(super) async fn remove(tx: &Tx, username: &Username) -> Result<Removed> {
    let removed = tx.run("DELETE FROM sources WHERE username = $1", params![username]).await?;
    Ok(if removed == 0 { Removed::NotFound } else { Removed::Yes })
}
