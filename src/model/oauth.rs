//! What OAuth leaves behind: codes, grants and token families, and the rules by which they are spent.
//!
//! A grant is one consent of one user for one partner and one site; every token belongs to a grant and dies with it.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::partner::{RedirectUri, Slug};
use super::site::Site;
use super::token::{Access, AnyToken, Code, Hashed, Refresh};
use super::{FlowId, GrantId, PartnerId, Scopes, SiteId, Timestamp, UserId, time};

/// How long a refresh token that was just replaced may be presented again (API.md §1): a retry after a lost answer.
pub const REFRESH_GRACE: Duration = Duration::from_secs(60);

/// A PKCE challenge under S256: base64url of a SHA-256, 43 characters (RFC 7636 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkceChallenge(String);

/// A PKCE verifier: 43 to 128 of `[A-Za-z0-9-._~]` (RFC 7636 §4.1).
#[derive(Clone, PartialEq, Eq)]
pub struct PkceVerifier(String);

/// The text is no challenge, or no verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed PKCE value")]
pub struct InvalidPkce;

impl std::str::FromStr for PkceChallenge {
    type Err = InvalidPkce;
    fn from_str(text: &str) -> Result<Self, InvalidPkce> {
        let alphabet = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if text.len() == 43 && alphabet { Ok(Self(text.to_owned())) } else { Err(InvalidPkce) }
    }
}

impl std::str::FromStr for PkceVerifier {
    type Err = InvalidPkce;
    fn from_str(text: &str) -> Result<Self, InvalidPkce> {
        let alphabet = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        if (43..=128).contains(&text.len()) && alphabet { Ok(Self(text.to_owned())) } else { Err(InvalidPkce) }
    }
}

impl PkceChallenge {
    /// The challenge's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PkceVerifier {
    /// `BASE64URL(SHA256(verifier))` (RFC 7636 §4.2).
    pub fn challenge(&self) -> PkceChallenge {
        use base64::Engine;
        let digest = Sha256::digest(self.0.as_bytes());
        PkceChallenge(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest))
    }
}

/// A user's approval, to be stored as a grant with its authorization code.
#[derive(Debug, Clone)]
pub struct NewCode {
    /// The authorization request that was approved; each can be approved once.
    pub flow: FlowId,
    /// The grant that comes to life when the code is redeemed.
    pub grant: GrantId,
    /// Hash of the code.
    pub code: Hashed<Code>,
    /// To whom.
    pub partner: PartnerId,
    /// By whom; must own the site.
    pub user: UserId,
    /// For which site.
    pub site: SiteId,
    /// What was allowed.
    pub scopes: Scopes,
    /// Where the code is sent; the token request must name it again.
    pub redirect_uri: RedirectUri,
    /// The PKCE challenge, if one was sent.
    pub challenge: Option<PkceChallenge>,
    /// When the user approved.
    pub now: Timestamp,
    /// From then on the code is worthless.
    pub expires: Timestamp,
}

/// What became of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// The code is stored.
    Code,
    /// This authorization request was approved before (a double click, or the back button).
    AlreadyApproved,
    /// The user does not own the site (any more), or partner, user or site are gone.
    NotOwner,
}

/// The hashes and lives of a new pair of tokens.
#[derive(Debug, Clone)]
pub struct NewTokens {
    /// Hash of the access token.
    pub access: Hashed<Access>,
    /// From then on the access token is dead.
    pub access_expires: Timestamp,
    /// Hash of the refresh token.
    pub refresh: Hashed<Refresh>,
    /// From then on the refresh token is dead.
    pub refresh_expires: Timestamp,
}

/// An authorization code, presented at the token endpoint by an authenticated partner.
#[derive(Debug, Clone)]
pub struct Redemption {
    /// Hash of the code.
    pub code: Hashed<Code>,
    /// Who presents it.
    pub partner: PartnerId,
    /// The `redirect_uri` that was presented with it.
    pub redirect_uri: String,
    /// The challenge that belongs to the presented verifier.
    pub challenge: Option<PkceChallenge>,
    /// The tokens to store if all is well.
    pub tokens: NewTokens,
    /// When.
    pub now: Timestamp,
}

/// A refresh token, presented at the token endpoint by an authenticated partner.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// Hash of the refresh token.
    pub refresh: Hashed<Refresh>,
    /// Who presents it.
    pub partner: PartnerId,
    /// A narrower scope for the new access token; the grant keeps its own.
    pub scopes: Option<Scopes>,
    /// The tokens to store if all is well.
    pub tokens: NewTokens,
    /// When.
    pub now: Timestamp,
}

/// A token that an authenticated partner wants ended (RFC 7009 §2.1).
#[derive(Debug, Clone, Copy)]
pub struct Revocation {
    /// The token.
    pub token: AnyToken,
    /// Who presents it.
    pub partner: PartnerId,
    /// When.
    pub now: Timestamp,
}

/// Tokens were issued; what the answer says of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The scope of the access token.
    pub scopes: Scopes,
    /// The site that they are for.
    pub site: Site,
}

/// Why no tokens were issued. All but the last are `invalid_grant`; the difference is for the operator's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefused {
    /// No such code or token, or another partner's.
    #[error("unknown")]
    Unknown,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Used before: the grant was revoked just now.
    #[error("used before; the grant is now revoked")]
    Replayed,
    /// The grant was revoked.
    #[error("revoked")]
    Revoked,
    /// The `redirect_uri` differs from the one in the authorization request.
    #[error("redirect_uri differs")]
    RedirectUri,
    /// The PKCE verifier is missing, wrong, or was not asked for.
    #[error("code_verifier is missing or wrong")]
    Verifier,
    /// The user no longer owns the site.
    #[error("the user no longer owns the site")]
    NotOwner,
    /// The refresh asks for more than was granted: `invalid_scope`.
    #[error("scope exceeds the grant")]
    Scope,
}

