//! Who calls, and what for: bearer tokens (API.md §2) and sources' Basic credentials (§4).

use std::net::IpAddr;

use crate::model::lead::Origin;
use crate::model::oauth::AccessGrant;
use crate::model::partner::Slug;
use crate::model::scope::Scope;
use crate::model::source::{Presumption, Source, Username};
use crate::model::token::{Access, Plain};
use crate::model::{GrantId, PartnerId, Scopes, SiteId, Timestamp, time};

use super::guesses::{Credential, Guess, Throttled};
use super::{Gateway, StoreError};

/// Why a caller is turned away.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The token is unknown, expired or revoked.
    #[error("the access token is not valid")]
    InvalidToken,
    /// The token is good, but not for this.
    #[error("the access token lacks the scope {}", .0.as_str())]
    InsufficientScope(Scope),
    /// User name or password are wrong.
    #[error("wrong user name or password")]
    WrongCredentials,
    /// Too many passwords were wrong.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The site does not exist, or is none of the caller's: the two look alike.
    #[error("site not found")]
    SiteNotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A caller who may send leads to one site.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The site.
    pub site: SiteId,
    /// Whose changes these will be.
    pub origin: Origin,
    /// Tells this caller's `Idempotency-Key`s from others'.
    pub key_space: String,
    /// What is still to be looked at, if it was presumed that this caller may: see [`Gateway::presume_source`].
    pub presumes: Option<Presumption>,
}

/// A partner that may manage its subscription to one site.
#[derive(Debug, Clone, Copy)]
pub struct Subscriber {
    /// The partner.
    pub partner: PartnerId,
    /// The site.
    pub site: SiteId,
    /// With which permission.
    pub grant: GrantId,
}

impl Gateway {
    /// Admits a partner to its subscription to `site`, named by the partner's path segment and the site as given.
    pub async fn admit_subscriber(
        &self,
        token: &Plain<Access>,
        slug: &str,
        site: &str,
    ) -> Result<Subscriber, AccessError> {
        let access = self.bearer(token).await?;
        may_subscribe(access.scopes, (&access.slug, access.site.id), (slug, site))?;
        Ok(Subscriber { partner: access.partner, site: access.site.id, grant: access.grant })
    }

    /// Admits a partner to send leads to `site`.
    pub async fn admit_partner_sender(&self, token: &Plain<Access>, site: &str) -> Result<Sender, AccessError> {
        let access = self.bearer(token).await?;
        must_have(Scope::Send, access.scopes)?;
        let site = own_site(access.site.id, site)?;
        Ok(Sender {
            site,
            origin: Origin { system: access.slug.as_str().to_owned(), partner: Some(access.partner) },
            key_space: format!("partner {}", access.partner),
            presumes: None,
        })
    }

    /// Admits a source to send leads to `site`. `candidates` are the readings of its Basic credentials: clients
    /// disagree on whether they are form-encoded. `address` is where it calls from.
    pub async fn admit_source(
        &self,
        candidates: impl Iterator<Item = (&str, &str)> + Clone,
        site: &str,
        address: IpAddr,
    ) -> Result<Sender, AccessError> {
        let names = candidates.clone().map(|(name, _)| name);
        let guess = Guess::at_credential(self, Credential::SourcePassword, names, address);
        // Side by side: the right password, which nearly all have, costs no round trip more.
        let (allowed, named) = tokio::join!(self.may_guess(&guess), self.sources_named(candidates));
        let named = named?;
        let who = named.first().map(|(source, _)| source.username.as_str());
        let throttled = |throttled| guess.report(throttled, who);
        allowed?.inspect_err(|_| self.note_lacking(&guess)).map_err(throttled)?;
        let Some((source, _)) = named.iter().find(|(_, right)| *right) else {
            self.note_lacking(&guess);
            self.count_wrong(&guess).await?.map_err(throttled)?;
            tracing::info!(source = who, "wrong password of a source");
            return Err(AccessError::WrongCredentials);
        };
        self.known_sources.remember(source.clone());
        sender(source, site).ok_or(AccessError::SiteNotFound)
    }

