//! Carrying out a lead command: all of it in one transaction, the deliveries that it causes included.

use serde_json::Value;

use super::rows;
use crate::model::LeadId;
use crate::model::delivery::Action;
use crate::model::lead::{
    Activity, Effect, Fields, Lead, LeadAction, LeadCommand, LeadOutcome, LeadReceipt, Patch, created_body,
    updated_body,
};
use crate::model::site::Site;
use crate::store::Result;
use crate::store::sqlite::deliveries::outbox;
use crate::store::sqlite::sites;
use crate::store::sqlite::writer::Tx;

/// Carries out a command; see [`crate::store::Leads::apply_lead_change`].
pub(super) fn apply(tx: &Tx, command: &LeadCommand) -> Result<LeadOutcome> {
    let Some(site) = sites::find(tx, command.site)? else { return Ok(LeadOutcome::NoSuchSite) };
    if let Some(earlier) = earlier(tx, command)? {
        return Ok(earlier);
    }
    let change = Change { tx, site, command };
    let receipt = match &command.action {
        LeadAction::Upsert { given, fresh, patch, activities } => change.upsert(*given, *fresh, patch, activities)?,
        LeadAction::Patch { lead, patch, activities } => match rows::by_id(tx, command.site, *lead)? {
            Some(lead) => change.update(lead, patch, activities)?,
            None => return Ok(LeadOutcome::NoSuchLead),
        },
        LeadAction::AddActivities { lead, activities } => match rows::by_id(tx, command.site, *lead)? {
            Some(lead) => change.update(lead, &Patch::default(), activities)?,
            None => return Ok(LeadOutcome::NoSuchLead),
        },
    };
    if let Some(key) = &command.idempotency {
        rows::keep_key(tx, command.site, key, &receipt)?;
    }
    Ok(LeadOutcome::Done(receipt))
}

/// What the command's `Idempotency-Key` says: the same request was carried out before, or another one was.
fn earlier(tx: &Tx, command: &LeadCommand) -> Result<Option<LeadOutcome>> {
    let Some(key) = &command.idempotency else { return Ok(None) };
    let found = rows::key(tx, command.site, &key.key, command.now)?;
    Ok(found.map(|(request, receipt)| match request == key.request {
        true => LeadOutcome::Done(receipt),
        false => LeadOutcome::KeyReused,
    }))
}

/// A command under way on a site that is there.
struct Change<'a> {
    tx: &'a Tx<'a>,
    site: Site,
    command: &'a LeadCommand,
}

impl Change<'_> {
    /// Updates the lead that the given id or else the e-mail names; creates one if there is none.
    fn upsert(
        &self,
        given: Option<LeadId>,
        fresh: LeadId,
        patch: &Patch,
        activities: &[Activity],
    ) -> Result<LeadReceipt> {
        let Some(lead) = self.find(given, patch)? else {
            return self.create(given.unwrap_or(fresh), patch, activities);
        };
        if let Some(alias) = given.filter(|given| *given != lead.id) {
            rows::add_alias(self.tx, &lead, alias)?;
        }
        self.update(lead, patch, activities)
    }

    fn find(&self, given: Option<LeadId>, patch: &Patch) -> Result<Option<Lead>> {
        if let Some(given) = given
            && let Some(lead) = rows::by_id(self.tx, self.site.id, given)?
        {
            return Ok(Some(lead));
        }
        match patch.email_key() {
            Some(key) => rows::by_email(self.tx, self.site.id, &key),
            None => Ok(None),
        }
    }

    fn create(&self, id: LeadId, patch: &Patch, activities: &[Activity]) -> Result<LeadReceipt> {
        let mut patch = patch.clone();
        patch.if_absent.push(("created".into(), Value::String(self.command.now.to_string())));
        let mut lead = Lead { site: self.site.id, id, fields: Fields::default() };
        lead.fields.apply(&patch);
        rows::insert(self.tx, &lead, self.command.now)?;
        let activities = rows::add_activities(self.tx, &lead, activities)?;
        let body = created_body(&self.site, &lead, &self.command.origin.system, &activities);
        outbox::send(self.tx, self.command, &lead, Action::Created, &body)?;
        Ok(LeadReceipt { lead: id, effect: Effect::Created })
    }

    /// Applies what is different. Activities alone are an update, but nobody is told of them (API.md §5).
    fn update(&self, mut lead: Lead, patch: &Patch, activities: &[Activity]) -> Result<LeadReceipt> {
        let added = rows::add_activities(self.tx, &lead, activities)?;
        let changed = lead.fields.apply(patch);
        if !changed.is_empty() {
            rows::update(self.tx, &lead, self.command.now)?;
            let body = updated_body(&self.site, &lead, &self.command.origin.system, &changed);
            outbox::send(self.tx, self.command, &lead, Action::Updated, &body)?;
        }
        let unchanged = changed.is_empty() && added.is_empty();
        let effect = if unchanged { Effect::Unchanged } else { Effect::Updated };
        Ok(LeadReceipt { lead: lead.id, effect })
    }
}
