//! What the driver holds in memory: leased deliveries that are ready, and the places of those under way.
//!
//! Everything here is quick and waits for nothing: the board is behind a lock that is never held across an `.await`.
//! Outcomes leave through the recorder's queue while the lock is held, so that what was settled before a recall is also
//! recorded before it.

#[cfg(test)]
mod drain;
mod entry;
mod hosts;
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
use crate::model::delivery::{LeaseBatch, LeaseRequest, Leased, Outcome, Space, Unlisted, Verdict};
use crate::model::time::after;
use crate::model::{LeaseToken, SubscriptionId, Timestamp};

/// What was learned about receivers is looked through for what is outdated this often; and so often it is
/// looked past those who wait for a crowded host.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

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
    /// Those that are awake, and of which the request said nothing.
    to_be_asked: Vec<SubscriptionId>,
    /// How many of them may be held ready, before they can begin.
    ahead_for_shared: usize,
    /// Subscriptions with ready deliveries, in the order in which they get their turn. Some may have none any more.
    turns: VecDeque<SubscriptionId>,
    /// Who is held back by a pace, and until when.
    paced: BTreeSet<(Timestamp, Held)>,
    sooner: Arc<Notify>,
    /// When something was last done that is done [`NOW_AND_THEN`].
    looked: Timestamp,
    /// Subscriptions that the store passed over, because they had no room.
    passed_over: PassedOver,
    /// Those recalled since the last lease was asked for: what it brings of them may be out of date.
    recalled: HashSet<SubscriptionId>,
    /// Whether the store had more to lease than it was asked for.
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

    /// What to ask the store for; `None` if there is no room. The request says nothing yet of those who are asleep. After a
    /// request, [`Board::accept`] must follow, if the store answers.
    pub fn plan(&mut self, now: Timestamp, lease: LeaseToken, until: Timestamp) -> Option<LeaseRequest> {
        self.recalled.clear();
        self.forget_asked();
        if self.limits.free(self.load()) == 0 || self.is_behind() || self.bytes >= self.limits.memory {
            // Somebody may be waiting: ask as soon as there is room.
            self.more = true;
            return None;
        }
        let now_and_then = now >= after(self.looked, NOW_AND_THEN) || now < self.looked;
        if now_and_then {
            self.looked = now;
            self.forget_outdated(now);
        }
        let mut ahead = self.ahead();
        let blocked = self.hosts.blocked(self.limits.per_host());
        let (newcomers, per_subscription) = self.limits.newcomers(self.load(), blocked, now_and_then);
        let mut limit = newcomers;
        self.forget_sleepers();
        let mut busy = HashMap::with_capacity(self.awake.len());
        let mut shared = HashSet::new();
        let awake: Vec<_> = self.awake.iter().copied().collect();
        for id in awake {
            let entry = &self.entries[&id];
            if let Some(key) = entry.receiver.filter(|key| self.receivers.get(*key).is_shared()) {
                shared.insert(key);
                self.to_be_asked.push(id);
                continue;
            }
            let room = self.may_hold(entry, ahead, now).saturating_sub(entry.held());
            if entry.health == Health::Answering {
                ahead = ahead.saturating_sub(room);
                limit += room;
            }
            busy.insert(id, room);
        }
        self.ahead_for_shared = ahead;
        limit += shared.into_iter().map(|key| self.room_for_receiver(key, false, now).min(ahead)).sum::<usize>();
        if limit == 0 {
            self.more = true;
            return None;
        }
        let again = self.call_again(&busy, now);
        // The other half is for what is promised room meanwhile.
        let memory = (self.limits.memory - self.bytes).div_ceil(2);
        self.asked = memory;
        // The store takes hold of so many before it sees how large they are.
        let limit = limit.min(2 * (memory / self.usual_bytes.max(1)) + 1);
        Some(LeaseRequest {
            now,
            lease,
            until,
            limit,
            memory,
            per_subscription,
            busy,
            unlisted: Unlisted::default(),
            again,
        })
    }

    /// Forgets the paces from which nothing follows any more.
    fn forget_outdated(&mut self, now: Timestamp) {
        let is_outdated = |key| self.receivers.get(key).is_outdated(now);
        let outdated = self.entries.iter().filter(|(_, entry)| {
            entry.is_idle()
                && entry.held_until.is_none()
                && entry.pace.is_outdated(now)
                && entry.receiver.is_none_or(is_outdated)
        });
        let outdated: Vec<_> = outdated.map(|(id, _)| *id).collect();
        outdated.into_iter().for_each(|id| self.forget(id));
    }

    /// Keeps only those awake that are, and what they wait for is asked for now.
    fn forget_sleepers(&mut self) {
        self.awake.retain(|id| {
            self.entries.get_mut(id).is_some_and(|entry| {
                entry.expects = false;
                entry.is_awake()
            })
        });
    }

    /// How much there is space for of a subscription that the request does not list: it is asleep, or shares its receiver with
    /// others. `None` if nothing is known of it.
    pub fn space_of_unlisted(&mut self, id: SubscriptionId, now: Timestamp) -> Option<Space> {
        let entry = self.entries.get(&id)?;
        // Nor would another node's requests fare better, where the receiver takes no more.
        let is_down = entry.fails() || self.share_of_receiver(entry, now) == 0;
        let ahead = if self.shares_receiver(id) { self.ahead_for_shared } else { 0 };
        let room = self.may_hold(entry, ahead, now).saturating_sub(entry.held());
        self.ahead_for_shared -= ahead.min(room);
        self.ask_for(id, room);
        if room == 0
            && !is_down
            && let Some(entry) = self.entries.get_mut(&id)
        {
            entry.expects = true;
        }
        Some(match room {
            0 if is_down => Space::Down,
            0 => Space::Full,
            room => Space::For(room),
        })
    }

    fn forget_asked(&mut self) {
        self.asked = 0;
        self.asked_for.clear();
        self.to_be_asked.clear();
    }

    /// Takes in what the store leased for `asked`.
    pub fn accept(&mut self, mut batch: LeaseBatch, asked: &LeaseRequest) -> Next {
        let to_be_asked = std::mem::take(&mut self.to_be_asked);
        self.forget_asked();
        self.more = batch.cut_short || batch.deliveries.len() >= asked.limit;
        let held = self.bytes;
        let leased: usize = batch.deliveries.iter().map(|delivery| delivery.body.len()).sum();
        self.usual_bytes = leased.checked_div(batch.deliveries.len()).unwrap_or(self.usual_bytes);
        let mut room = asked.busy.clone();
        for delivery in std::mem::take(&mut batch.deliveries) {
            let id = delivery.subscription;
            // What the store was told of those that are not busy: see [`Board::space_of_unlisted`].
            let told = || self.entries.get(&id).map(|entry| self.may_hold(entry, 0, asked.now).max(1));
            let left = room.entry(id).or_insert_with(|| told().unwrap_or(asked.per_subscription));
            *left = left.saturating_sub(1);
            if self.recalled.contains(&id) || !self.open || self.is_crowded_out(&delivery) {
                self.release(&delivery);
                continue;
            }
            let was_known = self.receiver_of(id).is_some();
            self.lead_to(&delivery, asked.now);
            if !was_known && self.is_turned_away(id, asked.now) {
                self.release(&delivery);
            } else {
                self.make_ready(delivery, asked.now);
            }
        }
        self.remember_passed_over(&batch.passed_over, &asked.again);
        for id in to_be_asked.into_iter().filter(|id| !room.contains_key(id)) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.more = entry.expects;
            }
            self.forget_if_idle(id);
        }
        for (id, left) in room {
            let shares = self.shares_receiver(id);
            // Also those that were given no room: what they have is not known.
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.more = left == 0 || entry.expects || shares;
                self.expect_more(id);
                // Also one that slept, and was put back at once.
                self.wake(id);
            }
            self.forget_if_idle(id);
        }
        // Where there is no memory for more than was just put back, asking again would bring the same.
        let again = self.more && (!batch.cut_short || (held < self.bytes && self.bytes < self.limits.memory));
        let starts = self.begin_in_turn(asked.now, usize::MAX);
        // What has ended since the store was asked may have made room.
        let room = self.has_room_for_any(&batch.passed_over, asked.now);
        Next { lease: (again || room) && self.limits.free(self.load()) > 0, starts }
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
        let waits = |entry: &Entry| if shares { entry.is_called || entry.expects } else { entry.more };
        let low = entry.is_some_and(|entry| waits(entry) && self.runs_low(entry, now));
        // A turn of the failing ones is free, and only the store may know who waits for it: others, if there was none, or this
        // one. If it pauses, it asks at the end of that.
        let turn = entry.is_some_and(|entry| entry.fails() && (all_turns_were_taken || entry.held_until.is_none()));
        self.forget_if_idle(seat.subscription);
        next.lease |= self.more || low || turn;
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
