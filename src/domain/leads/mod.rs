//! Taking leads in, and showing them (API.md §4).

pub mod parse;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::time::Duration;

use crate::model::lead::{Idempotency, LeadAction, LeadCommand, LeadOutcome, LeadReceipt, lead_json};
use crate::model::person::User;
use crate::model::{ChangeId, LeadId, Timestamp, time};
use crate::store::StoreError;

use super::Gateway;
use super::access::Sender;
use super::fields::{FieldErrors, NON_FIELD};
pub use parse::Empties;

const TOO_LARGE: &str = "The lead would be too large.";

/// How long an `Idempotency-Key` is remembered (API.md §4).
pub const KEY_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a request about a lead is refused.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// There is no such site (any more).
    #[error("site not found")]
    SiteNotFound,
    /// There is no such lead on the site.
    #[error("lead not found")]
    LeadNotFound,
    /// Faults in the request's fields.
    #[error("invalid fields")]
    Invalid(FieldErrors),
    /// The `Idempotency-Key` was used with another request.
    #[error("Idempotency-Key was used with another request")]
    KeyReused,
    /// It was presumed that the caller may ([`Gateway::presume_source`]), and that does not hold: it must be admitted.
    #[error("the caller is not as it was presumed")]
    NotAdmitted,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a new lead is, by the endpoint it came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any role but Potential Seller.
    Ordinary,
    /// A potential seller: its role goes without saying.
    PotentialSeller,
}

/// A POST, by which its repetition is recognised.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    /// The caller's `Idempotency-Key`, 1 to 255 bytes.
    pub key: Option<&'a str>,
    /// The path.
    pub path: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl Gateway {
    /// Creates a lead, or updates the one that the id or e-mail already names.
    pub async fn accept_lead(
        &self,
        by: Sender,
        kind: Kind,
        body: Map<String, Value>,
        posted: Posted<'_>,
    ) -> Result<LeadReceipt, LeadError> {
        let lead = parse::new_lead(body, kind).map_err(LeadError::Invalid)?;
        // Nothing in such a lead tells whether it is known already, so the same request twice would be two leads.
        let nameless = lead.id.is_none() && lead.patch.email_key().is_none();
        let now = self.clock.now();
        let idempotency = match nameless {
            true => Some(posted.keyed(&by, now).unwrap_or_else(|| posted.by_its_text(&by, now))),
            false => posted.keyed(&by, now),
        };
        let fresh = LeadId::at(now, &*self.entropy);
        let action = LeadAction::Upsert { given: lead.id, fresh, patch: lead.patch, activities: lead.activities };
        self.change_lead(by, action, now, idempotency).await
    }

    /// Updates a lead.
    pub async fn update_lead(
        &self,
        by: Sender,
        lead: &str,
        empties: Empties,
        body: Map<String, Value>,
    ) -> Result<LeadReceipt, LeadError> {
        let lead = lead.parse().map_err(|_| LeadError::LeadNotFound)?;
        let (patch, activities) = parse::update(body, empties).map_err(LeadError::Invalid)?;
        self.change_lead(by, LeadAction::Patch { lead, patch, activities }, self.clock.now(), None).await
    }

    /// Adds activities to a lead. They are stored, and never sent to a subscription.
    pub async fn add_activities(
        &self,
        by: Sender,
        lead: &str,
        body: Vec<Value>,
        posted: Posted<'_>,
    ) -> Result<LeadReceipt, LeadError> {
        let lead = lead.parse().map_err(|_| LeadError::LeadNotFound)?;
        let activities = parse::activity_list(body).map_err(LeadError::Invalid)?;
        let now = self.clock.now();
        let idempotency = posted.keyed(&by, now);
        self.change_lead(by, LeadAction::AddActivities { lead, activities }, now, idempotency).await
    }

    /// The lead, as JSON.
    pub async fn lead(&self, by: &Sender, lead: &str) -> Result<Value, LeadError> {
        self.known_site(by).await?;
        let lead = lead.parse().map_err(|_| LeadError::LeadNotFound)?;
        let (lead, activities) = self.store.lead(by.site, lead).await?.ok_or(LeadError::LeadNotFound)?;
        Ok(lead_json(&lead, &activities))
    }

    /// The people of the site.
    pub async fn site_users(&self, by: &Sender) -> Result<Vec<User>, LeadError> {
        self.known_site(by).await?;
        Ok(self.store.owners_of(by.site).await?)
    }

    /// A source may name sites that do not exist; a token cannot.
    async fn known_site(&self, by: &Sender) -> Result<(), LeadError> {
        self.store.site(by.site).await?.map(|_| ()).ok_or(LeadError::SiteNotFound)
    }

    async fn change_lead(
        &self,
        by: Sender,
        action: LeadAction,
        now: Timestamp,
        idempotency: Option<Idempotency>,
    ) -> Result<LeadReceipt, LeadError> {
        let command = LeadCommand {
            site: by.site,
            change: ChangeId::at(now, &*self.entropy),
            now,
            action,
            idempotency,
            origin: by.origin,
            presumes: by.presumes.clone(),
        };
        match self.store.apply_lead_change(command).await? {
            LeadOutcome::Done(receipt) => Ok(receipt),
            LeadOutcome::NotAsPresumed => {
                if let Some(presumed) = by.presumes {
                    self.not_as_presumed(presumed);
                }
                Err(LeadError::NotAdmitted)
            }
            LeadOutcome::NoSuchSite => Err(LeadError::SiteNotFound),
            LeadOutcome::NoSuchLead => Err(LeadError::LeadNotFound),
            LeadOutcome::KeyReused => Err(LeadError::KeyReused),
            LeadOutcome::TooLarge => Err(LeadError::Invalid(FieldErrors::one(NON_FIELD, TOO_LARGE))),
        }
    }
}

impl Posted<'_> {
    /// By the caller's key, if it gave one.
    fn keyed(&self, by: &Sender, now: Timestamp) -> Option<Idempotency> {
        let key = format!("{} {}", by.key_space, self.key?);
        Some(Idempotency { key, request: self.digest(), expires: time::after(now, KEY_LIFE) })
    }

    /// By its own text: equal requests of one caller are one request.
    fn by_its_text(&self, by: &Sender, now: Timestamp) -> Idempotency {
        let request = self.digest();
        // No caller's own keys begin like this.
        let key = format!("request {} {}", hex::encode(request), by.key_space);
        Idempotency { key, request, expires: time::after(now, KEY_LIFE) }
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::new().chain_update(self.path).chain_update([0]).chain_update(self.body).finalize().into()
    }
}
