//! Codes and tokens. Each method is one transaction, so that races end as RFC 6749 and RFC 9700 want.

use async_trait::async_trait;

use super::Result;
use crate::model::oauth::{
    AccessGrant, GrantRefused, Granted, Issued, LiveToken, NewCode, Redemption, Revocation, Rotation,
};
use crate::model::token::{Access, AnyToken, Hashed};
use crate::model::{GrantId, Timestamp};

/// What OAuth keeps.
#[async_trait]
pub trait OAuth: Send + Sync {
    /// Stores an approval: a grant and its code. One flow is approved at most once.
    async fn issue_code(&self, code: NewCode) -> Result<Issued>;

    /// Spends a code and stores its tokens, if [`crate::model::oauth::StoredCode::judge`] allows; revokes the grant if
    /// the code was replayed.
    async fn redeem_code(&self, redemption: Redemption) -> Result<std::result::Result<Granted, GrantRefused>>;

    /// Rotates a refresh token, if [`crate::model::oauth::StoredRefresh::judge`] allows; revokes the grant if the token
    /// was replayed.
    async fn rotate_refresh(&self, rotation: Rotation) -> Result<std::result::Result<Granted, GrantRefused>>;

    /// What a live access token stands for: not expired at `now`, its grant not revoked, its site and partner still
    /// there.
    async fn access_grant(&self, token: &Hashed<Access>, now: Timestamp) -> Result<Option<AccessGrant>>;

    /// What a token of either kind stands for, if it would be honoured at `now`.
    async fn live_token(&self, token: AnyToken, now: Timestamp) -> Result<Option<LiveToken>>;

    /// Revokes the grant to which a token belongs, if it is the partner's. An expired access token still leads to its
    /// grant, until the next refresh. Returns the grant that ended just now.
    async fn revoke_token(&self, revocation: Revocation) -> Result<Option<GrantId>>;
}
