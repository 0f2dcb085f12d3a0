//! Tokens of either kind, as their holders show and end them.

use tokio_postgres::Row;

use super::oauth::{REFRESH, access_grant, stored_refresh};
use super::statements::{Db, params};
use super::transaction::Tx;
use super::values::{At, at};
use crate::model::oauth::{LiveToken, Revocation, StoredRefresh};
use crate::model::token::{AnyToken, Hashed, Refresh};
use crate::model::{GrantId, Timestamp};
use crate::store::Result;

/// Ends the partner's (`$2`) grant to which the access token `$1` belongs. Who is just spending a token of it has locked
/// the grant, and comes first.
const REVOKE_BY_ACCESS: &str = "UPDATE grants g SET revoked_at = $3, ends_at = $3 FROM access_tokens t
     WHERE t.hash = $1 AND g.site_uuid = t.site_uuid AND g.id = t.grant_id
       AND g.partner_id = $2 AND g.revoked_at IS NULL
     RETURNING g.id";

/// The same for the refresh token `$1`.
const REVOKE_BY_REFRESH: &str = "UPDATE grants g SET revoked_at = $3, ends_at = $3 FROM refresh_tokens t
     WHERE t.hash = $1 AND g.site_uuid = t.site_uuid AND g.id = t.grant_id
       AND g.partner_id = $2 AND g.revoked_at IS NULL
     RETURNING g.id";

pub(super) async fn live(db: &Db, token: AnyToken, now: Timestamp) -> Result<Option<LiveToken>> {
    match token {
        AnyToken::Access(token) => Ok(access_grant(db, &token, now).await?.map(LiveToken::from)),
        AnyToken::Refresh(token) => live_refresh(db, &token, now).await,
    }
}

async fn live_refresh(db: &Db, token: &Hashed<Refresh>, now: Timestamp) -> Result<Option<LiveToken>> {
    let read = |row: &Row| {
        let stored = stored_refresh(row)?;
        let StoredRefresh { partner, scopes, expires, .. } = stored;
        let (user, site, issued) = (row.try_get("user_id")?, row.try_get("site_uuid")?, at(row, "issued_at")?);
        Ok((stored, LiveToken { partner, user, site, scopes, issued, expires }))
    };
    let found = db.one(REFRESH, params![token], read).await?;
    Ok(found.and_then(|(stored, shown)| stored.standing(now).is_ok().then_some(shown)))
}

pub(super) async fn revoke(tx: &Tx, revocation: &Revocation) -> Result<Option<GrantId>> {
    let (partner, now) = (revocation.partner, At(revocation.now));
    match revocation.token {
        AnyToken::Access(token) => {
            tx.one(REVOKE_BY_ACCESS, params![token, partner, now], |row| row.try_get("id")).await
        }
        AnyToken::Refresh(token) => {
            tx.one(REVOKE_BY_REFRESH, params![token, partner, now], |row| row.try_get("id")).await
        }
    }
}
