//! A delivery: one change on its way to one subscription, and every attempt to hand it over.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::seal::Sealed;
use super::subscription::DestinationUrl;
use super::time::after;
use super::{DeliveryId, LeadId, LeaseToken, PartnerId, SiteId, SubscriptionId, Timestamp};

/// The kind of change: `X-Lead-Router-Action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The lead is new.
    Created,
    /// Some of its fields changed.
    Updated,
}

impl Action {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Updated => "updated",
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be sent: now, later, or after an earlier one of its lane.
    Waiting,
    /// The receiver answered 2xx.
    Delivered,
    /// The receiver answered 406: it does not want this one.
    Refused,
    /// Every attempt of the schedule failed. Kept, and replayable by hand.
    Failed,
    /// Its subscription was deleted before it was delivered.
    Cancelled,
}

impl State {
    /// All states.
    pub const ALL: [State; 5] = [State::Waiting, State::Delivered, State::Refused, State::Failed, State::Cancelled];

    /// The state's name in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Delivered => "delivered",
            State::Refused => "refused",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

/// The text names no [`State`] or [`Action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown word")]
pub struct UnknownWord;

impl std::str::FromStr for State {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        State::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownWord)
    }
}

impl std::str::FromStr for Action {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Action::Created, Action::Updated].into_iter().find(|action| action.as_str() == text).ok_or(UnknownWord)
    }
}

/// A delivery as the log shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message id.
    pub id: DeliveryId,
    /// Whose lead.
    pub site: SiteId,
    /// To whom.
    pub partner: PartnerId,
    /// Under which subscription.
    pub subscription: SubscriptionId,
    /// Which lead.
    pub lead: LeadId,
    /// What happened to it.
    pub action: Action,
    /// When the change was committed.
    pub changed: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Attempts made so far.
    pub attempts: u32,
    /// When the next attempt is due; `None` while an earlier delivery of its lane is unfinished, and when finished.
    pub due: Option<Timestamp>,
    /// When it was finished.
    pub finished: Option<Timestamp>,
}

/// A delivery with its body and the story of its attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetails {
    /// The delivery.
    pub delivery: Delivery,
    /// The body that is sent, byte for byte.
    pub body: Bytes,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One attempt to hand a delivery over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, connecting, headers and body together.
    pub duration: Duration,
    /// The receiver's status code, if it got so far.
    pub status: Option<u16>,
    /// What went wrong, in words for the operator and the partner; `None` for an answer.
    pub error: Option<String>,
    /// The first [`EXCERPT`] bytes of the answer's body, as text.
    pub response: String,
}

/// How much of an answer's body is kept for the log, in bytes.
pub const EXCERPT: usize = 1024;

/// Which due deliveries a driver wants.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// When.
    pub now: Timestamp,
    /// The lease under which they are taken.
    pub lease: LeaseToken,
    /// From then on the lease is void and others may take them.
    pub until: Timestamp,
    /// How many at most, in all.
    pub limit: usize,
    /// How many bytes their bodies may have, in all. The first may have more: so whatever its size, it is sent at last.
    pub memory: usize,
    /// How many at most of one subscription …
    pub per_subscription: usize,
    /// … but of these, which have requests under way, only so many …
    pub busy: HashMap<SubscriptionId, usize>,
    /// … and of others that are not listed, what it says.
    pub unlisted: Unlisted,
    /// Some that were passed over before and have room now: they come first, in this order.
    pub again: Vec<SubscriptionId>,
}

/// How long a subscription without room stands aside at most: as long as it waits if its holder has died.
const ASIDE: Duration = Duration::from_secs(10);

impl LeaseRequest {
    /// Whether one more body of so many bytes may be leased, after others with `taken` bytes; `None` if it is the first.
    pub fn fits(&self, taken: Option<usize>, bytes: usize) -> bool {
        taken.is_none_or(|taken| taken.saturating_add(bytes) <= self.memory)
    }

    /// Until when a subscription without room stands aside.
    pub fn aside_until(&self) -> Timestamp {
        self.until.min(after(self.now, ASIDE))
    }

    /// How many deliveries of a subscription are wanted.
    pub fn space_for(&self, subscription: SubscriptionId) -> Space {
        match self.busy.get(&subscription) {
            Some(0) => Space::Full,
            Some(room) => Space::For(*room),
            None => self.unlisted.space_for(subscription).unwrap_or(Space::For(self.per_subscription)),
        }
    }
}

/// How many deliveries of one subscription a driver wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// So many at most.
    For(usize),
    /// None: the driver sends it as much as it may. Another driver may have room.
    Full,
    /// None: its receiver fails or takes no more, whoever sends.
    Down,
}

/// What a driver knows of subscriptions that it does not list: their receivers fail, or are shared by many. There may be very
/// many of them: so they are asked for when they are met in line.
#[derive(Clone, Default)]
pub struct Unlisted(Option<Arc<SpaceOf>>);

