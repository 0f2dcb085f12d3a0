//! Carrying out a lead command: all of it in one transaction, the deliveries that it causes included.

use serde_json::Value;

use super::rows;
use crate::model::LeadId;
use crate::model::delivery::Action;
use crate::model::lead::{
    Activity, Effect, Fields, Lead, LeadAction, LeadCommand, LeadOutcome, LeadReceipt, MAX_ACTIVITIES, MAX_FIELDS,
    Patch, created_body, updated_body,
};
use crate::model::site::Site;
use crate::store::Result;
use crate::store::sqlite::deliveries::outbox;
use crate::store::sqlite::sites;
use crate::store::sqlite::values::json_text;
use crate::store::sqlite::writer::Tx;

/// Carries out a command; see [`crate::store::Leads::apply_lead_change`].
pub(super) fn apply(tx: &Tx, command: &LeadCommand) -> Result<LeadOutcome> {
    let Some(site) = sites::find(tx, command.site)? else { return Ok(LeadOutcome::NoSuchSite) };
    if let Some(earlier) = earlier(tx, command)? {
        return Ok(earlier);
    }
    let change = Change { tx, site, command };
    let outcome = match &command.action {
        LeadAction::Upsert { given, fresh, patch, activities } => change.upsert(*given, *fresh, patch, activities)?,
        LeadAction::Patch { lead, patch, activities } => change.update_known(*lead, patch, activities)?,
        LeadAction::AddActivities { lead, activities } => change.update_known(*lead, &Patch::default(), activities)?,
    };
    if let (Some(key), LeadOutcome::Done(receipt)) = (&command.idempotency, &outcome) {
        rows::keep_key(tx, command.site, key, receipt)?;
    }
    Ok(outcome)
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
    ) -> Result<LeadOutcome> {
        let Some(lead) = self.find(given, patch)? else {
            return self.create(given.unwrap_or(fresh), patch, activities);
        };
        let known = lead.id;
        let outcome = self.update(lead, patch, activities)?;
        if let (Some(alias), LeadOutcome::Done(_)) = (given.filter(|given| *given != known), &outcome) {
            rows::add_alias(self.tx, self.site.id, known, alias)?;
        }
        Ok(outcome)
    }

    fn update_known(&self, id: LeadId, patch: &Patch, activities: &[Activity]) -> Result<LeadOutcome> {
        match rows::by_id(self.tx, self.site.id, id)? {
            Some(lead) => self.update(lead, patch, activities),
            None => Ok(LeadOutcome::NoSuchLead),
        }
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

    fn create(&self, id: LeadId, patch: &Patch, activities: &[Activity]) -> Result<LeadOutcome> {
        let mut patch = patch.clone();
        patch.if_absent.push(("created".into(), Value::String(self.command.now.to_string())));
        let mut lead = Lead { site: self.site.id, id, fields: Fields::default() };
        lead.fields.apply(&patch);
        let Some(fields) = self.fitting(&lead, activities)? else { return Ok(LeadOutcome::TooLarge) };
        rows::insert(self.tx, &lead, &fields, self.command.now)?;
        let activities = rows::add_activities(self.tx, &lead, activities)?;
        let body = created_body(&self.site, &lead, &self.command.origin.system, &activities);
        outbox::send(self.tx, self.command, &lead, Action::Created, &body)?;
        Ok(LeadOutcome::Done(LeadReceipt { lead: id, effect: Effect::Created }))
    }

    /// Applies what is different. Activities alone are an update, but nobody is told of them (API.md §5).
    fn update(&self, mut lead: Lead, patch: &Patch, activities: &[Activity]) -> Result<LeadOutcome> {
        let changed = lead.fields.apply(patch);
        let Some(fields) = self.fitting(&lead, activities)? else { return Ok(LeadOutcome::TooLarge) };
        let added = rows::add_activities(self.tx, &lead, activities)?;
        if !changed.is_empty() {
            rows::update(self.tx, &lead, &fields, self.command.now)?;
            let body = updated_body(&self.site, &lead, &self.command.origin.system, &changed);
            outbox::send(self.tx, self.command, &lead, Action::Updated, &body)?;
        }
        let unchanged = changed.is_empty() && added.is_empty();
        let effect = if unchanged { Effect::Unchanged } else { Effect::Updated };
        Ok(LeadOutcome::Done(LeadReceipt { lead: lead.id, effect }))
    }

    /// The lead's fields as text, unless they or its activities have become too many. Asked before anything is written.
    fn fitting(&self, lead: &Lead, activities: &[Activity]) -> Result<Option<String>> {
        let fields = json_text(lead.fields.as_json());
        let fits = fields.len() <= MAX_FIELDS
            && (activities.is_empty() || rows::count_activities(self.tx, lead)? + activities.len() <= MAX_ACTIVITIES);
        Ok(fits.then_some(fields))
    }
}
