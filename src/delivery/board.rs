//! What the driver holds in memory: leased deliveries that are ready, and the places of those under way.
//!
//! Everything here is quick and waits for nothing: the board is behind a lock that is never held across an `.await`.
//! Outcomes leave through the recorder's queue while the lock is held, so that what was settled before a recall is also
//! recorded before it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{AbortHandle, AbortRegistration};
use tokio::sync::mpsc::UnboundedSender;

use super::limits::{Claim, Health, Limits, Load};
use super::recorder::Job;
use super::stats::DeliveryStats;
use crate::model::delivery::{LeaseBatch, LeaseRequest, Leased, Outcome, Verdict};
use crate::model::{LeaseToken, SubscriptionId, Timestamp};

/// The board. See the module's description.
pub(super) struct Board {
    limits: Limits,
    /// How long an attempt may take; none begins that could outlast its lease.
    timeout: Duration,
    jobs: UnboundedSender<Job>,
    stats: Arc<DeliveryStats>,
    entries: HashMap<SubscriptionId, Entry>,
    /// Places taken per host and port: what subscriptions share that fail together.
    hosts: HashMap<Arc<str>, usize>,
    load: Load,
    /// Ready deliveries in all.
    ready: usize,
    /// Subscriptions with ready deliveries, in the order in which they get their turn. Some may have none any more.
    turns: VecDeque<SubscriptionId>,
    /// Those recalled since the last lease was asked for: what it brings of them may be out of date.
    recalled: HashSet<SubscriptionId>,
    /// Whether the store had more to lease than it was asked for.
    more: bool,
    /// Whether attempts may begin.
    open: bool,
    /// Outcomes that are not on disk yet.
    unrecorded: usize,
    flights: u64,
}

/// One subscription that holds something, or is known to fail.
#[derive(Default)]
struct Entry {
    health: Health,
    ready: VecDeque<Leased>,
    under_way: Vec<Flight>,
    /// Whether it waits in `turns`.
    queued: bool,
    /// Whether the store may have more of it.
    more: bool,
}

struct Flight {
    number: u64,
    abort: AbortHandle,
    recalled: bool,
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

/// What follows from a place that was given back.
#[derive(Default)]
pub(super) struct Next {
    /// Attempts that can begin now.
    pub starts: Vec<Start>,
    /// Whether it is time to lease more.
    pub lease: bool,
}

impl Entry {
    fn held(&self) -> usize {
        self.ready.len() + self.under_way.len()
    }

    fn failing_places(&self) -> usize {
        if self.health == Health::Failing { self.under_way.len() } else { 0 }
    }

    /// Whether forgetting it loses nothing.
    fn is_idle(&self) -> bool {
        self.held() == 0 && !self.more && self.health != Health::Failing
    }
}

impl Board {
    pub fn new(limits: Limits, timeout: Duration, jobs: UnboundedSender<Job>, stats: Arc<DeliveryStats>) -> Self {
        Self {
            limits,
            timeout,
            jobs,
            stats,
            entries: HashMap::new(),
            hosts: HashMap::new(),
            load: Load::default(),
            ready: 0,
            turns: VecDeque::new(),
            recalled: HashSet::new(),
            more: false,
            open: true,
            unrecorded: 0,
            flights: 0,
        }
    }

    /// What to ask the store for; `None` if there is no room. After a request, [`Board::accept`] must follow, if the
    /// store answers.
    pub fn plan(&mut self, now: Timestamp, lease: LeaseToken, until: Timestamp) -> Option<LeaseRequest> {
        self.recalled.clear();
        if self.limits.free(self.load) == 0 || self.is_behind() {
            // Somebody may be waiting: ask as soon as there is room.
            self.more = true;
            return None;
        }
        let mut ahead = self.limits.places.saturating_sub(self.ready);
        let (newcomers, per_subscription) = self.limits.newcomers(self.load);
        let mut limit = newcomers;
        let mut busy = Vec::with_capacity(self.entries.len());
        for (id, entry) in &self.entries {
            let room = self.limits.may_hold(self.load, entry.health, ahead).saturating_sub(entry.held());
            if entry.health == Health::Answering {
                ahead = ahead.saturating_sub(room);
                limit += room;
            }
            busy.push((*id, room));
        }
        Some(LeaseRequest { now, lease, until, limit, per_subscription, busy })
    }

