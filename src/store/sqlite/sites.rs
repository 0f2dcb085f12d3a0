//! Sites and their owners. A removed site is gone for every read at once; purge deletes what it left.

use rusqlite::{Connection, Row, params};

use super::statements::Statements;
use super::values::{At, at};
use super::writer::Tx;
use super::{oauth, subscriptions, users};
use crate::model::person::{Email, User};
use crate::model::site::Site;
use crate::model::{SiteId, Timestamp, UserId};
use crate::store::{NewSite, Recalling, Removed, Result};

pub(super) const OWNS: &str = "SELECT 1 FROM site_owners o JOIN sites s ON s.site_uuid = o.site_uuid
     WHERE o.site_uuid = ?1 AND o.user_id = ?2 AND s.removed_at IS NULL";

pub(super) fn site(row: &Row) -> rusqlite::Result<Site> {
    Ok(Site { id: row.get("site_uuid")?, domain: row.get("domain")?, created: at(row, "created_at")? })
}

pub(super) fn add(tx: &Tx, site: &Site, owners: &[Email]) -> Result<NewSite> {
    if tx.any("SELECT 1 FROM sites WHERE site_uuid = ?1", [site.id])? {
        return Ok(NewSite::UuidTaken);
    }
    let mut ids = Vec::with_capacity(owners.len());
    for owner in owners {
        match users::id_of(tx, owner)? {
            Some(user) => ids.push(user),
            None => return Ok(NewSite::NoSuchUser(owner.clone())),
        }
    }
    tx.run(
        "INSERT INTO sites (site_uuid, domain, created_at) VALUES (?1, ?2, ?3)",
        params![site.id, site.domain, At(site.created)],
    )?;
    for user in ids {
        add_owner(tx, site.id, user)?;
    }
    Ok(NewSite::Done)
}

pub(super) fn grant(tx: &Tx, site: SiteId, owner: &Email) -> Result<NewSite> {
    if find(tx, site)?.is_none() {
        return Ok(NewSite::NoSuchSite);
    }
    let Some(user) = users::id_of(tx, owner)? else { return Ok(NewSite::NoSuchUser(owner.clone())) };
    add_owner(tx, site, user)?;
    Ok(NewSite::Done)
}

fn add_owner(tx: &Tx, site: SiteId, user: UserId) -> Result<()> {
    tx.run("INSERT OR IGNORE INTO site_owners (site_uuid, user_id) VALUES (?1, ?2)", params![site, user])?;
    Ok(())
}

pub(super) fn all(db: &Connection) -> Result<Vec<Site>> {
    Ok(db.all("SELECT * FROM sites WHERE removed_at IS NULL ORDER BY domain, site_uuid", [], site)?)
}

pub(super) fn find(db: &Connection, id: SiteId) -> Result<Option<Site>> {
    Ok(db.one("SELECT * FROM sites WHERE site_uuid = ?1 AND removed_at IS NULL", [id], site)?)
}

pub(super) fn of_owner(db: &Connection, user: UserId) -> Result<Vec<Site>> {
    let sql = "SELECT s.* FROM site_owners o JOIN sites s ON s.site_uuid = o.site_uuid
         WHERE o.user_id = ?1 AND s.removed_at IS NULL ORDER BY s.domain, s.site_uuid";
    Ok(db.all(sql, [user], site)?)
}

pub(super) fn owners(db: &Connection, id: SiteId) -> Result<Vec<User>> {
    let sql = "SELECT u.* FROM site_owners o JOIN users u ON u.id = o.user_id JOIN sites s ON s.site_uuid = o.site_uuid
         WHERE o.site_uuid = ?1 AND s.removed_at IS NULL ORDER BY u.email";
    Ok(db.all(sql, [id], users::user)?)
}

pub(super) fn remove(tx: &Tx, id: SiteId, now: Timestamp) -> Result<Recalling<Removed>> {
    let marked =
        tx.run("UPDATE sites SET removed_at = ?2 WHERE site_uuid = ?1 AND removed_at IS NULL", params![id, At(now)])?;
    if marked == 0 {
        return Ok(Recalling::nothing(Removed::NotFound));
    }
    oauth::revoke_of_site(tx, id, now)?;
    let live =
        tx.all("SELECT id FROM subscriptions WHERE site_uuid = ?1 AND removed_at IS NULL", [id], |row| row.get("id"))?;
    let outstanding = subscriptions::remove_all(tx, &live, now)?;
    tx.run("DELETE FROM site_owners WHERE site_uuid = ?1", [id])?;
    tx.run("DELETE FROM source_sites WHERE site_uuid = ?1", [id])?;
    Ok(Recalling { outcome: Removed::Yes, outstanding })
}
