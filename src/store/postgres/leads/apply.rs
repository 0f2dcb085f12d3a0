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
use crate::store::postgres::deliveries::outbox;
use crate::store::postgres::transaction::Tx;
use crate::store::postgres::values::json_text;
use crate::store::postgres::{locks, sites};

/// Carries out a command; see [`crate::store::Leads::apply_lead_change`].
pub(super) async fn apply(tx: &Tx, command: &LeadCommand) -> Result<LeadOutcome> {
    lock(tx, command).await?;
    let Some(site) = sites::find(tx, command.site).await? else { return Ok(LeadOutcome::NoSuchSite) };
    if let Some(earlier) = earlier(tx, command).await? {
        return Ok(earlier);
    }
    let change = Change { tx, site, command };
    let outcome = match &command.action {
        LeadAction::Upsert { given, fresh, patch, activities } => {
            change.upsert(*given, *fresh, patch, activities).await?
        }
        LeadAction::Patch { lead, patch, activities } => change.update_known(*lead, patch, activities).await?,
        LeadAction::AddActivities { lead, activities } => {
            change.update_known(*lead, &Patch::default(), activities).await?
        }
    };
    if let (Some(key), LeadOutcome::Done(receipt)) = (&command.idempotency, &outcome) {
        rows::keep_key(tx, command.site, key, receipt).await?;
    }
    Ok(outcome)
}

/// Keeps the site as it is, and everybody else from creating a lead of the same key, e-mail or id. See [`locks`].
async fn lock(tx: &Tx, command: &LeadCommand) -> Result<()> {
    locks::share_sites(tx, &[command.site]).await?;
    let (email, given) = match &command.action {
        LeadAction::Upsert { given, patch, .. } => (patch.email_key(), *given),
        LeadAction::Patch { .. } | LeadAction::AddActivities { .. } => (None, None),
    };
    let key = command.idempotency.as_ref().map(|key| key.key.as_str());
    locks::take_origins(tx, command.site, key, email.as_deref(), given).await
}

/// What the command's `Idempotency-Key` says: the same request was carried out before, or another one was.
async fn earlier(tx: &Tx, command: &LeadCommand) -> Result<Option<LeadOutcome>> {
    let Some(key) = &command.idempotency else { return Ok(None) };
    let found = rows::key(tx, command.site, &key.key, command.now).await?;
    Ok(found.map(|(request, receipt)| match request == key.request {
        true => LeadOutcome::Done(receipt),
        false => LeadOutcome::KeyReused,
    }))
}

/// A command under way on a site that is there.
struct Change<'a> {
    tx: &'a Tx,
    site: Site,
    command: &'a LeadCommand,
}

impl Change<'_> {
    /// Updates the lead that the given id or else the e-mail names; creates one if there is none.
    async fn upsert(
        &self,
        given: Option<LeadId>,
        fresh: LeadId,
        patch: &Patch,
        activities: &[Activity],
    ) -> Result<LeadOutcome> {
        let Some(lead) = self.find(given, patch).await? else {
            return self.create(given.unwrap_or(fresh), patch, activities).await;
        };
        let known = lead.id;
        let outcome = self.update(lead, patch, activities).await?;
        if let (Some(alias), LeadOutcome::Done(_)) = (given.filter(|given| *given != known), &outcome) {
            rows::add_alias(self.tx, self.site.id, known, alias).await?;
        }
        Ok(outcome)
    }

    async fn update_known(&self, id: LeadId, patch: &Patch, activities: &[Activity]) -> Result<LeadOutcome> {
        match self.take(id).await? {
            Some(lead) => self.update(lead, patch, activities).await,
            None => Ok(LeadOutcome::NoSuchLead),
        }
    }

    async fn find(&self, given: Option<LeadId>, patch: &Patch) -> Result<Option<Lead>> {
        if let Some(given) = given
            && let Some(lead) = self.take(given).await?
        {
            return Ok(Some(lead));
        }
        let Some(key) = patch.email_key() else { return Ok(None) };
        while let Some(seen) = rows::by_email(self.tx, self.site.id, &key).await? {
            // It may have been given another address before it was ours: then another lead is meant, or none.
            let taken = self.take(seen.id).await?;
            if let Some(lead) = taken.filter(|lead| lead.fields.email_key().as_ref() == Some(&key)) {
                return Ok(Some(lead));
            }
        }
        Ok(None)
    }

    /// The lead with this id or alias, which nobody else changes until this is committed.
    async fn take(&self, id: LeadId) -> Result<Option<Lead>> {
        let Some(seen) = rows::by_id(self.tx, self.site.id, id).await? else { return Ok(None) };
        locks::take_leads(self.tx, &[(self.site.id, seen.id)]).await?;
        // Read again: somebody else may have changed it before it was ours.
        rows::by_id(self.tx, self.site.id, seen.id).await
    }

    async fn create(&self, id: LeadId, patch: &Patch, activities: &[Activity]) -> Result<LeadOutcome> {
        let mut patch = patch.clone();
        patch.if_absent.push(("created".into(), Value::String(self.command.now.to_string())));
        let mut lead = Lead { site: self.site.id, id, fields: Fields::default() };
        lead.fields.apply(&patch);
        let Some(fields) = self.fitting(&lead, activities).await? else { return Ok(LeadOutcome::TooLarge) };
        rows::insert(self.tx, &lead, &fields, self.command.now).await?;
        let activities = rows::add_activities(self.tx, &lead, activities).await?;
        let body = created_body(&self.site, &lead, &self.command.origin.system, &activities);
        outbox::send(self.tx, self.command, &lead, Action::Created, &body).await?;
        Ok(LeadOutcome::Done(LeadReceipt { lead: id, effect: Effect::Created }))
    }

    /// Applies what is different. Activities alone are an update, but nobody is told of them (API.md §5).
    async fn update(&self, mut lead: Lead, patch: &Patch, activities: &[Activity]) -> Result<LeadOutcome> {
        let changed = lead.fields.apply(patch);
        let Some(fields) = self.fitting(&lead, activities).await? else { return Ok(LeadOutcome::TooLarge) };
        let added = rows::add_activities(self.tx, &lead, activities).await?;
        if !changed.is_empty() {
            rows::update(self.tx, &lead, &fields, self.command.now).await?;
            let body = updated_body(&self.site, &lead, &self.command.origin.system, &changed);
            outbox::send(self.tx, self.command, &lead, Action::Updated, &body).await?;
        }
        let unchanged = changed.is_empty() && added.is_empty();
        let effect = if unchanged { Effect::Unchanged } else { Effect::Updated };
        Ok(LeadOutcome::Done(LeadReceipt { lead: lead.id, effect }))
    }

    /// The lead's fields as text, unless they or its activities have become too many. Asked before anything is written.
    async fn fitting(&self, lead: &Lead, activities: &[Activity]) -> Result<Option<String>> {
        let fields = json_text(lead.fields.as_json());
        let fits = fields.len() <= MAX_FIELDS
            && (activities.is_empty()
                || rows::count_activities(self.tx, lead).await? + activities.len() <= MAX_ACTIVITIES);
        Ok(fits.then_some(fields))
    }
}