type SpaceOf = dyn Fn(SubscriptionId) -> Option<Space> + Send + Sync;

impl Unlisted {
    /// `space_for` says of each subscription how many of its deliveries are wanted; `None` if nothing is known of it.
    pub fn new(space_for: impl Fn(SubscriptionId) -> Option<Space> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(space_for)))
    }

    fn space_for(&self, subscription: SubscriptionId) -> Option<Space> {
        self.0.as_ref().and_then(|space_for| space_for(subscription))
    }
}

impl fmt::Debug for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unlisted")
    }
}

/// Deliveries that were leased, and when to ask again.
#[derive(Debug, Default)]
pub struct LeaseBatch {
    /// The deliveries; of each lane at most one.
    pub deliveries: Vec<Leased>,
    /// Subscriptions that were met and still have something due; and those of which something falls due before `next_due`, and
    /// that have their hands full: the holder asks for these when they have room.
    pub have_more: HashSet<SubscriptionId>,
    /// Subscriptions that were due, but had no room or came too late for it, and stand aside for a while; the holder remembers
    /// them, and names them again when they have room. With an engine that many drivers share, another driver may have room for
    /// those that are not down: so they are back in line after a second.
    pub passed_over: Vec<SubscriptionId>,
    /// Whether something was left although it was due, because there was no memory for it.
    pub cut_short: bool,
    /// When the next delivery, of any subscription that has space, falls due after the request's `now`; sooner if many
    /// without stand before it.
    pub next_due: Option<Timestamp>,
}

/// A subscription that has something due and waits for its turn.
#[derive(Debug, Clone)]
pub struct InLine {
    /// Which.
    pub subscription: SubscriptionId,
    /// Where it is sent to.
    pub url: DestinationUrl,
    /// Since when it waits: since something was due, or since it last had its turn, if that was later.
    pub since: Timestamp,
}

/// A delivery that is this holder's to attempt, with all that the attempt needs.
#[derive(Debug, Clone)]
pub struct Leased {
    /// The message id.
    pub id: DeliveryId,
    /// The lease under which the outcome is recorded.
    pub lease: LeaseToken,
    /// From then on the lease is void: no attempt may begin.
    pub until: Timestamp,
    /// Whose lead.
    pub site: SiteId,
    /// To whom.
    pub partner: PartnerId,
    /// Under which subscription.
    pub subscription: SubscriptionId,
    /// Which lead.
    pub lead: LeadId,
    /// `X-Lead-Router-Action`.
    pub action: Action,
    /// `X-Lead-Router-Timestamp`.
    pub changed: Timestamp,
    /// The body to send.
    pub body: Bytes,
    /// Attempts made before this one.
    pub attempts: u32,
    /// Where to, as the subscription says now.
    pub url: DestinationUrl,
    /// What to sign with, as the subscription says now.
    pub secret: Sealed,
}

/// What became of a leased delivery.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which.
    pub delivery: DeliveryId,
    /// Whose lead …
    pub site: SiteId,
    /// … and which: what an engine locks before it looks.
    pub lead: LeadId,
    /// Under which subscription.
    pub subscription: SubscriptionId,
    /// Under which lease; if it is no longer the holder's, nothing is recorded.
    pub lease: LeaseToken,
    /// The attempt; `None` if it never began (the subscription was recalled, or the gateway is stopping).
    pub attempt: Option<Attempt>,
    /// How it goes on.
    pub verdict: Verdict,
}

impl Outcome {
    /// Attempts that this adds to the delivery's: one, unless it was given back untried, or its attempt was broken off.
    pub fn counted(&self) -> u32 {
        u32::from(self.verdict != Verdict::Release)
    }

    /// What became of this one.
    pub fn of(leased: &Leased, attempt: Option<Attempt>, verdict: Verdict) -> Self {
        Self {
            delivery: leased.id,
            site: leased.site,
            lead: leased.lead,
            subscription: leased.subscription,
            lease: leased.lease,
            attempt,
            verdict,
        }
    }
}

/// How a delivery goes on after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: done.
    Delivered,
    /// 406: the receiver does not want it; done.
    Refused,
    /// To be tried again at this time.
    Retry(Timestamp),
    /// The schedule is exhausted: failed.
    Failed,
    /// 410: the subscription is paused, and this delivery waits for it to be set again.
    Pause,
    /// Back into the queue, due as it was.
    Release,
}

/// Which deliveries a listing shows, newest first.
#[derive(Debug, Clone)]
pub struct DeliveryFilter {
    /// Of this site alone.
    pub site: Option<SiteId>,
    /// In this state alone.
    pub state: Option<State>,
    /// How many at most.
    pub limit: usize,
}

/// Which deliveries to send again.
#[derive(Debug, Clone)]
pub enum Replay {
    /// These.
    These(Vec<DeliveryId>),
    /// All failed ones of a site.
    FailedOf(SiteId),
}
