//! Carrying out a lead command: all of it in one transaction, the deliveries that it causes included.

use super::rows;
use crate::model::SiteId;
use crate::model::lead::{Known, Lead, LeadAction, LeadChange, LeadCommand, LeadOutcome, LeadRow};
use crate::model::site::Site;
use crate::model::source::Presumption;
use crate::store::Result;
use crate::store::sqlite::deliveries::outbox;
use crate::store::sqlite::writer::Tx;
use crate::store::sqlite::{sites, sources, throttle};

/// Carries out a command; see [`crate::store::Leads::apply_lead_change`].
pub(super) fn apply(tx: &Tx, command: &LeadCommand) -> Result<LeadOutcome> {
    if let Some(presumed) = &command.presumes
        && !holds(tx, presumed, command)?
    {
        return Ok(LeadOutcome::NotAsPresumed);
    }
    let Some(site) = sites::find(tx, command.site)? else { return Ok(LeadOutcome::NoSuchSite) };
    if let Some(key) = &command.idempotency
        && let Some((request, receipt)) = rows::key(tx, command.site, &key.key, command.now)?
    {
        return Ok(key.answer(request, receipt));
    }
    let known = match find(tx, command.site, &command.action)? {
        Some(lead) => Some(known(tx, lead, &command.action)?),
        None => None,
    };
    match command.decide(&site, known) {
        Ok(change) => write(tx, command, &site, change),
        Err(refusal) => Ok(refusal),
    }
}

fn holds(tx: &Tx, presumed: &Presumption, command: &LeadCommand) -> Result<bool> {
    Ok(sources::may_send(tx, presumed.source, command.site)? && throttle::are_full(tx, &presumed.full, command.now)?)
}

/// The lead that the id or else the e-mail names.
fn find(tx: &Tx, site: SiteId, action: &LeadAction) -> Result<Option<Lead>> {
    if let Some(id) = action.id()
        && let Some(lead) = rows::by_id(tx, site, id)?
    {
        return Ok(Some(lead));
    }
    match action.email_key() {
        Some(key) => rows::by_email(tx, site, &key),
        None => Ok(None),
    }
}

fn known(tx: &Tx, lead: Lead, action: &LeadAction) -> Result<Known> {
    if action.activities().is_empty() {
        return Ok(Known { lead, activities: 0, repeated: Default::default() });
    }
    let activities = rows::count_activities(tx, &lead)?;
    let repeated = rows::repeated(tx, &lead, action.activities())?;
    Ok(Known { lead, activities, repeated })
}

fn write(tx: &Tx, command: &LeadCommand, site: &Site, change: LeadChange) -> Result<LeadOutcome> {
    let lead = &change.lead;
    match &change.row {
        LeadRow::New(fields) => rows::insert(tx, lead, fields, command.now)?,
        LeadRow::Changed(fields) => rows::update(tx, lead, fields, command.now)?,
        LeadRow::Same => {}
    }
    if let Some(alias) = change.alias {
        rows::add_alias(tx, lead.site, lead.id, alias)?;
    }
    rows::add_activities(tx, lead, &change.activities)?;
    outbox::send(tx, command, site, &change)?;
    if let Some(key) = &command.idempotency {
        rows::keep_key(tx, lead.site, key, &change.receipt)?;
    }
    Ok(LeadOutcome::Done(change.receipt))
}
