//! Grants, codes and tokens. The model judges; this file loads what it judges by, and keeps what it decided.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::statements::Statements;
use super::values::{At, at, maybe_at};
use super::writer::Durability::Full;
use super::writer::Tx;
use super::{SqliteStore, partners, sites, tokens};
use crate::model::oauth::{
    AccessGrant, GrantRefused, Granted, Honoured, Issued, LiveToken, NewCode, NewTokens, Redemption, Revocation,
    Rotation, StoredCode, StoredRefresh,
};
use crate::model::token::{Access, AnyToken, Hashed};
use crate::model::{GrantId, PartnerId, Scopes, SiteId, Timestamp, UserId};
use crate::store::{OAuth, Result, StoreError};

/// Looks at the access token `?1`, if it is live at `?2`: what that means stands here alone.
macro_rules! of_live_token {
    ($columns:literal, $more:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM access_tokens t
             JOIN grants g ON g.id = t.grant_id
             JOIN partners p ON p.id = g.partner_id
             JOIN sites s ON s.site_uuid = g.site_uuid ",
            $more,
            " WHERE t.hash = ?1 AND t.expires_at > ?2
               AND g.revoked_at IS NULL AND p.removed_at IS NULL AND s.removed_at IS NULL"
        )
    };
}
pub(super) use of_live_token;

pub(super) const ACCESS_GRANT: &str = of_live_token!(
    "t.scopes, t.issued_at, t.expires_at, g.id AS grant_id, g.partner_id, g.user_id, p.slug,
     s.site_uuid, s.domain, s.created_at",
    ""
);

/// Whether the user of the grant `g` still owns its site.
macro_rules! owned {
    () => {
        "EXISTS (SELECT 1 FROM site_owners o JOIN sites s ON s.site_uuid = o.site_uuid
             WHERE o.site_uuid = g.site_uuid AND o.user_id = g.user_id AND s.removed_at IS NULL) AS owned"
    };
}

const CODE: &str = concat!(
    "SELECT g.*, c.redirect_uri, c.challenge, c.expires_at, c.used_at, ",
    owned!(),
    " FROM authorization_codes c JOIN grants g ON g.id = c.grant_id WHERE c.hash = ?1"
);

pub(super) const REFRESH: &str = concat!(
    "SELECT g.*, t.generation AS token_generation, t.issued_at, t.expires_at, ",
    owned!(),
    " FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id WHERE t.hash = ?1"
);

pub(super) const FORGET_EXPIRED: &str = "DELETE FROM access_tokens WHERE grant_id = ?1 AND expires_at <= ?2";

#[async_trait]
impl OAuth for SqliteStore {
    async fn issue_code(&self, code: NewCode) -> Result<Issued> {
        self.write(Full, move |tx| issue(tx, &code)).await
    }

    async fn redeem_code(&self, redemption: Redemption) -> Result<std::result::Result<Granted, GrantRefused>> {
        self.write(Full, move |tx| redeem(tx, &redemption)).await
    }

    async fn rotate_refresh(&self, rotation: Rotation) -> Result<std::result::Result<Granted, GrantRefused>> {
        self.write(Full, move |tx| rotate(tx, &rotation)).await
    }

    async fn access_grant(&self, token: &Hashed<Access>, now: Timestamp) -> Result<Option<AccessGrant>> {
        self.look_up(|db| access_grant(db, token, now))
    }

    async fn live_token(&self, token: AnyToken, now: Timestamp) -> Result<Option<LiveToken>> {
        self.look_up(|db| tokens::live(db, token, now))
    }

    async fn revoke_token(&self, revocation: Revocation) -> Result<Option<GrantId>> {
        self.write(Full, move |tx| tokens::revoke(tx, &revocation)).await
    }
}

/// What a code or token says of the grant it belongs to.
struct Family {
    grant: GrantId,
    site: SiteId,
    scopes: Scopes,
}

fn family(row: &Row) -> rusqlite::Result<Family> {
    Ok(Family { grant: row.get("id")?, site: row.get("site_uuid")?, scopes: row.get("scopes")? })
}

fn issue(tx: &Tx, code: &NewCode) -> Result<Issued> {
    if tx.any("SELECT 1 FROM grants WHERE flow = ?1", [code.flow])? {
        return Ok(Issued::AlreadyApproved);
    }
    if !partners::exists(tx, code.partner)? || !owns(tx, code.site, code.user)? {
        return Ok(Issued::NotOwner);
    }
    tx.run(
        "INSERT INTO grants (id, flow, site_uuid, partner_id, user_id, scopes, rotated_at, created_at, ends_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
        params![code.grant, code.flow, code.site, code.partner, code.user, code.scopes, At(code.now), At(code.expires)],
    )?;
    tx.run(
        "INSERT INTO authorization_codes (hash, grant_id, redirect_uri, challenge, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![code.code, code.grant, code.redirect_uri, code.challenge, At(code.expires)],
    )?;
    Ok(Issued::Code)
}

fn owns(db: &Connection, site: SiteId, user: UserId) -> Result<bool> {
    Ok(db.any(sites::OWNS, params![site, user])?)
}

fn redeem(tx: &Tx, redemption: &Redemption) -> Result<std::result::Result<Granted, GrantRefused>> {
    let Some((stored, family)) = tx.one(CODE, [redemption.code], |row| Ok((stored_code(row)?, family(row)?)))? else {
        return Ok(Err(GrantRefused::Unknown));
    };
    if let Err(refused) = stored.judge(redemption) {
        return refuse(tx, family.grant, refused, redemption.now);
    }
    let sql = "UPDATE authorization_codes SET used_at = ?2 WHERE hash = ?1";
    tx.run(sql, params![redemption.code, At(redemption.now)])?;
    tx.run("UPDATE grants SET rotated_at = ?2 WHERE id = ?1", params![family.grant, At(redemption.now)])?;
    store_tokens(tx, &redemption.tokens, &family, 0, redemption.now)?;
    granted(tx, family.site, family.scopes)
}

