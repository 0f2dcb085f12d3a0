//! Subscriptions. Every look-up starts from partner and site.

use async_trait::async_trait;

use super::{Recalling, Result, StoreError};
use crate::model::partner::Slug;
use crate::model::seal::Sealed;
use crate::model::subscription::{DestinationUrl, Subscription};
use crate::model::token::{Access, Hashed};
use crate::model::{GrantId, PartnerId, Scopes, SiteId, SubscriptionId, Timestamp};

/// A subscription to be set.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Its id, if there is none yet for this partner and site.
    pub id: SubscriptionId,
    /// Whose leads.
    pub site: SiteId,
    /// Who receives them.
    pub partner: PartnerId,
    /// Where to.
    pub url: DestinationUrl,
    /// What they are signed with, sealed.
    pub secret: Sealed,
    /// With which permission; `None`: the operator sets it.
    pub by: Option<GrantId>,
    /// When.
    pub now: Timestamp,
}

/// What became of setting a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It is set; there is exactly one now.
    Done,
    /// There is no such site.
    NoSuchSite,
    /// The permission has ended meanwhile.
    Revoked,
}

/// The subscriptions of one partner to one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<S = Box<Subscription>> {
    /// There is none.
    None,
    /// There is one.
    One(S),
    /// There are several: an invalid state that old data can hold.
    Several,
}

/// What a live access token is good for, and the subscription that its holder has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who holds the token.
    pub partner: PartnerId,
    /// The holder's path segment.
    pub slug: Slug,
    /// The one site that the token is for.
    pub site: SiteId,
    /// What it allows.
    pub scopes: Scopes,
    /// The partner's subscription to the site.
    pub found: Found<Target>,
}

/// Where a subscription's deliveries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL, as it was given.
    pub url: String,
    /// What they are signed with, sealed.
    pub secret: Sealed,
}

impl Held {
    /// The same token was found with another subscription beside this one.
    pub(super) fn and_another(self, _: Self) -> Self {
        Self { found: Found::Several, ..self }
    }
}

/// A subscription's URL that was read as text, for those who need it parsed only now and then.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is none.
pub(super) fn stored_url(text: &str) -> Result<DestinationUrl> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("a subscription's URL {text:?}")))
}

/// What the gateway knows of subscriptions.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// The partner's subscription to the site.
    async fn subscription(&self, partner: PartnerId, site: SiteId) -> Result<Found>;

    /// What [`super::OAuth::access_grant`] says of a token, and the subscription of its partner to its site: both as they
    /// are at one moment, and for the price of one look.
    async fn held_subscription(&self, token: &Hashed<Access>, now: Timestamp) -> Result<Option<Held>>;

    /// Sets the partner's subscription to the site: creates it or replaces URL and secret, wakes it if it was paused,
    /// and mends several into the oldest one (what waits for the others is cancelled: it waits for this one too). If URL
    /// or secret differ, or others were removed, [`super::Signal::Recalled`] is sent for each; if it was paused,
    /// [`super::Signal::Work`].
    async fn replace_subscription(&self, subscription: NewSubscription) -> Result<Recalling<Replaced>>;

    /// Removes the partner's subscription to the site, also several, and cancels what waits; sends
    /// [`super::Signal::Recalled`]. `false`: there was none.
    async fn remove_subscription(&self, partner: PartnerId, site: SiteId, now: Timestamp) -> Result<Recalling<bool>>;

    /// Adds a subscription as old data has it, also beside another one.
    async fn import_subscription(&self, subscription: NewSubscription) -> Result<Replaced>;
}
