//! Leads, and what each change of one causes.

mod apply;
pub(super) mod rows;

use async_trait::async_trait;

use super::SqliteStore;
use super::writer::Durability::Full;
use crate::model::lead::{Activity, Lead, LeadCommand, LeadOutcome};
use crate::model::{LeadId, SiteId};
use crate::store::{Leads, Result};

#[async_trait]
impl Leads for SqliteStore {
    async fn apply_lead_change(&self, command: LeadCommand) -> Result<LeadOutcome> {
        self.write(Full, move |tx| apply::apply(tx, &command)).await
    }

    async fn lead(&self, site: SiteId, lead: LeadId) -> Result<Option<(Lead, Vec<Activity>)>> {
        self.read(move |db| rows::with_activities(db, site, lead)).await
    }
}
