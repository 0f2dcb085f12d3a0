//! Leads. A change and the deliveries that it causes are one commit: a transactional outbox.

use async_trait::async_trait;

use super::Result;
use crate::model::lead::{Activity, Lead, LeadCommand, LeadOutcome};
use crate::model::{LeadId, SiteId};

/// What the gateway knows of leads.
#[async_trait]
pub trait Leads: Send + Sync {
    /// Carries out a command: finds or makes the lead, applies the patch, stores activities, keeps the
    /// `Idempotency-Key`, and adds one delivery for each subscription of the site that is to hear of it. On disk when it
    /// returns. What the command presumes is looked at first, in the same transaction.
    async fn apply_lead_change(&self, command: LeadCommand) -> Result<LeadOutcome>;

    /// The lead with this id or alias, and its activities, oldest first.
    async fn lead(&self, site: SiteId, lead: LeadId) -> Result<Option<(Lead, Vec<Activity>)>>;
}
