//! What the driver holds in memory: leased deliveries that are ready, and the places of those under way.
//!
//! Everything here is quick and waits for nothing: the board is behind a lock that is never held across an `.await`.
//! Outcomes leave through the recorder's queue while the lock is held, so that what was settled before a recall is also
//! recorded before it.

#[cfg(test)]
mod drain;
mod entry;
mod hosts;
mod leasing;
mod line;
mod paced;
mod passed_over;
mod places;
mod promises;
mod receivers;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::AbortRegistration;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use self::entry::Entry;
use self::hosts::Hosts;
use self::paced::Held;
use self::passed_over::PassedOver;
use self::receivers::{Key, Receivers};
use self::sums::Sums;
use super::limits::{Health, Limits};
use super::outcome::Sign;
use super::pace::Pace;
use super::recorder::Job;
use super::stats::DeliveryStats;
use crate::model::delivery::{Leased, Outcome, Verdict};
use crate::model::{SubscriptionId, Timestamp};

/// The board. See the module's description.
pub(super) struct Board {
    limits: Limits,
    /// How long an attempt may take; none begins that could outlast its lease.
    timeout: Duration,
    jobs: UnboundedSender<Job>,
    stats: Arc<DeliveryStats>,
    entries: HashMap<SubscriptionId, Entry>,
    /// Those of the entries that may be awake: all that are, and some that were.
    awake: HashSet<SubscriptionId>,
    receivers: Receivers,
    hosts: Hosts,
    /// What all entries hold.
    sums: Sums,
    /// Bytes of all bodies that are held, or for which room is promised.
    bytes: usize,
    /// Bytes of a body on average, among those that were leased last.
    usual_bytes: usize,
    /// Bytes for which the store was last asked, until it answers.
    asked: usize,
    /// How much it was asked for that goes to shared receivers, for subscriptions that fail and for others.
    asked_for: HashMap<(Key, bool), usize>,
    /// Those for which it was asked by name, until it answers: what ends meanwhile is no reason to ask again.
    being_asked: HashSet<SubscriptionId>,
    /// Those that it asked about and for which there was no room, until it answers.
    without_room: HashSet<SubscriptionId>,
    /// Those that are awake, and of which the request said nothing.
    to_be_asked: Vec<SubscriptionId>,
    /// How many of them may be held ready, before they can begin.
    ahead_for_shared: usize,
    /// Subscriptions with ready deliveries, in the order in which they get their turn. Some may have none any more.
    turns: VecDeque<SubscriptionId>,
    /// Who is held back by a pace, and until when.
    paced: BTreeSet<(Timestamp, Held)>,
    sooner: Arc<Notify>,
    /// When something was last done that is done [now and then](leasing::NOW_AND_THEN).
    looked: Timestamp,
    /// Subscriptions that the store passed over, because they had no room.
    passed_over: PassedOver,
    /// Those recalled since the last lease was asked for: what it brings of them may be out of date.
    recalled: HashSet<SubscriptionId>,
    /// Whether the store had more to lease than it was asked for, or could not be asked: the next place that is free is a reason to.
    more: bool,
    /// Whether attempts may begin.
    open: bool,
    /// Outcomes that are not on disk yet.
    unrecorded: usize,
    /// Whether the store refused outcomes that are still to be written.
    refused: bool,
    /// Numbers given to attempts and promises so far.
    numbers: u64,
}

/// An attempt that is to begin now, in its place.
pub(super) struct Start {
    /// What to send.
    pub delivery: Leased,
    /// Aborts it when the place is recalled.
    pub registration: AbortRegistration,
    /// Where it sits.
    pub seat: Seat,
}

/// Names a place that was taken; it must be given back with [`Board::settle`].
#[derive(Debug, Clone)]
pub(super) struct Seat {
    subscription: SubscriptionId,
    host: Arc<str>,
    number: u64,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Settled {
    /// For the store.
    pub outcome: Outcome,
    /// What it says about the receiver.
    pub sign: Sign,
}

/// What follows from a place that was given back.
#[derive(Default)]
pub(super) struct Next {
    /// Attempts that can begin now.
    pub starts: Vec<Start>,
    /// Whether it is time to lease more.
    pub lease: bool,
}

impl Board {
    pub fn new(limits: Limits, timeout: Duration, jobs: UnboundedSender<Job>, stats: Arc<DeliveryStats>) -> Self {
        Self {
            limits,
            timeout,
            jobs,
            stats,
            entries: HashMap::new(),
            awake: HashSet::new(),
            receivers: Receivers::default(),
            hosts: Hosts::default(),
            sums: Sums::default(),
            bytes: 0,
            usual_bytes: 0,
            asked: 0,
            asked_for: HashMap::new(),
            being_asked: HashSet::new(),
            without_room: HashSet::new(),
            to_be_asked: Vec::new(),
            ahead_for_shared: 0,
            turns: VecDeque::new(),
            paced: BTreeSet::new(),
            sooner: Arc::default(),
            looked: Timestamp::MIN,
            passed_over: PassedOver::default(),
            recalled: HashSet::new(),
            more: false,
            open: true,
            unrecorded: 0,
            refused: false,
            numbers: 0,
        }
    }

