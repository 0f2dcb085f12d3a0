//! Grants, codes and tokens. The model judges; this file loads what it judges by, and keeps what it decided.
//!
//! Whoever spends a code or token locks its grant first: so twenty at once are judged one after the other.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::statements::{Db, RowResult, params};
use super::transaction::Durability::Full;
use super::transaction::{Tx, write};
use super::values::{At, at, count, maybe_at};
use super::{PostgresStore, locks, partners, sites, tokens};
use crate::model::oauth::{
    AccessGrant, GrantRefused, Granted, Honoured, Issued, LiveToken, NewCode, NewTokens, Redemption, Revocation,
    Rotation, StoredCode, StoredRefresh,
};
use crate::model::token::{Access, AnyToken, Hashed};
use crate::model::{GrantId, PartnerId, Scopes, SiteId, Timestamp, UserId};
use crate::store::{OAuth, Result};

/// Looks at the access token `$1`, if it is live at `$2`: what that means stands here alone.
macro_rules! of_live_token {
    ($columns:literal, $more:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM access_tokens t
             JOIN grants g ON g.site_uuid = t.site_uuid AND g.id = t.grant_id
             JOIN partners p ON p.id = g.partner_id
             JOIN sites s ON s.site_uuid = g.site_uuid ",
            $more,
            " WHERE t.hash = $1 AND t.expires_at > $2
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

const LOCK_BY_CODE: &str = "SELECT 1 FROM grants g
     JOIN authorization_codes c ON c.site_uuid = g.site_uuid AND c.grant_id = g.id
     WHERE c.hash = $1 FOR UPDATE OF g";

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
    " FROM authorization_codes c JOIN grants g ON g.site_uuid = c.site_uuid AND g.id = c.grant_id WHERE c.hash = $1"
);

const LOCK_BY_REFRESH: &str = "SELECT 1 FROM grants g
     JOIN refresh_tokens t ON t.site_uuid = g.site_uuid AND t.grant_id = g.id
     WHERE t.hash = $1 FOR UPDATE OF g";

pub(super) const REFRESH: &str = concat!(
    "SELECT g.*, t.generation AS token_generation, t.issued_at, t.expires_at, ",
    owned!(),
    " FROM refresh_tokens t JOIN grants g ON g.site_uuid = t.site_uuid AND g.id = t.grant_id WHERE t.hash = $1"
);

#[async_trait]
impl OAuth for PostgresStore {
    async fn issue_code(&self, code: NewCode) -> Result<Issued> {
        write!(self, Full, tx => issue(&tx, &code))
    }

    async fn redeem_code(&self, redemption: Redemption) -> Result<std::result::Result<Granted, GrantRefused>> {
        write!(self, Full, tx => redeem(&tx, &redemption))
    }

    async fn rotate_refresh(&self, rotation: Rotation) -> Result<std::result::Result<Granted, GrantRefused>> {
        write!(self, Full, tx => rotate(&tx, &rotation))
    }

    async fn access_grant(&self, token: &Hashed<Access>, now: Timestamp) -> Result<Option<AccessGrant>> {
        access_grant(&*self.database.short_read().await?, token, now).await
    }

    async fn live_token(&self, token: AnyToken, now: Timestamp) -> Result<Option<LiveToken>> {
        tokens::live(&*self.database.short_read().await?, token, now).await
    }

    async fn revoke_token(&self, revocation: Revocation) -> Result<Option<GrantId>> {
        write!(self, Full, tx => tokens::revoke(&tx, &revocation))
    }
}

/// What a code or token says of the grant it belongs to.
struct Family {
    site: SiteId,
    grant: GrantId,
    scopes: Scopes,
}

fn family(row: &Row) -> RowResult<Family> {
    Ok(Family { site: row.try_get("site_uuid")?, grant: row.try_get("id")?, scopes: row.try_get("scopes")? })
}

async fn issue(tx: &Tx, code: &NewCode) -> Result<Issued> {
    locks::take_flow(tx, code.flow).await?;
    if tx.any("SELECT 1 FROM grants WHERE flow = $1", params![code.flow]).await? {
        return Ok(Issued::AlreadyApproved);
    }
    // Partner, site and user stay until the grant is there: whoever removes them then finds it.
    let kept = partners::keep(tx, code.partner).await?
        && sites::keep(tx, code.site).await?
        && tx.any("SELECT 1 FROM users WHERE id = $1 FOR SHARE", params![code.user]).await?;
    if !kept || !owns(tx, code.site, code.user).await? {
        return Ok(Issued::NotOwner);
    }
    tx.run(
        "INSERT INTO grants (id, flow, site_uuid, partner_id, user_id, scopes, rotated_at, created_at, ends_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        params![code.grant, code.flow, code.site, code.partner, code.user, code.scopes, At(code.now), At(code.expires)],
    )
    .await?;
    tx.run(
        "INSERT INTO authorization_codes (site_uuid, hash, grant_id, redirect_uri, challenge, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![code.site, code.code, code.grant, code.redirect_uri, code.challenge, At(code.expires)],
    )
    .await?;
    Ok(Issued::Code)
}

async fn owns(db: &Db, site: SiteId, user: UserId) -> Result<bool> {
    db.any(sites::OWNS, params![site, user]).await
}

async fn redeem(tx: &Tx, redemption: &Redemption) -> Result<std::result::Result<Granted, GrantRefused>> {
    tx.any(LOCK_BY_CODE, params![redemption.code]).await?;
    let found = tx.one(CODE, params![redemption.code], |row| Ok((stored_code(row)?, family(row)?))).await?;
    let Some((stored, family)) = found else { return Ok(Err(GrantRefused::Unknown)) };
    if let Err(refused) = stored.judge(redemption) {
        return refuse(tx, &family, refused, redemption.now).await;
    }
    let sql = "UPDATE authorization_codes SET used_at = $3 WHERE site_uuid = $1 AND hash = $2";
    tx.run(sql, params![family.site, redemption.code, At(redemption.now)]).await?;
    let sql = "UPDATE grants SET rotated_at = $3 WHERE site_uuid = $1 AND id = $2";
    tx.run(sql, params![family.site, family.grant, At(redemption.now)]).await?;
    store_tokens(tx, &redemption.tokens, &family, 0, redemption.now).await?;
    granted(tx, &family).await
}

fn stored_code(row: &Row) -> RowResult<StoredCode> {
    Ok(StoredCode {
        partner: row.try_get("partner_id")?,
        redirect_uri: row.try_get("redirect_uri")?,
        challenge: row.try_get("challenge")?,
        expires: at(row, "expires_at")?,
        used: maybe_at(row, "used_at")?.is_some(),
        revoked: maybe_at(row, "revoked_at")?.is_some(),
        owned: row.try_get("owned")?,
    })
}

async fn rotate(tx: &Tx, rotation: &Rotation) -> Result<std::result::Result<Granted, GrantRefused>> {
    tx.any(LOCK_BY_REFRESH, params![rotation.refresh]).await?;
    let found = tx.one(REFRESH, params![rotation.refresh], |row| Ok((stored_refresh(row)?, family(row)?))).await?;
    let Some((stored, family)) = found else { return Ok(Err(GrantRefused::Unknown)) };
    let generation = match stored.judge(rotation) {
        Err(refused) => return refuse(tx, &family, refused, rotation.now).await,
        Ok(Honoured::Repeat) => stored.current,
        Ok(Honoured::Advance) => {
            let sql = "UPDATE grants SET generation = generation + 1, rotated_at = $3 WHERE site_uuid = $1 AND id = $2";
            tx.run(sql, params![family.site, family.grant, At(rotation.now)]).await?;
            stored.current + 1
        }
    };
    let family = Family { scopes: rotation.scopes.unwrap_or(family.scopes), ..family };
    forget_expired(tx, &family, rotation.now).await?;
    store_tokens(tx, &rotation.tokens, &family, generation, rotation.now).await?;
    granted(tx, &family).await
}

pub(super) fn stored_refresh(row: &Row) -> RowResult<StoredRefresh> {
    Ok(StoredRefresh {
        partner: row.try_get("partner_id")?,
        generation: count(row, "token_generation")?,
        expires: at(row, "expires_at")?,
        current: count(row, "generation")?,
        rotated: at(row, "rotated_at")?,
        scopes: row.try_get("scopes")?,
        revoked: maybe_at(row, "revoked_at")?.is_some(),
        owned: row.try_get("owned")?,
    })
}

/// A refusal is committed like a success: a replay revokes the grant.
async fn refuse(
    tx: &Tx,
    family: &Family,
    refused: GrantRefused,
    now: Timestamp,
) -> Result<std::result::Result<Granted, GrantRefused>> {
    if refused == GrantRefused::Replayed {
        let sql = "UPDATE grants SET revoked_at = $3, ends_at = $3
             WHERE site_uuid = $1 AND id = $2 AND revoked_at IS NULL";
        tx.run(sql, params![family.site, family.grant, At(now)]).await?;
    }
    Ok(Err(refused))
}

/// Deletes the grant's access tokens that have expired: there are newer ones from now on.
async fn forget_expired(tx: &Tx, family: &Family, now: Timestamp) -> Result<()> {
    let sql = "DELETE FROM access_tokens WHERE site_uuid = $1 AND grant_id = $2 AND expires_at <= $3";
    tx.run(sql, params![family.site, family.grant, At(now)]).await?;
    Ok(())
}

async fn store_tokens(tx: &Tx, tokens: &NewTokens, family: &Family, generation: u32, now: Timestamp) -> Result<()> {
    let Family { site, grant, scopes } = *family;
    tx.run(
        "INSERT INTO access_tokens (site_uuid, hash, grant_id, scopes, issued_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![site, tokens.access, grant, scopes, At(now), At(tokens.access_expires)],
    )
    .await?;
    tx.run(
        "INSERT INTO refresh_tokens (site_uuid, hash, grant_id, generation, issued_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![site, tokens.refresh, grant, i64::from(generation), At(now), At(tokens.refresh_expires)],
    )
    .await?;
    let end = tokens.access_expires.max(tokens.refresh_expires);
    let sql = "UPDATE grants SET ends_at = greatest(ends_at, $3) WHERE site_uuid = $1 AND id = $2";
    tx.run(sql, params![site, grant, At(end)]).await?;
    Ok(())
}

async fn granted(db: &Db, family: &Family) -> Result<std::result::Result<Granted, GrantRefused>> {
    Ok(match sites::find(db, family.site).await? {
        Some(site) => Ok(Granted { scopes: family.scopes, site }),
        // It was removed in this moment; what was stored for it is revoked.
        None => Err(GrantRefused::Revoked),
    })
}

pub(super) async fn access_grant(db: &Db, token: &Hashed<Access>, now: Timestamp) -> Result<Option<AccessGrant>> {
    db.one(ACCESS_GRANT, params![token, At(now)], |row| {
        Ok(AccessGrant {
            grant: row.try_get("grant_id")?,
            partner: row.try_get("partner_id")?,
            slug: row.try_get("slug")?,
            site: sites::site(row)?,
            user: row.try_get("user_id")?,
            scopes: row.try_get("scopes")?,
            issued: at(row, "issued_at")?,
            expires: at(row, "expires_at")?,
        })
    })
    .await
}

/// Revokes every grant for a site.
pub(super) async fn revoke_of_site(tx: &Tx, site: SiteId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE grants SET revoked_at = $2, ends_at = $2 WHERE site_uuid = $1 AND revoked_at IS NULL";
    tx.run(sql, params![site, At(now)]).await?;
    Ok(())
}

/// Revokes every grant that a person gave.
pub(super) async fn revoke_of_user(tx: &Tx, user: UserId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE grants SET revoked_at = $2, ends_at = $2 WHERE user_id = $1 AND revoked_at IS NULL";
    tx.run(sql, params![user, At(now)]).await?;
    Ok(())
}

/// Revokes every grant to a partner.
pub(super) async fn revoke_of_partner(tx: &Tx, partner: PartnerId, now: Timestamp) -> Result<()> {
    let sql = "UPDATE grants SET revoked_at = $2, ends_at = $2 WHERE partner_id = $1 AND revoked_at IS NULL";
    tx.run(sql, params![partner, At(now)]).await?;
    Ok(())
}
