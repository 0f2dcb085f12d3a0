//! Tokens of either kind, as their holders show and end them.

use rusqlite::{Connection, params};

use super::oauth::{REFRESH, access_grant, stored_refresh};
use super::statements::Statements;
use super::values::{At, at};
use super::writer::Tx;
use crate::model::oauth::{LiveToken, Revocation, StoredRefresh};
use crate::model::token::{AnyToken, Hashed, Refresh};
use crate::model::{GrantId, Timestamp};
use crate::store::Result;

/// Ends the partner's (`?2`) grant to which the access token `?1` belongs.
pub(super) const REVOKE_BY_ACCESS: &str = "UPDATE grants SET revoked_at = ?3, ends_at = ?3
     WHERE id = (SELECT grant_id FROM access_tokens WHERE hash = ?1) AND partner_id = ?2 AND revoked_at IS NULL
     RETURNING id";

/// The same for the refresh token `?1`.
pub(super) const REVOKE_BY_REFRESH: &str = "UPDATE grants SET revoked_at = ?3, ends_at = ?3
     WHERE id = (SELECT grant_id FROM refresh_tokens WHERE hash = ?1) AND partner_id = ?2 AND revoked_at IS NULL
     RETURNING id";

pub(super) fn live(db: &Connection, token: AnyToken, now: Timestamp) -> Result<Option<LiveToken>> {
    match token {
        AnyToken::Access(token) => Ok(access_grant(db, &token, now)?.map(LiveToken::from)),
        AnyToken::Refresh(token) => live_refresh(db, &token, now),
    }
}

fn live_refresh(db: &Connection, token: &Hashed<Refresh>, now: Timestamp) -> Result<Option<LiveToken>> {
    let found = db.one(REFRESH, [token], |row| {
        let stored = stored_refresh(row)?;
        let StoredRefresh { partner, scopes, expires, .. } = stored;
        let (user, site, issued) = (row.get("user_id")?, row.get("site_uuid")?, at(row, "issued_at")?);
        Ok((stored, LiveToken { partner, user, site, scopes, issued, expires }))
    })?;
    Ok(found.and_then(|(stored, shown)| stored.standing(now).is_ok().then_some(shown)))
}

pub(super) fn revoke(tx: &Tx, revocation: &Revocation) -> Result<Option<GrantId>> {
    let (partner, now) = (revocation.partner, At(revocation.now));
    let ended = match revocation.token {
        AnyToken::Access(token) => tx.one(REVOKE_BY_ACCESS, params![token, partner, now], |row| row.get("id")),
        AnyToken::Refresh(token) => tx.one(REVOKE_BY_REFRESH, params![token, partner, now], |row| row.get("id")),
    };
    Ok(ended?)
}