/// A stored authorization code, as far as the decision to redeem it goes.
#[derive(Debug, Clone)]
pub struct StoredCode {
    /// Whom it was issued to.
    pub partner: PartnerId,
    /// The `redirect_uri` of the authorization request.
    pub redirect_uri: String,
    /// The challenge of the authorization request.
    pub challenge: Option<PkceChallenge>,
    /// From then on it is worthless.
    pub expires: Timestamp,
    /// Whether it has been redeemed.
    pub used: bool,
    /// Whether its grant has been revoked.
    pub revoked: bool,
    /// Whether the user still owns the site.
    pub owned: bool,
}

impl StoredCode {
    /// Whether this redemption is honoured. [`GrantRefused::Replayed`] obliges the store to revoke the grant in the
    /// same transaction (RFC 6749 §4.1.2).
    pub fn judge(&self, redemption: &Redemption) -> Result<(), GrantRefused> {
        use subtle::ConstantTimeEq;
        if self.partner != redemption.partner {
            return Err(GrantRefused::Unknown);
        }
        if self.used {
            return Err(GrantRefused::Replayed);
        }
        if self.revoked {
            return Err(GrantRefused::Revoked);
        }
        if redemption.now >= self.expires {
            return Err(GrantRefused::Expired);
        }
        if self.redirect_uri != redemption.redirect_uri {
            return Err(GrantRefused::RedirectUri);
        }
        let proven = match (&self.challenge, &redemption.challenge) {
            (None, None) => true,
            (Some(asked), Some(shown)) => asked.0.as_bytes().ct_eq(shown.0.as_bytes()).into(),
            // A verifier that nobody asked for is a downgrade attempt (RFC 9700 §4.8.2).
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !proven {
            return Err(GrantRefused::Verifier);
        }
        if self.owned { Ok(()) } else { Err(GrantRefused::NotOwner) }
    }
}

/// A stored refresh token and its family, as far as the decision to rotate it goes.
///
/// The family counts generations: all tokens of one generation are answers to the same request, repeated.
#[derive(Debug, Clone)]
pub struct StoredRefresh {
    /// Whom it was issued to.
    pub partner: PartnerId,
    /// Its generation; the code's exchange issues generation 0.
    pub generation: u32,
    /// From then on it is dead.
    pub expires: Timestamp,
    /// The newest generation of its family.
    pub current: u32,
    /// When the newest generation came to be.
    pub rotated: Timestamp,
    /// What the user granted.
    pub scopes: Scopes,
    /// Whether its grant has been revoked.
    pub revoked: bool,
    /// Whether the user still owns the site.
    pub owned: bool,
}

/// How a refresh is honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Honoured {
    /// The current token: the new pair opens the next generation.
    Advance,
    /// The one just replaced, within [`REFRESH_GRACE`] and before any successor was used: the new pair joins the
    /// current generation.
    Repeat,
}

impl StoredRefresh {
    /// Whether this rotation is honoured. [`GrantRefused::Replayed`] obliges the store to revoke the grant in the same
    /// transaction (RFC 9700 §4.14.2).
    pub fn judge(&self, rotation: &Rotation) -> Result<Honoured, GrantRefused> {
        if self.partner != rotation.partner {
            return Err(GrantRefused::Unknown);
        }
        let honoured = self.standing(rotation.now)?;
        match rotation.scopes {
            Some(asked) if !asked.is_within(self.scopes) => Err(GrantRefused::Scope),
            _ => Ok(honoured),
        }
    }

    /// What the token is good for at `now`, in the right hands and for no more than was granted.
    pub fn standing(&self, now: Timestamp) -> Result<Honoured, GrantRefused> {
        if self.revoked {
            return Err(GrantRefused::Revoked);
        }
        let just_replaced = self.generation + 1 == self.current && now <= time::after(self.rotated, REFRESH_GRACE);
        let honoured = match self.generation == self.current {
            true => Honoured::Advance,
            false if just_replaced => Honoured::Repeat,
            false => return Err(GrantRefused::Replayed),
        };
        if now >= self.expires {
            return Err(GrantRefused::Expired);
        }
        if self.owned { Ok(honoured) } else { Err(GrantRefused::NotOwner) }
    }
}

/// What a live access token stands for.
#[derive(Debug, Clone)]
pub struct AccessGrant {
    /// The family.
    pub grant: GrantId,
    /// Who holds it.
    pub partner: PartnerId,
    /// The holder's path segment: the token opens no other partner's paths.
    pub slug: Slug,
    /// The one site that it is for.
    pub site: Site,
    /// Who allowed it.
    pub user: UserId,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was issued.
    pub issued: Timestamp,
    /// From then on it is dead.
    pub expires: Timestamp,
}

/// A token of either kind that would be honoured, as its holder may see it (RFC 7662 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveToken {
    /// Who holds it.
    pub partner: PartnerId,
    /// Who allowed it.
    pub user: UserId,
    /// The one site that it is for.
    pub site: SiteId,
    /// What it allows; of a refresh token, what it can be exchanged for.
    pub scopes: Scopes,
    /// When it was issued.
    pub issued: Timestamp,
    /// From then on it is dead.
    pub expires: Timestamp,
}

impl From<AccessGrant> for LiveToken {
    fn from(access: AccessGrant) -> Self {
        let AccessGrant { partner, user, site, scopes, issued, expires, .. } = access;
        Self { partner, user, site: site.id, scopes, issued, expires }
    }
}