    /// Takes in what the store leased for `asked`.
    pub fn accept(&mut self, batch: LeaseBatch, asked: &LeaseRequest) -> Next {
        self.more = batch.deliveries.len() >= asked.limit;
        let mut room: HashMap<_, usize> = asked.busy.iter().copied().collect();
        for delivery in batch.deliveries {
            let id = delivery.subscription;
            let left = room.entry(id).or_insert(asked.per_subscription);
            *left = left.saturating_sub(1);
            if self.recalled.contains(&id) || !self.open {
                self.release(&delivery);
            } else {
                self.make_ready(delivery);
            }
        }
        for (id, left) in room {
            // Also those that were asked for nothing: what they have is not known.
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.more = left == 0;
            }
            self.forget_if_idle(id);
        }
        let starts = self.begin_in_turn(asked.now, usize::MAX);
        Next { lease: self.more && self.limits.free(self.load) > 0, starts }
    }

    /// Gives a place back. `outcome` goes to the recorder; there is none if the attempt broke down, and then the
    /// delivery's lease runs out.
    pub fn settle(&mut self, seat: &Seat, outcome: Option<Outcome>, now: Timestamp) -> Next {
        let recalled = self.vacate(seat);
        if let Some(mut outcome) = outcome {
            if recalled {
                outcome.verdict = after_recall(outcome.verdict, now);
            } else {
                self.learn(seat.subscription, outcome.verdict);
            }
            self.send(Job::Record(outcome));
        }
        let mut starts: Vec<_> = self.begin(seat.subscription, now).into_iter().collect();
        // A few others are tried at once; the driver's next round tries all.
        starts.extend(self.begin_in_turn(now, 4));
        let entry = self.entries.get(&seat.subscription);
        let low = entry.is_some_and(|entry| entry.more && self.limits.runs_low(entry.health, entry.held()));
        self.forget_if_idle(seat.subscription);
        Next { starts, lease: self.more || low }
    }

    /// Drops everything that is held for a subscription: it was removed, or has another URL or secret. What is ready is
    /// put back, what is under way is aborted, and what was put off is made due, for the new receiver.
    pub fn recall(&mut self, subscription: SubscriptionId) {
        self.recalled.insert(subscription);
        self.put_back(subscription);
        self.change(subscription, |entry| {
            entry.health = Health::Unknown;
            // What was on its way to the old receiver will be waiting for the new one.
            entry.more = !entry.under_way.is_empty();
            for flight in &mut entry.under_way {
                flight.recalled = true;
                flight.abort.abort();
            }
        });
        self.forget_if_idle(subscription);
        self.send(Job::Hasten(subscription));
    }

    /// One round over everything that is ready: puts back what can no longer begin under its lease, begins what may.
    pub fn round(&mut self, now: Timestamp) -> Vec<Start> {
        if self.ready == 0 {
            return Vec::new();
        }
        let ids: Vec<_> = self.turns.iter().copied().collect();
        ids.into_iter().for_each(|id| self.put_back_late(id, now));
        self.begin_in_turn(now, usize::MAX)
    }

    /// From now on nothing begins; what is ready is put back.
    pub fn close(&mut self) {
        self.open = false;
        let ids: Vec<_> = self.entries.keys().copied().collect();
        ids.into_iter().for_each(|id| self.put_back(id));
    }

    /// Takes note that so many outcomes were dealt with. Returns whether that makes room to lease.
    pub fn recorded(&mut self, outcomes: usize) -> bool {
        let was_behind = self.is_behind();
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

    fn make_ready(&mut self, delivery: Leased) {
        let id = delivery.subscription;
        let entry = self.entries.entry(id).or_default();
        entry.ready.push_back(delivery);
        self.ready += 1;
        if !std::mem::replace(&mut entry.queued, true) {
            self.turns.push_back(id);
        }
    }

    /// Begins what may begin, one delivery of each subscription at a time, until `tries` subscriptions in a row may
    /// not.
    fn begin_in_turn(&mut self, now: Timestamp, tries: usize) -> Vec<Start> {
        let mut starts = Vec::new();
        let mut in_vain = 0;
        while in_vain < tries.min(self.turns.len()) {
            let Some(id) = self.turns.pop_front() else { break };
            let start = self.begin(id, now);
            in_vain = if start.is_some() { 0 } else { in_vain + 1 };
            starts.extend(start);
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.queued = !entry.ready.is_empty();
                if entry.queued {
                    self.turns.push_back(id);
                }
            }
        }
        starts
    }

