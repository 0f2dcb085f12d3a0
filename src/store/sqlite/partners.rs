//! Partners and their redirect URIs.

use rusqlite::{Connection, Params, Row, params};

use super::statements::Statements;
use super::values::{At, at};
use super::writer::Tx;
use super::{oauth, subscriptions};
use crate::model::partner::{ClientId, Partner, PartnerChange, Slug};
use crate::model::token::{Credential, Hashed};
use crate::model::{PartnerId, Timestamp};
use crate::store::{NewPartner, Recalling, Removed, Result};

/// Everything of the partner's row; its redirect URIs lie in their own table.
fn partner(row: &Row) -> rusqlite::Result<Partner> {
    Ok(Partner {
        id: row.get("id")?,
        slug: row.get("slug")?,
        name: row.get("name")?,
        client_id: row.get("client_id")?,
        secret: row.get("secret")?,
        redirect_uris: Vec::new(),
        echo: row.get("echo")?,
        merge_updates: row.get("merge_updates")?,
        require_pkce: row.get("require_pkce")?,
        created: at(row, "created_at")?,
    })
}

fn with_redirect_uris(db: &Connection, partner: Partner) -> Result<Partner> {
    let sql = "SELECT uri FROM redirect_uris WHERE partner_id = ?1 ORDER BY position";
    Ok(Partner { redirect_uris: db.all(sql, [partner.id], |row| row.get("uri"))?, ..partner })
}

fn find(db: &Connection, sql: &str, params: impl Params) -> Result<Option<Partner>> {
    let found = db.one(sql, params, partner)?;
    found.map(|partner| with_redirect_uris(db, partner)).transpose()
}

pub(super) fn add(tx: &Tx, partner: &Partner) -> Result<NewPartner> {
    if id_of(tx, &partner.slug)?.is_some() {
        return Ok(NewPartner::SlugTaken);
    }
    tx.run(
        "INSERT INTO partners (id, slug, name, client_id, secret, echo, merge_updates, require_pkce, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            partner.id,
            partner.slug,
            partner.name,
            partner.client_id,
            partner.secret,
            partner.echo,
            partner.merge_updates,
            partner.require_pkce,
            At(partner.created)
        ],
    )?;
    for (position, uri) in (0_i64..).zip(&partner.redirect_uris) {
        let sql = "INSERT INTO redirect_uris (partner_id, position, uri) VALUES (?1, ?2, ?3)";
        tx.run(sql, params![partner.id, position, uri])?;
    }
    Ok(NewPartner::Added)
}

fn id_of(db: &Connection, slug: &Slug) -> Result<Option<PartnerId>> {
    Ok(db.one("SELECT id FROM partners WHERE slug = ?1 AND removed_at IS NULL", [slug], |row| row.get("id"))?)
}

pub(super) fn all(db: &Connection) -> Result<Vec<Partner>> {
    let rows = db.all("SELECT * FROM partners WHERE removed_at IS NULL ORDER BY slug", [], partner)?;
    rows.into_iter().map(|partner| with_redirect_uris(db, partner)).collect()
}

pub(super) fn by_slug(db: &Connection, slug: &Slug) -> Result<Option<Partner>> {
    find(db, "SELECT * FROM partners WHERE slug = ?1 AND removed_at IS NULL", [slug])
}

pub(super) fn by_client_id(db: &Connection, client_id: &ClientId) -> Result<Option<Partner>> {
    find(db, "SELECT * FROM partners WHERE client_id = ?1 AND removed_at IS NULL", [client_id])
}

/// Whether the partner is there, and not removed.
pub(super) fn exists(db: &Connection, id: PartnerId) -> Result<bool> {
    Ok(db.any("SELECT 1 FROM partners WHERE id = ?1 AND removed_at IS NULL", [id])?)
}

pub(super) fn set_secret(tx: &Tx, slug: &Slug, secret: &Hashed<Credential>) -> Result<Removed> {
    let sql = "UPDATE partners SET secret = ?2 WHERE slug = ?1 AND removed_at IS NULL";
    Ok(if tx.run(sql, params![slug, secret])? == 0 { Removed::NotFound } else { Removed::Yes })
}

pub(super) fn change(tx: &Tx, slug: &Slug, change: PartnerChange) -> Result<Removed> {
    let sql =
        "UPDATE partners SET merge_updates = coalesce(?2, merge_updates), require_pkce = coalesce(?3, require_pkce)
         WHERE slug = ?1 AND removed_at IS NULL";
    let changed = tx.run(sql, params![slug, change.merge_updates, change.require_pkce])?;
    Ok(if changed == 0 { Removed::NotFound } else { Removed::Yes })
}

pub(super) fn remove(tx: &Tx, slug: &Slug, now: Timestamp) -> Result<Recalling<Removed>> {
    let Some(id) = id_of(tx, slug)? else { return Ok(Recalling::nothing(Removed::NotFound)) };
    tx.run("UPDATE partners SET removed_at = ?2 WHERE id = ?1", params![id, At(now)])?;
    oauth::revoke_of_partner(tx, id, now)?;
    let sql = "SELECT id FROM subscriptions WHERE partner_id = ?1 AND removed_at IS NULL";
    let live = tx.all(sql, [id], |row| row.get("id"))?;
    let outstanding = subscriptions::remove_all(tx, &live, now)?;
    Ok(Recalling { outcome: Removed::Yes, outstanding })
}
