//! What the operator does from the command line: people, sites, partners, sources, and the delivery log.

mod deliveries;
mod directory;
mod invitations;
mod partners;

use std::sync::Arc;

use crate::domain::recalls;
use crate::egress::Mailer;
use crate::model::partner::Slug;
use crate::model::person::Email;
use crate::model::{Clock, DeliveryId, Entropy, SiteId};
use crate::store::{Recalling, SharedStore, StoreError};

pub use directory::OwnedSite;
pub use invitations::Invitation;
pub use partners::{PartnerCredentials, SourceCredentials, Wishes};

/// The operator's verbs. They need no keys, and the network only for mail.
#[derive(Clone)]
pub struct Admin {
    /// What must survive.
    pub store: SharedStore,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// What links begin with: `public_url`.
    pub public_url: String,
    /// Sends mail, if that is set up.
    pub mailer: Option<Mailer>,
}

impl Admin {
    /// What became of a change, once the gateways have let go of what it recalled.
    async fn once_let_go<T>(&self, change: Recalling<T>) -> T {
        recalls::once_let_go(&*self.store, &*self.clock, change).await
    }
}

/// What an operator asked for cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Each e-mail belongs to one person.
    #[error("there is already a user {0}")]
    EmailTaken(Email),
    /// Nobody has this e-mail.
    #[error("there is no user {0}")]
    NoSuchUser(Email),
    /// Each UUID belongs to one site.
    #[error("there is already a site {0}, or one that is still being removed")]
    UuidTaken(SiteId),
    /// No site has this UUID.
    #[error("there is no site {0}")]
    NoSuchSite(SiteId),
    /// Each slug belongs to one partner.
    #[error("there is already a partner {0}")]
    SlugTaken(Slug),
    /// No partner has this slug.
    #[error("there is no partner {0}")]
    NoSuchPartner(Slug),
    /// Each user name belongs to one source.
    #[error("there is already a source {0}")]
    UsernameTaken(String),
    /// No source has this user name.
    #[error("there is no source {0}")]
    NoSuchSource(String),
    /// The log has no such delivery (any more).
    #[error("there is no delivery {0}")]
    NoSuchDelivery(DeliveryId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, AdminError>;
