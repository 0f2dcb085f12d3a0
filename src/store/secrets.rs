//! What is sealed with the operator's key: subscriptions' secrets, and the word by which a wrong key is noticed.

use async_trait::async_trait;

use super::Result;
use crate::model::seal::Sealed;
use crate::model::{PartnerId, SiteId, SubscriptionId};

/// The secret of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The subscription.
    pub id: SubscriptionId,
    /// Its site.
    pub site: SiteId,
    /// Its partner.
    pub partner: PartnerId,
    /// What its deliveries are signed with.
    pub secret: Sealed,
}

/// A secret, and the same secret sealed anew.
#[derive(Debug, Clone)]
pub struct Resealed {
    /// As it was read.
    pub old: SealedSecret,
    /// As it is to be kept.
    pub new: Sealed,
}

/// What is sealed.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// How many subscriptions there are.
    async fn count_secrets(&self) -> Result<u64>;

    /// The secrets of at most `limit` subscriptions, in the order of their ids, from behind `after`.
    async fn sealed_secrets(&self, after: Option<SubscriptionId>, limit: usize) -> Result<Vec<SealedSecret>>;

    /// Keeps the new seals of those secrets that are still sealed as they were read: whatever was set meanwhile stays.
    /// Returns how many those are. Nobody is told, since the secrets are the same.
    async fn reseal(&self, secrets: Vec<Resealed>) -> Result<usize>;

    /// The sealed value by which a wrong `secret_key` is noticed; `None` before the first start.
    async fn key_check(&self) -> Result<Option<Sealed>>;

    /// Keeps that value, unless there is one already.
    async fn set_key_check(&self, check: Sealed) -> Result<()>;

    /// Keeps that value in place of `old`, if it still is that one.
    async fn replace_key_check(&self, old: Sealed, new: Sealed) -> Result<()>;
}
