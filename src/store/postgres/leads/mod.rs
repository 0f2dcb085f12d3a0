//! Leads, and what each change of one causes.

mod apply;
mod intake;
pub(super) mod look;
pub(super) mod rows;
mod take;

use async_trait::async_trait;

pub(super) use self::intake::Intake;
use super::PostgresStore;
use super::transaction::snapshot;
use crate::model::lead::{Activity, Lead, LeadCommand, LeadOutcome};
use crate::model::{LeadId, SiteId};
use crate::store::{Leads, Result};

#[async_trait]
impl Leads for PostgresStore {
    async fn apply_lead_change(&self, command: LeadCommand) -> Result<LeadOutcome> {
        self.intake.apply(command).await
    }

    async fn lead(&self, site: SiteId, lead: LeadId) -> Result<Option<(Lead, Vec<Activity>)>> {
        snapshot!(self, tx => rows::with_activities(&tx, site, lead))
    }
}
