//! The token endpoint's two grants: a code or a refresh token, for a pair of tokens.
//!
//! What is presented is judged inside the store's transaction (`model::oauth`), so that races end well; here it is only
//! parsed, and new tokens are drawn.

use std::time::Duration;

use super::error::TokenError;
use crate::domain::Gateway;
use crate::model::oauth::{GrantRefused, Granted, NewTokens, PkceVerifier, Redemption, Rotation};
use crate::model::partner::Partner;
use crate::model::token::{Access, Plain, Refresh};
use crate::model::{Timestamp, time};

/// Tokens for a partner.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: Plain<Access>,
    /// Its life.
    pub expires_in: Duration,
    /// The refresh token.
    pub refresh: Plain<Refresh>,
    /// What they are for.
    pub granted: Granted,
}

/// A token request with `grant_type=authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.5).
#[derive(Clone, Copy)]
pub struct CodeGrant<'a> {
    /// `code`.
    pub code: Option<&'a str>,
    /// `redirect_uri`.
    pub redirect_uri: Option<&'a str>,
    /// `code_verifier`.
    pub verifier: Option<&'a str>,
}

/// A token request with `grant_type=refresh_token` (RFC 6749 §6).
#[derive(Clone, Copy)]
pub struct RefreshGrant<'a> {
    /// `refresh_token`.
    pub refresh: Option<&'a str>,
    /// `scope`.
    pub scope: Option<&'a str>,
}

impl Gateway {
    /// Tokens for a code.
    pub async fn redeem_code(&self, partner: &Partner, grant: CodeGrant<'_>) -> Result<Tokens, TokenError> {
        let code = grant.code.ok_or(TokenError::InvalidRequest("code is missing"))?;
        let verifier = grant.verifier.map(str::parse::<PkceVerifier>).transpose();
        let verifier = verifier.map_err(|_| TokenError::InvalidGrant)?;
        let fresh = self.draw_tokens();
        let redemption = Redemption {
            code: Plain::received(code).hash(),
            partner: partner.id,
            // It was in the authorization request, so a missing one differs (RFC 6749 §4.1.3).
            redirect_uri: grant.redirect_uri.unwrap_or_default().to_owned(),
            challenge: verifier.map(|verifier| verifier.challenge()),
            tokens: fresh.hashed(),
            now: fresh.now,
        };
        let granted = self.store.redeem_code(redemption).await?;
        granted.map(|granted| fresh.issue(granted)).map_err(|refused| refuse(partner, "code", refused))
    }

    /// A new pair of tokens for a refresh token.
    pub async fn rotate_refresh(&self, partner: &Partner, grant: RefreshGrant<'_>) -> Result<Tokens, TokenError> {
        let refresh = grant.refresh.ok_or(TokenError::InvalidRequest("refresh_token is missing"))?;
        let scopes = grant.scope.map(str::parse).transpose().map_err(|_| TokenError::InvalidScope)?;
        let fresh = self.draw_tokens();
        let rotation = Rotation {
            refresh: Plain::received(refresh).hash(),
            partner: partner.id,
            scopes,
            tokens: fresh.hashed(),
            now: fresh.now,
        };
        let granted = self.store.rotate_refresh(rotation).await?;
        granted.map(|granted| fresh.issue(granted)).map_err(|refused| refuse(partner, "refresh token", refused))
    }

    fn draw_tokens(&self) -> Fresh {
        Fresh {
            access: Plain::generate(&*self.entropy),
            refresh: Plain::generate(&*self.entropy),
            now: self.clock.now(),
            access_life: self.policy.access_token_ttl,
            refresh_life: self.policy.refresh_token_ttl,
        }
    }
}

/// A pair of tokens that nobody has yet.
struct Fresh {
    access: Plain<Access>,
    refresh: Plain<Refresh>,
    now: Timestamp,
    access_life: Duration,
    refresh_life: Duration,
}

impl Fresh {
    fn hashed(&self) -> NewTokens {
        NewTokens {
            access: self.access.hash(),
            access_expires: time::after(self.now, self.access_life),
            refresh: self.refresh.hash(),
            refresh_expires: time::after(self.now, self.refresh_life),
        }
    }

    fn issue(self, granted: Granted) -> Tokens {
        Tokens { access: self.access, expires_in: self.access_life, refresh: self.refresh, granted }
    }
}

/// The partner learns that it was refused; the operator learns why.
fn refuse(partner: &Partner, what: &'static str, refused: GrantRefused) -> TokenError {
    match refused {
        GrantRefused::Replayed => tracing::warn!(partner = %partner.slug, what, reason = %refused, "refused"),
        _ => tracing::info!(partner = %partner.slug, what, reason = %refused, "refused"),
    }
    match refused {
        GrantRefused::Scope => TokenError::InvalidScope,
        _ => TokenError::InvalidGrant,
    }
}
