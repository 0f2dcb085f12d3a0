//! Sites and their owners. A removed site is gone for every read at once; purge deletes what it left.

use tokio_postgres::Row;

use super::statements::{Db, RowResult, params};
use super::transaction::Tx;
use super::values::{At, at};
use super::{locks, oauth, subscriptions, users};
use crate::model::person::{Email, User};
use crate::model::site::Site;
use crate::model::{SiteId, Timestamp, UserId};
use crate::store::{NewSite, Recalling, Removed, Result};

pub(super) const OWNS: &str = "SELECT 1 FROM site_owners o JOIN sites s ON s.site_uuid = o.site_uuid
     WHERE o.site_uuid = $1 AND o.user_id = $2 AND s.removed_at IS NULL";

pub(super) fn site(row: &Row) -> RowResult<Site> {
    Ok(Site { id: row.try_get("site_uuid")?, domain: row.try_get("domain")?, created: at(row, "created_at")? })
}

pub(super) async fn add(tx: &Tx, site: &Site, owners: &[Email]) -> Result<NewSite> {
    if tx.any("SELECT 1 FROM sites WHERE site_uuid = $1", params![site.id]).await? {
        return Ok(NewSite::UuidTaken);
    }
    let mut ids = Vec::with_capacity(owners.len());
    for owner in owners {
        match users::keep(tx, owner).await? {
            Some(user) => ids.push(user),
            None => return Ok(NewSite::NoSuchUser(owner.clone())),
        }
    }
    let sql = "INSERT INTO sites (site_uuid, domain, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    if tx.run(sql, params![site.id, site.domain, At(site.created)]).await? == 0 {
        return Ok(NewSite::UuidTaken);
    }
    for user in ids {
        add_owner(tx, site.id, user).await?;
    }
    Ok(NewSite::Done)
}

pub(super) async fn grant(tx: &Tx, site: SiteId, owner: &Email) -> Result<NewSite> {
    if !keep(tx, site).await? {
        return Ok(NewSite::NoSuchSite);
    }
    let Some(user) = users::keep(tx, owner).await? else { return Ok(NewSite::NoSuchUser(owner.clone())) };
    add_owner(tx, site, user).await?;
    Ok(NewSite::Done)
}

async fn add_owner(tx: &Tx, site: SiteId, user: UserId) -> Result<()> {
    let sql = "INSERT INTO site_owners (site_uuid, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.run(sql, params![site, user]).await?;
    Ok(())
}

pub(super) async fn all(db: &Db) -> Result<Vec<Site>> {
    db.all("SELECT * FROM sites WHERE removed_at IS NULL ORDER BY domain, site_uuid", params![], site).await
}

pub(super) async fn find(db: &Db, id: SiteId) -> Result<Option<Site>> {
    db.one("SELECT * FROM sites WHERE site_uuid = $1 AND removed_at IS NULL", params![id], site).await
}

/// Whether the site is there; if so, it stays until the transaction ends.
pub(super) async fn keep(tx: &Tx, id: SiteId) -> Result<bool> {
    tx.any("SELECT 1 FROM sites WHERE site_uuid = $1 AND removed_at IS NULL FOR SHARE", params![id]).await
}

pub(super) async fn of_owner(db: &Db, user: UserId) -> Result<Vec<Site>> {
    let sql = "SELECT s.* FROM site_owners o JOIN sites s ON s.site_uuid = o.site_uuid
         WHERE o.user_id = $1 AND s.removed_at IS NULL ORDER BY s.domain, s.site_uuid";
    db.all(sql, params![user], site).await
}

pub(super) async fn owners(db: &Db, id: SiteId) -> Result<Vec<User>> {
    let sql = "SELECT u.* FROM site_owners o JOIN users u ON u.id = o.user_id JOIN sites s ON s.site_uuid = o.site_uuid
         WHERE o.site_uuid = $1 AND s.removed_at IS NULL ORDER BY u.email";
    db.all(sql, params![id], users::user).await
}

pub(super) async fn remove(tx: &Tx, id: SiteId, now: Timestamp) -> Result<Recalling<Removed>> {
    locks::take_sites(tx, &[id]).await?;
    let sql = "UPDATE sites SET removed_at = $2 WHERE site_uuid = $1 AND removed_at IS NULL";
    if tx.run(sql, params![id, At(now)]).await? == 0 {
        return Ok(Recalling::nothing(Removed::NotFound));
    }
    oauth::revoke_of_site(tx, id, now).await?;
    let sql = "SELECT id FROM subscriptions WHERE site_uuid = $1 AND removed_at IS NULL";
    let live = tx.all(sql, params![id], |row| Ok((id, row.try_get("id")?))).await?;
    let outstanding = subscriptions::remove_all(tx, &live, now).await?;
    tx.run("DELETE FROM site_owners WHERE site_uuid = $1", params![id]).await?;
    tx.run("DELETE FROM source_sites WHERE site_uuid = $1", params![id]).await?;
    Ok(Recalling { outcome: Removed::Yes, outstanding })
}