    /// Begins the next ready delivery of a subscription, if there is one and it may.
    fn begin(&mut self, id: SubscriptionId, now: Timestamp) -> Option<Start> {
        self.put_back_late(id, now);
        let entry = self.entries.get(&id)?;
        let authority = entry.ready.front()?.url.url().authority();
        let host = self.hosts.get_key_value(authority);
        let taken = host.map_or(0, |(_, taken)| *taken);
        let claim = Claim { health: entry.health, own: entry.under_way.len(), host: taken };
        if !self.open || !self.limits.may_begin(self.load, claim) {
            return None;
        }
        let host = host.map_or_else(|| Arc::from(authority), |(host, _)| host.clone());
        self.flights += 1;
        let number = self.flights;
        let (abort, registration) = AbortHandle::new_pair();
        let delivery = self.change(id, |entry| {
            entry.under_way.push(Flight { number, abort, recalled: false });
            entry.ready.pop_front()
        })??;
        self.ready -= 1;
        *self.hosts.entry(host.clone()).or_default() += 1;
        Some(Start { delivery, registration, seat: Seat { subscription: id, host, number } })
    }

    /// Frees a place. Returns whether its subscription was recalled in the meantime.
    fn vacate(&mut self, seat: &Seat) -> bool {
        if let Some(taken) = self.hosts.get_mut(&seat.host) {
            *taken -= 1;
            if *taken == 0 {
                self.hosts.remove(&seat.host);
            }
        }
        let flight = self.change(seat.subscription, |entry| {
            let index = entry.under_way.iter().position(|flight| flight.number == seat.number)?;
            Some(entry.under_way.swap_remove(index))
        });
        flight.flatten().is_some_and(|flight| flight.recalled)
    }

    /// What a verdict says about the receiver.
    fn learn(&mut self, id: SubscriptionId, verdict: Verdict) {
        let health = match verdict {
            Verdict::Delivered | Verdict::Refused => Health::Answering,
            Verdict::Retry(_) | Verdict::Failed | Verdict::Pause => Health::Failing,
            Verdict::Release => return,
        };
        self.change(id, |entry| entry.health = health);
        if verdict == Verdict::Pause {
            self.put_back(id);
        }
    }

    /// Changes an entry, and keeps the sums over all entries right.
    fn change<T>(&mut self, id: SubscriptionId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&id)?;
        self.load.taken -= entry.under_way.len();
        self.load.failing -= entry.failing_places();
        let before = entry.under_way.len();
        let result = change(entry);
        self.load.taken += entry.under_way.len();
        self.load.failing += entry.failing_places();
        if entry.under_way.len() != before {
            self.stats.in_flight(self.load.taken);
        }
        Some(result)
    }

    fn put_back(&mut self, id: SubscriptionId) {
        let ready = self.entries.get_mut(&id).map(|entry| std::mem::take(&mut entry.ready));
        for delivery in ready.unwrap_or_default() {
            self.ready -= 1;
            self.release(&delivery);
        }
    }

    /// Puts back what could outlast its lease if it began at `now`. The oldest lease is in front.
    fn put_back_late(&mut self, id: SubscriptionId, now: Timestamp) {
        let end = crate::model::time::after(now, self.timeout);
        while let Some(entry) = self.entries.get_mut(&id) {
            let Some(late) = entry.ready.pop_front_if(|delivery| delivery.until < end) else { break };
            self.ready -= 1;
            self.release(&late);
        }
    }

    /// Whether outcomes pile up because the store cannot take them.
    fn is_behind(&self) -> bool {
        self.unrecorded >= 2 * self.limits.places
    }

    fn release(&mut self, delivery: &Leased) {
        let (lease, verdict) = (delivery.lease, Verdict::Release);
        self.send(Job::Record(Outcome { delivery: delivery.id, lease, attempt: None, verdict }));
    }

    fn forget_if_idle(&mut self, id: SubscriptionId) {
        if self.entries.get(&id).is_some_and(|entry| entry.is_idle()) {
            self.entries.remove(&id);
        }
    }

    fn send(&mut self, job: Job) {
        self.unrecorded += usize::from(matches!(job, Job::Record(_)));
        // Fails only when the recorder has ended, after the driver: leases then run out by themselves.
        let _ = self.jobs.send(job);
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
