//! Introspection (RFC 7662): what a token is worth.

use super::error::TokenError;
use crate::domain::Gateway;
use crate::model::oauth::LiveToken;
use crate::model::partner::Partner;
use crate::model::token::AnyToken;

/// A live token of the partner that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Introspected {
    /// Which of the two kinds it is.
    pub kind: Kind,
    /// What it stands for.
    pub token: LiveToken,
}

/// The kinds of tokens that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

impl Gateway {
    /// What a token of the partner stands for; `None` if it is dead, unknown, malformed or another partner's: a caller
    /// learns nothing of tokens that are not its own (RFC 7662 §2.2).
    pub async fn introspect_token(
        &self,
        partner: &Partner,
        token: Option<&str>,
    ) -> Result<Option<Introspected>, TokenError> {
        let token = token.ok_or(TokenError::InvalidRequest("token is missing"))?;
        let Some(token) = AnyToken::received(token) else { return Ok(None) };
        let kind = match token {
            AnyToken::Access(_) => Kind::Access,
            AnyToken::Refresh(_) => Kind::Refresh,
        };
        let live = self.store.live_token(token, self.clock.now()).await?;
        let own = live.filter(|live| live.partner == partner.id);
        Ok(own.map(|token| Introspected { kind, token }))
    }
}
