//! A lead: a prospect of one site, and what can be done to it.
//!
//! Fields are kept as JSON in the order in which they came, known and unknown alike (API.md §4: "unknown keys are kept
//! and passed on as they came"); numbers keep their digits.

mod body;
mod burst;
mod change;
mod merge;

pub use body::{ENVELOPE, created_body, lead_json, updated_body};
pub use change::{Known, LeadChange, LeadRow, Message, News};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::source::Presumption;
use super::{ChangeId, LeadId, PartnerId, SiteId, Timestamp};

/// A lead as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    /// Whose.
    pub site: SiteId,
    /// Its id on the site; other ids may be aliases of it.
    pub id: LeadId,
    /// Everything else: `source`, `email`, `created`, …; never `id` or `activities`.
    pub fields: Fields,
}

/// A lead's fields, without empty ones: an absent field and an empty one are the same thing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(Map<String, Value>);

/// What a request does to each field that it names: `Some` sets it, `None` unsets it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patch {
    /// Field by field, in the order in which they came.
    pub fields: Vec<(String, Option<Value>)>,
    /// Values for fields that the lead does not have yet; a field that it has is left alone.
    pub if_absent: Vec<(String, Value)>,
}

/// The most that a lead's fields may take as JSON, in bytes: as much as one request may bring. Without a bound, one caller
/// could make a lead grow until every change of it stopped all others.
pub const MAX_FIELDS: usize = 1024 * 1024;

/// The most activities that a lead may have.
pub const MAX_ACTIVITIES: usize = 10_000;

/// Something that a prospect did. Its JSON is kept as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity(pub Map<String, Value>);

impl Activity {
    /// Equal activities have equal digests: the same request sent twice stores them once.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(serde_json::to_vec(&self.0).expect("a JSON map is always JSON")).into()
    }
}

/// A request to change a lead, complete with everything that the change needs from outside.
#[derive(Debug, Clone)]
pub struct LeadCommand {
    /// On which site.
    pub site: SiteId,
    /// Who asks.
    pub origin: Origin,
    /// The id of the change, should there be one.
    pub change: ChangeId,
    /// When.
    pub now: Timestamp,
    /// What.
    pub action: LeadAction,
    /// The caller's `Idempotency-Key`, if it sent one.
    pub idempotency: Option<Idempotency>,
    /// Why the caller may ask for this, as far as nobody has looked yet.
    pub presumes: Option<Presumption>,
}

/// What a request does.
#[derive(Debug, Clone)]
pub enum LeadAction {
    /// Creates a lead; or updates the one that `given` or the patch's e-mail already names.
    Upsert {
        /// The id that the caller gave. If the lead turns out to have another one, this becomes an alias.
        given: Option<LeadId>,
        /// The id of the lead if it is new and the caller gave none.
        fresh: LeadId,
        /// Its fields.
        patch: Patch,
        /// Its activities.
        activities: Vec<Activity>,
    },
    /// Updates an existing lead.
    Patch {
        /// Its id, or an alias.
        lead: LeadId,
        /// The changes.
        patch: Patch,
        /// Activities to add.
        activities: Vec<Activity>,
    },
    /// Adds activities to an existing lead.
    AddActivities {
        /// Its id, or an alias.
        lead: LeadId,
        /// The activities.
        activities: Vec<Activity>,
    },
}

/// Who caused a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `source_system`: a partner's slug, a source's user name, or `console`.
    pub system: String,
    /// The partner, if it was one: it may not want its own changes back.
    pub partner: Option<PartnerId>,
}

/// An `Idempotency-Key`: within its life, the same request under the same key has one effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose key (another caller's equal key is another key), and the key: 1 to 255 bytes.
    pub key: String,
    /// SHA-256 of method, path and body: the same key with another request is refused.
    pub request: [u8; 32],
    /// From then on the key is free again.
    pub expires: Timestamp,
}

/// What became of a [`LeadCommand`]. Whatever `Done` says is on disk, with the deliveries that it caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadOutcome {
    /// Done; and what it amounted to.
    Done(LeadReceipt),
    /// What the command presumes does not hold (any more). Nothing else was decided, and nothing done.
    NotAsPresumed,
    /// There is no such site.
    NoSuchSite,
    /// There is no such lead on the site.
    NoSuchLead,
    /// The `Idempotency-Key` was used with another request.
    KeyReused,
    /// The lead would become larger than [`MAX_FIELDS`], or have more than [`MAX_ACTIVITIES`]; it is as it was.
    TooLarge,
}

/// The lead that a command reached, and what it did to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadReceipt {
    /// The lead's own id, also when the caller used an alias.
    pub lead: LeadId,
    /// What happened.
    pub effect: Effect,
}

/// What a command did to its lead: `X-Leadgate-Result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The lead is new.
    Created,
    /// Something of it changed, or an activity was added.
    Updated,
    /// Everything was so already.
    Unchanged,
}

impl Effect {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Created => "created",
            Effect::Updated => "updated",
            Effect::Unchanged => "unchanged",
        }
    }
}

impl std::str::FromStr for Effect {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Effect::Created, Effect::Updated, Effect::Unchanged].into_iter().find(|e| e.as_str() == text).ok_or(())
    }
}
