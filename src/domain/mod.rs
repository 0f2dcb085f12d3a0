//! The verbs: what callers can have done. Each is a method of [`Gateway`]; transport and storage stay outside.

pub mod access;
pub mod account;
pub mod admin;
pub mod fields;
pub mod forms;
pub mod guesses;
mod hashers;
pub mod health;
pub mod housekeeping;
mod known_sources;
pub mod leads;
pub mod links;
pub mod login;
pub mod new_password;
pub mod oauth;
pub mod passwords;
mod recalls;
pub mod rekey;
pub mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use self::guesses::Limits;
use self::links::PostOffice;
use self::passwords::Passwords;
use crate::egress::Guard;
use crate::model::seal::Keyring;
use crate::model::session::Lives;
use crate::model::vitals::Vitals;
use crate::model::{Clock, Entropy};
use crate::store::{Recalling, SharedStore};

pub use self::known_sources::KnownSources;
pub use crate::store::StoreError;

/// Everything that the verbs work with. Time, randomness and the network are parameters.
#[derive(Clone)]
pub struct Gateway {
    /// What must survive.
    pub store: SharedStore,
    /// The operator's `secret_key`s.
    pub keys: Arc<Keyring>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// Which destinations may be reached.
    pub guard: Arc<Guard>,
    /// Checks passwords, a few at a time.
    pub passwords: Passwords,
    /// Who has sent leads before.
    pub known_sources: KnownSources,
    /// How the delivery driver does.
    pub vitals: Arc<dyn Vitals>,
    /// Sends mail, if that is set up.
    pub post_office: Option<PostOffice>,
    /// The operator's choices.
    pub policy: Policy,
}

impl Gateway {
    /// What became of a change, once other gateways have let go of what it recalled.
    async fn once_let_go<T>(&self, change: Recalling<T>) -> T {
        recalls::once_let_go(&*self.store, &*self.clock, change).await
    }
}

/// The operator's choices that verbs depend on.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `public_url` without a slash at its end: what issuers and links begin with.
    pub public_url: String,
    /// Life of an access token (`oauth.access_token_ttl`).
    pub access_token_ttl: Duration,
    /// Life of a refresh token (`oauth.refresh_token_ttl`).
    pub refresh_token_ttl: Duration,
    /// Life of an authorization code (`oauth.code_ttl`).
    pub code_ttl: Duration,
    /// How long people stay signed in (`sessions.idle_ttl`, `sessions.ttl`).
    pub sessions: Lives,
    /// How often somebody may be wrong (`throttle`).
    pub guesses: Limits,
    /// Finished deliveries are deleted after this (`delivery.retention`).
    pub retention: Duration,
}
