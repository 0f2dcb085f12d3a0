//! What a command amounts to, once the store has looked up what it names: pure, and the same for every engine.

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    Activity, Effect, Fields, Idempotency, Lead, LeadAction, LeadCommand, LeadOutcome, LeadReceipt, MAX_ACTIVITIES,
    MAX_FIELDS, Patch, created_body, updated_body,
};
use crate::model::LeadId;
use crate::model::delivery::Action;
use crate::model::site::Site;

/// A lead that a command names, as the store has it.
#[derive(Debug)]
pub struct Known {
    /// The lead.
    pub lead: Lead,
    /// How many activities it has.
    pub activities: usize,
    /// Digests of those of the command's activities that it has already.
    pub repeated: HashSet<[u8; 32]>,
}

/// What is to be written, all of it in one transaction.
#[derive(Debug)]
pub struct LeadChange {
    /// The lead as it is from now on.
    pub lead: Lead,
    /// What becomes of its row.
    pub row: LeadRow,
    /// A further id of the lead.
    pub alias: Option<LeadId>,
    /// Activities that it did not have.
    pub activities: Vec<Activity>,
    /// What the site's subscriptions hear of it: [`LeadCommand::message`].
    pub news: Option<News>,
    /// What the caller is told.
    pub receipt: LeadReceipt,
}

/// What becomes of a lead's row; with its fields as JSON text.
#[derive(Debug)]
pub enum LeadRow {
    /// It is new.
    New(String),
    /// It is written anew.
    Changed(String),
    /// It stays.
    Same,
}

/// What there is to tell of a change.
#[derive(Debug)]
pub enum News {
    /// There is a new lead.
    Created,
    /// These fields of it are different now.
    Updated(Map<String, Value>),
}

/// What a change sends.
#[derive(Debug)]
pub struct Message {
    /// The kind of change.
    pub action: Action,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl LeadCommand {
    /// What the command does to the lead that it names, or to a new one if it names `None`; or why it does nothing.
    pub fn decide(&self, site: &Site, known: Option<Known>) -> Result<LeadChange, LeadOutcome> {
        match (&self.action, known) {
            (LeadAction::Upsert { given, patch, activities, .. }, Some(known)) => {
                let alias = given.filter(|given| *given != known.lead.id);
                Ok(LeadChange { alias, ..self.update(known, patch, activities)? })
            }
            (LeadAction::Upsert { given, fresh, patch, activities }, None) => {
                self.create(site, given.unwrap_or(*fresh), patch, activities)
            }
            (LeadAction::Patch { patch, activities, .. }, Some(known)) => self.update(known, patch, activities),
            (LeadAction::AddActivities { activities, .. }, Some(known)) => {
                self.update(known, &Patch::default(), activities)
            }
            (LeadAction::Patch { .. } | LeadAction::AddActivities { .. }, None) => Err(LeadOutcome::NoSuchLead),
        }
    }

    fn create(
        &self,
        site: &Site,
        id: LeadId,
        patch: &Patch,
        activities: &[Activity],
    ) -> Result<LeadChange, LeadOutcome> {
        let mut lead = Lead { site: site.id, id, fields: Fields::of(patch) };
        lead.fields.fill_in("created", || Value::String(self.now.to_string()));
        let row = LeadRow::New(fitting(&lead, 0, activities)?);
        let activities = added(activities, HashSet::new());
        let receipt = LeadReceipt { lead: id, effect: Effect::Created };
        Ok(LeadChange { lead, row, alias: None, activities, news: Some(News::Created), receipt })
    }

    /// What those who are to hear of the change are sent, if it is anything to them.
    pub fn message(&self, site: &Site, change: &LeadChange) -> Option<Message> {
        let system = &self.origin.system;
        let (action, body) = match change.news.as_ref()? {
            News::Created => (Action::Created, created_body(site, &change.lead, system, &change.activities)),
            News::Updated(changed) => (Action::Updated, updated_body(site, &change.lead, system, changed)),
        };
        Some(Message { action, body: body.into() })
    }

    /// Applies what is different. Activities alone are an update, but nobody is told of them (API.md §5).
    fn update(&self, known: Known, patch: &Patch, activities: &[Activity]) -> Result<LeadChange, LeadOutcome> {
        let mut lead = known.lead;
        let changed = lead.fields.apply(patch);
        let fields = fitting(&lead, known.activities, activities)?;
        let activities = added(activities, known.repeated);
        let unchanged = changed.is_empty() && activities.is_empty();
        let effect = if unchanged { Effect::Unchanged } else { Effect::Updated };
        let receipt = LeadReceipt { lead: lead.id, effect };
        let (row, news) = match changed.is_empty() {
            true => (LeadRow::Same, None),
            false => (LeadRow::Changed(fields), Some(News::Updated(changed))),
        };
        Ok(LeadChange { lead, row, alias: None, activities, news, receipt })
    }
}

impl LeadAction {
    /// The id by which it names its lead.
    pub fn id(&self) -> Option<LeadId> {
        match self {
            Self::Upsert { given, .. } => *given,
            Self::Patch { lead, .. } | Self::AddActivities { lead, .. } => Some(*lead),
        }
    }

    /// The e-mail by which it names its lead, if the id does not; folded as [`Fields::email_key`] does.
    pub fn email_key(&self) -> Option<String> {
        match self {
            Self::Upsert { patch, .. } => patch.email_key(),
            Self::Patch { .. } | Self::AddActivities { .. } => None,
        }
    }

    /// Whether it makes a lead if there is none.
    pub fn may_create(&self) -> bool {
        matches!(self, Self::Upsert { .. })
    }

    /// The activities that it brings.
    pub fn activities(&self) -> &[Activity] {
        match self {
            Self::Upsert { activities, .. }
            | Self::Patch { activities, .. }
            | Self::AddActivities { activities, .. } => activities,
        }
    }
}

impl Idempotency {
    /// What the request is answered whose key stands for `request` and its receipt already: the same again, unless it is
    /// another one.
    pub fn answer(&self, request: [u8; 32], receipt: LeadReceipt) -> LeadOutcome {
        if request == self.request { LeadOutcome::Done(receipt) } else { LeadOutcome::KeyReused }
    }
}

/// The lead's fields as text, unless they or its activities have become too many.
fn fitting(lead: &Lead, activities: usize, new: &[Activity]) -> Result<String, LeadOutcome> {
    let fields = serde_json::to_string(lead.fields.as_json()).expect("a JSON map is always JSON");
    let fits = fields.len() <= MAX_FIELDS && (new.is_empty() || activities + new.len() <= MAX_ACTIVITIES);
    if fits { Ok(fields) } else { Err(LeadOutcome::TooLarge) }
}

/// Those that are new, each once.
fn added(activities: &[Activity], mut known: HashSet<[u8; 32]>) -> Vec<Activity> {
    activities.iter().filter(|activity| known.insert(activity.digest())).cloned().collect()
}