    /// Gives a place back. `outcome` goes to the recorder; there is none if the attempt broke down, and then the
    /// delivery's lease runs out.
    pub fn settle(&mut self, seat: &Seat, settled: Option<Settled>, now: Timestamp) -> Next {
        let before = self.before_the_end(seat.subscription);
        let all_turns_were_taken = self.limits.failing_turns(self.load()) == 0;
        let recalled = self.vacate(seat);
        if let Some(Settled { mut outcome, sign }) = settled {
            if recalled {
                outcome.verdict = after_recall(outcome.verdict, now);
            } else {
                self.learn(seat, outcome.verdict);
                self.adapt(seat, &before, sign, now);
            }
            self.send(Job::Record(outcome));
        }
        let mut next = Next::default();
        if let Some(key) = self.receiver_of(seat.subscription) {
            self.serve(key, now, &mut next);
        }
        next.starts.extend(self.begin(seat.subscription, now));
        // A few others are tried at once; the driver's next round tries all.
        next.starts.extend(self.begin_in_turn(now, 4));
        let entry = self.entries.get(&seat.subscription);
        let shares = self.shares_receiver(seat.subscription);
        let waits = |entry: &Entry| if shares { entry.is_called || entry.expects } else { entry.waits() };
        // What it waits for has just been asked for, unless it is news.
        let is_asked = |entry: &Entry| !entry.expects && self.being_asked.contains(&seat.subscription);
        let low = entry.is_some_and(|entry| waits(entry) && !is_asked(entry) && self.runs_low(entry, now));
        // Only the store may know who waits for a turn of the failing ones, if there was none.
        let turn = all_turns_were_taken && self.limits.failing_turns(self.load()) > 0;
        // If it pauses, it asks at the end of that.
        let goes_on = |entry: &Entry| entry.fails() && entry.waits() && entry.held_until.is_none();
        let goes_on = entry.is_some_and(goes_on);
        self.forget_if_idle(seat.subscription);
        next.lease |= self.more || low || turn || goes_on;
        next
    }

    /// Drops everything that is held for a subscription: it was removed, or has another URL or secret. What is ready is
    /// put back, what is under way is aborted, and what was put off is made due, for the new receiver.
    pub fn recall(&mut self, subscription: SubscriptionId) {
        self.recalled.insert(subscription);
        self.put_back(subscription);
        self.break_promises(subscription);
        self.change(subscription, |entry| {
            entry.health = Health::Unknown;
            entry.pace = Pace::default();
            // What was on its way to the old receiver will be waiting for the new one.
            entry.more = !entry.under_way.is_empty();
            for flight in &mut entry.under_way {
                flight.recalled = true;
                flight.abort.abort();
            }
        });
        self.hold(subscription, None);
        self.lead_nowhere(subscription);
        self.wake(subscription);
        self.line_up(subscription);
        self.forget_if_idle(subscription);
        self.send(Job::Hasten(subscription));
    }

    /// One round over everything that is ready: puts back what can no longer begin under its lease, begins what may.
    pub fn round(&mut self, now: Timestamp) -> Vec<Start> {
        self.free_misheld(now);
        if self.sums.ready == 0 {
            return Vec::new();
        }
        let ids: Vec<_> = self.awake.iter().copied().collect();
        ids.into_iter().for_each(|id| self.put_back_late(id, now));
        self.begin_in_turn(now, usize::MAX)
    }

    /// From now on nothing begins; what is ready is put back.
    pub fn close(&mut self) {
        self.open = false;
        let ids: Vec<_> = self.entries.keys().copied().collect();
        ids.into_iter().for_each(|id| self.put_back(id));
    }

    /// Takes note that the store did not take outcomes. Until it does, nothing is leased: it could be the very deliveries
    /// whose outcomes wait.
    pub fn not_recorded(&mut self) {
        self.refused = true;
    }

    /// Takes note that so many outcomes were dealt with. Returns whether that makes room to lease.
    pub fn recorded(&mut self, outcomes: usize) -> bool {
        let was_behind = self.is_behind();
        self.refused = false;
        self.unrecorded = self.unrecorded.saturating_sub(outcomes);
        was_behind && !self.is_behind()
    }

    /// Tells the recorder that nothing more will come.
    pub fn stop(&mut self) {
        self.send(Job::Stop);
    }

    /// Aborts everything that is under way.
    pub fn abort_all(&self) {
        self.entries.values().flat_map(|entry| &entry.under_way).for_each(|flight| flight.abort.abort());
    }
}

/// How a delivery goes on that was attempted at a receiver which has been replaced meanwhile: what the old one did not
/// take is due for the new one.
fn after_recall(verdict: Verdict, now: Timestamp) -> Verdict {
    match verdict {
        Verdict::Retry(_) | Verdict::Failed | Verdict::Pause => Verdict::Retry(now),
        other => other,
    }
}
