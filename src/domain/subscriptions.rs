//! Subscribing: which of a site's leads reach whom, where, and signed with what (API.md §3).

use serde_json::{Map, Value};

use crate::egress::Reach;
use crate::model::seal::{CannotOpen, Sealed};
use crate::model::subscription::{DestinationUrl, secret_context};
use crate::model::token::{Access, Plain};
use crate::model::{PartnerId, SiteId, SubscriptionId};
use crate::store::{Found, NewSubscription, Replaced, StoreError, Target};

use super::Gateway;
use super::access::{AccessError, Subscriber, may_subscribe};
use super::fields::{FieldErrors, required_text};

const UNREACHABLE: &str = "This URL is not reachable from the internet.";
const SECRET_TOO_LONG: &str = "Longer than maximum length 255.";

/// A subscription as its partner sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// Where deliveries go, as it was given.
    pub url: String,
    /// What they are signed with.
    pub secret: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why a subscription is not shown or set.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// The caller is turned away.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// There is no such site (any more).
    #[error("site not found")]
    SiteNotFound,
    /// The permission has ended meanwhile.
    #[error("the permission has ended")]
    Revoked,
    /// There is none.
    #[error("subscription not found")]
    NotFound,
    /// There are several: old data. Setting or removing mends it.
    #[error("several subscriptions for one site and partner")]
    Several,
    /// Faults in the request's fields.
    #[error("invalid fields")]
    Invalid(FieldErrors),
    /// The stored secret does not open.
    #[error(transparent)]
    Secret(#[from] CannotOpen),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gateway {
    /// The subscription of the token's holder to `site`, named by the partner's path segment and the site as given.
    ///
    /// Partners ask this over and over; so the token is looked up together with what it opens.
    pub async fn subscription(
        &self,
        token: &Plain<Access>,
        slug: &str,
        site: &str,
    ) -> Result<Shown, SubscriptionError> {
        let held = self.store.held_subscription(&token.hash(), self.clock.now()).await?;
        let held = held.ok_or(AccessError::InvalidToken)?;
        may_subscribe(held.scopes, (&held.slug, held.site), (slug, site))?;
        match held.found {
            Found::None => Err(SubscriptionError::NotFound),
            Found::Several => Err(SubscriptionError::Several),
            Found::One(target) => self.shown(held.partner, held.site, target),
        }
    }

    /// Sets the partner's subscription to the site. When this returns, every later change, and all that still waits,
    /// goes to the new URL and is signed with the new secret, unless a gateway that is cut off still holds some of it (see
    /// [`super::recalls`]).
    pub async fn subscribe(&self, by: Subscriber, wish: &Map<String, Value>) -> Result<Shown, SubscriptionError> {
        let (url, secret) = self.parse(wish).await.map_err(SubscriptionError::Invalid)?;
        let subscription = NewSubscription {
            id: SubscriptionId::random(&*self.entropy),
            site: by.site,
            partner: by.partner,
            secret: self.sealed(by, &url, &secret).await?,
            url: url.clone(),
            by: Some(by.grant),
            now: self.clock.now(),
        };
        let replaced = self.store.replace_subscription(subscription).await?;
        match self.once_let_go(replaced).await {
            Replaced::Done => Ok(Shown { url: url.as_str().to_owned(), secret }),
            Replaced::NoSuchSite => Err(SubscriptionError::SiteNotFound),
            Replaced::Revoked => Err(SubscriptionError::Revoked),
        }
    }

    /// Removes the partner's subscription to the site, if there is one. When this returns, nothing more is sent,
    /// unless by a gateway that is cut off (see [`super::recalls`]).
    pub async fn unsubscribe(&self, by: Subscriber) -> Result<(), SubscriptionError> {
        let removed = self.store.remove_subscription(by.partner, by.site, self.clock.now()).await?;
        self.once_let_go(removed).await;
        Ok(())
    }

    fn shown(&self, partner: PartnerId, site: SiteId, target: Target) -> Result<Shown, SubscriptionError> {
        let secret = self.keys.open(&target.secret, &secret_context(partner, site))?;
        let secret = String::from_utf8(secret).map_err(|_| CannotOpen)?;
        Ok(Shown { url: target.url, secret })
    }

    /// The secret as it is stored already, if this partner sets the same subscription again, as many do at each start: the
    /// store then sees that nothing changed, and leaves attempts under way alone. Unless an older key has sealed it: what is
    /// set is always sealed with the first.
    async fn sealed(&self, by: Subscriber, url: &DestinationUrl, secret: &str) -> Result<Sealed, StoreError> {
        let context = secret_context(by.partner, by.site);
        if let Found::One(known) = self.store.subscription(by.partner, by.site).await?
            && known.url == *url
            && self.keys.is_current(&known.secret, &context)
            && self.keys.open(&known.secret, &context).is_ok_and(|known| known == secret.as_bytes())
        {
            return Ok(known.secret);
        }
        Ok(self.keys.seal(secret.as_bytes(), &context, &*self.entropy))
    }

    async fn parse(&self, wish: &Map<String, Value>) -> Result<(DestinationUrl, String), FieldErrors> {
        let mut errors = FieldErrors::default();
        let url = match required_text(wish, "url", &mut errors).map(str::parse::<DestinationUrl>) {
            Some(Ok(url)) if self.guard.check(&url).await == Reach::Forbidden => {
                errors.add("url", UNREACHABLE);
                None
            }
            Some(Ok(url)) => Some(url),
            Some(Err(invalid)) => {
                errors.add("url", invalid.to_string());
                None
            }
            None => None,
        };
        let secret = required_text(wish, "secret", &mut errors);
        if secret.is_some_and(|secret| secret.chars().count() > 255) {
            errors.add("secret", SECRET_TOO_LONG);
        }
        match (url, secret) {
            (Some(url), Some(secret)) => errors.or((url, secret.to_owned())),
            _ => Err(errors),
        }
    }
}
