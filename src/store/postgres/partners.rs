//! Partners and their redirect URIs.

use tokio_postgres::Row;

use super::statements::{Db, Params, RowResult, params};
use super::transaction::Tx;
use super::values::{At, at};
use super::{locks, oauth, subscriptions};
use crate::model::partner::{ClientId, Partner, PartnerChange, Slug};
use crate::model::token::{Credential, Hashed};
use crate::model::{PartnerId, SiteId, Timestamp};
use crate::store::{NewPartner, Recalling, Removed, Result};

/// Everything of the partner's row; its redirect URIs lie in their own table.
fn partner(row: &Row) -> RowResult<Partner> {
    Ok(Partner {
        id: row.try_get("id")?,
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        client_id: row.try_get("client_id")?,
        secret: row.try_get("secret")?,
        redirect_uris: Vec::new(),
        echo: row.try_get("echo")?,
        merge_updates: row.try_get("merge_updates")?,
        require_pkce: row.try_get("require_pkce")?,
        created: at(row, "created_at")?,
    })
}

async fn with_redirect_uris(db: &Db, partner: Partner) -> Result<Partner> {
    let sql = "SELECT uri FROM redirect_uris WHERE partner_id = $1 ORDER BY position";
    let redirect_uris = db.all(sql, params![partner.id], |row| row.try_get("uri")).await?;
    Ok(Partner { redirect_uris, ..partner })
}

async fn find(db: &Db, sql: &str, params: Params<'_>) -> Result<Option<Partner>> {
    match db.one(sql, params, partner).await? {
        Some(partner) => with_redirect_uris(db, partner).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn add(tx: &Tx, partner: &Partner) -> Result<NewPartner> {
    let added = tx
        .run(
            "INSERT INTO partners (id, slug, name, client_id, secret, echo, merge_updates, require_pkce, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (slug) WHERE removed_at IS NULL DO NOTHING",
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
        )
        .await?;
    if added == 0 {
        return Ok(NewPartner::SlugTaken);
    }
    for (position, uri) in (0_i64..).zip(&partner.redirect_uris) {
        let sql = "INSERT INTO redirect_uris (partner_id, position, uri) VALUES ($1, $2, $3)";
        tx.run(sql, params![partner.id, position, uri]).await?;
    }
    Ok(NewPartner::Added)
}

pub(super) async fn all(db: &Db) -> Result<Vec<Partner>> {
    let rows = db.all("SELECT * FROM partners WHERE removed_at IS NULL ORDER BY slug", params![], partner).await?;
    let mut partners = Vec::with_capacity(rows.len());
    for partner in rows {
        partners.push(with_redirect_uris(db, partner).await?);
    }
    Ok(partners)
}

pub(super) async fn by_slug(db: &Db, slug: &Slug) -> Result<Option<Partner>> {
    find(db, "SELECT * FROM partners WHERE slug = $1 AND removed_at IS NULL", params![slug]).await
}

pub(super) async fn by_client_id(db: &Db, client_id: &ClientId) -> Result<Option<Partner>> {
    // What a caller presents can be any text; one with a NUL is no TEXT, and nobody's id.
    if client_id.as_str().contains('\0') {
        return Ok(None);
    }
    find(db, "SELECT * FROM partners WHERE client_id = $1 AND removed_at IS NULL", params![client_id]).await
}

/// Whether the partner is there, and not removed; if so, it stays until the transaction ends.
pub(super) async fn keep(tx: &Tx, id: PartnerId) -> Result<bool> {
    tx.any("SELECT 1 FROM partners WHERE id = $1 AND removed_at IS NULL FOR SHARE", params![id]).await
}

pub(super) async fn set_secret(tx: &Tx, slug: &Slug, secret: &Hashed<Credential>) -> Result<Removed> {
    let sql = "UPDATE partners SET secret = $2 WHERE slug = $1 AND removed_at IS NULL";
    Ok(if tx.run(sql, params![slug, secret]).await? == 0 { Removed::NotFound } else { Removed::Yes })
}

pub(super) async fn change(tx: &Tx, slug: &Slug, change: PartnerChange) -> Result<Removed> {
    let sql =
        "UPDATE partners SET merge_updates = coalesce($2, merge_updates), require_pkce = coalesce($3, require_pkce)
         WHERE slug = $1 AND removed_at IS NULL";
    let changed = tx.run(sql, params![slug, change.merge_updates, change.require_pkce]).await?;
    Ok(if changed == 0 { Removed::NotFound } else { Removed::Yes })
}

pub(super) async fn remove(tx: &Tx, slug: &Slug, now: Timestamp) -> Result<Recalling<Removed>> {
    let sql = "UPDATE partners SET removed_at = $2 WHERE slug = $1 AND removed_at IS NULL RETURNING id";
    let id: Option<PartnerId> = tx.one(sql, params![slug, At(now)], |row| row.try_get("id")).await?;
    let Some(id) = id else { return Ok(Recalling::nothing(Removed::NotFound)) };
    oauth::revoke_of_partner(tx, id, now).await?;
    // None are added meanwhile: whoever adds one keeps the partner. Some may be gone by the time that the sites are ours.
    let sql = "SELECT site_uuid, id FROM subscriptions WHERE partner_id = $1 AND removed_at IS NULL";
    let sites: Vec<SiteId> = tx.all(sql, params![id], |row| row.try_get("site_uuid")).await?;
    locks::take_sites(tx, &sites).await?;
    let live = tx.all(sql, params![id], |row| Ok((row.try_get("site_uuid")?, row.try_get("id")?))).await?;
    let outstanding = subscriptions::remove_all(tx, &live, now).await?;
    Ok(Recalling { outcome: Removed::Yes, outstanding })
}