    /// Takes it for granted that a source that was admitted before still is. `None` if it would not be as it was then, or is
    /// not remembered, or somebody has guessed wrong where it calls from. What it presumes is looked at with the change that it
    /// makes; a request that comes to no change must be admitted by [`Gateway::admit_source`] before it is answered.
    pub fn presume_source<'a>(
        &self,
        mut candidates: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        site: &str,
        address: IpAddr,
    ) -> Option<Sender> {
        let names = candidates.clone().map(|(name, _)| name);
        let source = candidates.find_map(|(username, password)| {
            let source = self.known_sources.named(&username.parse().ok()?)?;
            is_right(&source, password).then_some(source)
        })?;
        let guess = Guess::at_credential(self, Credential::SourcePassword, names, address);
        let full = guess.buckets();
        if self.known_sources.is_any_lacking(&full, self.clock.now()) {
            return None;
        }
        let presumes = Presumption { source: source.id, full };
        Some(Sender { presumes: Some(presumes), ..sender(&source, site)? })
    }

    fn note_lacking(&self, guess: &Guess) {
        self.known_sources.note_lacking(guess.buckets(), self.all_full_at());
    }

    /// What was presumed does not hold.
    pub(super) fn not_as_presumed(&self, presumed: Presumption) {
        self.known_sources.forget(presumed, self.all_full_at());
    }

    /// When every bucket is full again, if nobody guesses wrong any more.
    fn all_full_at(&self) -> Timestamp {
        let limits = self.policy.guesses;
        time::after(self.clock.now(), limits.per_account.period().max(limits.per_address.period()))
    }

    async fn bearer(&self, token: &Plain<Access>) -> Result<AccessGrant, AccessError> {
        let access = self.store.access_grant(&token.hash(), self.clock.now()).await?;
        access.ok_or(AccessError::InvalidToken)
    }

    /// The sources of these names, up to the one whose password is right, and whether it is.
    async fn sources_named(
        &self,
        candidates: impl Iterator<Item = (&str, &str)>,
    ) -> Result<Vec<(Source, bool)>, StoreError> {
        let mut named = Vec::new();
        for (username, password) in candidates {
            let Ok(username) = username.parse::<Username>() else { continue };
            let Some(source) = self.store.source_by_username(&username).await? else { continue };
            let right = is_right(&source, password);
            named.push((source, right));
            if right {
                break;
            }
        }
        Ok(named)
    }
}

fn is_right(source: &Source, password: &str) -> bool {
    source.password == Plain::received(password).hash()
}

/// The source as a sender of leads to `site`, if it may send there.
fn sender(source: &Source, site: &str) -> Option<Sender> {
    let site = site.parse().ok().filter(|site| source.reach.includes(*site))?;
    Some(Sender {
        site,
        key_space: format!("source {}", source.id),
        origin: Origin { system: source.username.as_str().to_owned(), partner: None },
        presumes: None,
    })
}

/// Whether a token with these scopes, that is `own` partner's for `own` site, is good for the subscription `asked` for by a
/// path segment and a site.
pub(super) fn may_subscribe(scopes: Scopes, own: (&Slug, SiteId), asked: (&str, &str)) -> Result<(), AccessError> {
    must_have(Scope::Connect, scopes)?;
    if own.0.as_str() != asked.0 {
        return Err(AccessError::SiteNotFound);
    }
    own_site(own.1, asked.1).map(|_| ())
}

fn must_have(needed: Scope, scopes: Scopes) -> Result<(), AccessError> {
    if scopes.contains(needed) { Ok(()) } else { Err(AccessError::InsufficientScope(needed)) }
}

fn own_site(own: SiteId, asked: &str) -> Result<SiteId, AccessError> {
    match asked.parse() {
        Ok(site) if own == site => Ok(site),
        _ => Err(AccessError::SiteNotFound),
    }
}