fn stored_code(row: &Row) -> rusqlite::Result<StoredCode> {
    Ok(StoredCode {
        partner: row.get("partner_id")?,
        redirect_uri: row.get("redirect_uri")?,
        challenge: row.get("challenge")?,
        expires: at(row, "expires_at")?,
        used: maybe_at(row, "used_at")?.is_some(),
        revoked: maybe_at(row, "revoked_at")?.is_some(),
        owned: row.get("owned")?,
    })
}

fn rotate(tx: &Tx, rotation: &Rotation) -> Result<std::result::Result<Granted, GrantRefused>> {
    let Some((stored, family)) = tx.one(REFRESH, [rotation.refresh], |row| Ok((stored_refresh(row)?, family(row)?)))?
    else {
        return Ok(Err(GrantRefused::Unknown));
    };
    let generation = match stored.judge(rotation) {
        Err(refused) => return refuse(tx, family.grant, refused, rotation.now),
        Ok(Honoured::Repeat) => stored.current,
        Ok(Honoured::Advance) => {
            let sql = "UPDATE grants SET generation = ?2, rotated_at = ?3 WHERE id = ?1";
            tx.run(sql, params![family.grant, stored.current + 1, At(rotation.now)])?;
            stored.current + 1
        }
    };
    let family = Family { scopes: rotation.scopes.unwrap_or(family.scopes), ..family };
    forget_expired(tx, family.grant, rotation.now)?;
    store_tokens(tx, &rotation.tokens, &family, generation, rotation.now)?;
    granted(tx, family.site, family.scopes)
}

pub(super) fn stored_refresh(row: &Row) -> rusqlite::Result<StoredRefresh> {
    Ok(StoredRefresh {
        partner: row.get("partner_id")?,
        generation: row.get("token_generation")?,
        expires: at(row, "expires_at")?,
        current: row.get("generation")?,
        rotated: at(row, "rotated_at")?,
        scopes: row.get("scopes")?,
        revoked: maybe_at(row, "revoked_at")?.is_some(),
        owned: row.get("owned")?,
    })
}

/// A refusal is committed like a success: a replay revokes the grant.
fn refuse(
    tx: &Tx,
    grant: GrantId,
    refused: GrantRefused,
    now: Timestamp,
) -> Result<std::result::Result<Granted, GrantRefused>> {
    if refused == GrantRefused::Replayed {
        let sql = "UPDATE grants SET revoked_at = ?2, ends_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
        tx.run(sql, params![grant, At(now)])?;
    }
    Ok(Err(refused))
}

/// Deletes the grant's access tokens that have expired: there are newer ones from now on.
fn forget_expired(tx: &Tx, grant: GrantId, now: Timestamp) -> Result<()> {
    tx.run(FORGET_EXPIRED, params![grant, At(now)])?;
    Ok(())
}

fn store_tokens(tx: &Tx, tokens: &NewTokens, family: &Family, generation: u32, now: Timestamp) -> Result<()> {
    tx.run(
        "INSERT INTO access_tokens (hash, grant_id, scopes, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![tokens.access, family.grant, family.scopes, At(now), At(tokens.access_expires)],
    )?;
    tx.run(
        "INSERT INTO refresh_tokens (hash, grant_id, generation, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![tokens.refresh, family.grant, generation, At(now), At(tokens.refresh_expires)],
    )?;
    let end = tokens.access_expires.max(tokens.refresh_expires);
    tx.run("UPDATE grants SET ends_at = max(ends_at, ?2) WHERE id = ?1", params![family.grant, At(end)])?;
    Ok(())
}

fn granted(db: &Connection, site: SiteId, scopes: Scopes) -> Result<std::result::Result<Granted, GrantRefused>> {
    // The judge has just refused everybody who does not own the site.
    let site = sites::find(db, site)?.ok_or_else(|| StoreError::Corrupt("a grant without its site".into()))?;
    Ok(Ok(Granted { scopes, site }))
}

pub(super) fn access_grant(db: &Connection, token: &Hashed<Access>, now: Timestamp) -> Result<Option<AccessGrant>> {
    let grant = db.one(ACCESS_GRANT, params![token, At(now)], |row| {
        Ok(AccessGrant {
            grant: row.get("grant_id")?,
            partner: row.get("partner_id")?,
            slug: row.get("slug")?,
            site: sites::site(row)?,
            user: row.get("user_id")?,
            scopes: row.get("scopes")?,
            issued: at(row, "issued_at")?,
            expires: at(row, "expires_at")?,
        })
    });
    Ok(grant?)
}

/// Revokes every grant for a site.
pub(super) fn revoke_of_site(tx: &Tx, site: SiteId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE grants SET revoked_at = ?2, ends_at = ?2 WHERE site_uuid = ?1 AND revoked_at IS NULL";
    tx.run(sql, params![site, At(now)])?;
    Ok(())
}

/// Revokes every grant that a person gave.
pub(super) fn revoke_of_user(tx: &Tx, user: UserId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE grants SET revoked_at = ?2, ends_at = ?2 WHERE user_id = ?1 AND revoked_at IS NULL";
    tx.run(sql, params![user, At(now)])?;
    Ok(())
}

/// Revokes every grant to a partner.
pub(super) fn revoke_of_partner(tx: &Tx, partner: PartnerId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE grants SET revoked_at = ?2, ends_at = ?2 WHERE partner_id = ?1 AND revoked_at IS NULL";
    tx.run(sql, params![partner, At(now)])?;
    Ok(())
}
