//! The board's own moves: what becomes ready, who takes a place, what is put back.

use std::time::Duration;

use futures_util::future::AbortHandle;

use super::entry::{Entry, Flight};
use super::{Board, Seat, Start};
use crate::delivery::limits::{Claim, Health, Load};
use crate::delivery::pace::Turn;
use crate::delivery::recorder::Job;
use crate::model::delivery::{Leased, Outcome, Verdict};
use crate::model::time::after;
use crate::model::{SubscriptionId, Timestamp};

/// What is likely to begin in this time may be held ready: much longer than it takes to lease more, and short enough that one
/// subscription's lease keeps nobody waiting for the store.
const SOON: Duration = Duration::from_millis(100);

/// Whose places a delivery draws on beside its subscription's.
fn host(delivery: &Leased) -> &str {
    delivery.url.url().authority()
}

impl Board {
    pub(super) fn make_ready(&mut self, delivery: Leased) {
        let id = delivery.subscription;
        self.bytes += delivery.body.len();
        self.hosts.add(host(&delivery));
        self.change(id, |entry| entry.ready.push_back(delivery));
        self.wake(id);
        self.stand_in_turn(id);
    }

    /// From now on it is looked at for each lease, for as long as it is awake.
    pub(super) fn wake(&mut self, id: SubscriptionId) {
        self.awake.insert(id);
    }

    /// Has a subscription get its turn, if it has something ready and nothing holds it back.
    pub(super) fn stand_in_turn(&mut self, id: SubscriptionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.takes_turns() && !std::mem::replace(&mut entry.queued, true) {
            self.turns.push_back(id);
        }
    }

    /// Whether a delivery that was leased would only wait behind others for the same host.
    pub(super) fn is_crowded_out(&self, delivery: &Leased) -> bool {
        let bound = self.limits.per_host();
        let is_new = || self.entries.get(&delivery.subscription).is_none_or(|entry| entry.held() == 0);
        self.hosts.ready(host(delivery)) >= bound && self.hosts.taken(host(delivery)) >= bound && is_new()
    }

    /// Begins what may begin, one delivery of each subscription at a time, until `tries` subscriptions in a row may
    /// not.
    pub(super) fn begin_in_turn(&mut self, now: Timestamp, tries: usize) -> Vec<Start> {
        let mut starts = Vec::new();
        let mut in_vain = 0;
        while in_vain < tries.min(self.turns.len()) {
            let Some(id) = self.turns.pop_front() else { break };
            let start = self.begin(id, now);
            let stays = self.entries.get_mut(&id).is_some_and(|entry| {
                entry.queued = entry.takes_turns();
                entry.queued
            });
            if stays {
                self.turns.push_back(id);
            }
            // Whoever leaves the line was none of those who are still in it.
            in_vain = if start.is_some() { 0 } else { in_vain + usize::from(stays) };
            starts.extend(start);
        }
        starts
    }

    /// Begins the next ready delivery of a subscription, if there is one and it may.
    pub(super) fn begin(&mut self, id: SubscriptionId, now: Timestamp) -> Option<Start> {
        self.put_back_late(id, now);
        let load = self.load();
        let entry = self.entries.get_mut(&id)?;
        if entry.in_line || entry.held_until.is_some_and(|until| now < until) {
            return None;
        }
        let host = host(entry.ready.front()?);
        let own = entry.under_way.len();
        let answers = self.hosts.answers(host);
        let claim = Claim { health: entry.health, own, host: self.hosts.taken(host), answers };
        if !self.open || !self.limits.may_begin(load, claim) {
            return None;
        }
        match entry.pace.turn(own, self.limits.per_subscription, now) {
            Turn::Now => {}
            Turn::Full => return None,
            Turn::At(time) => {
                self.hold(id, Some(time));
                return None;
            }
        }
        if !self.receiver_takes_one(id, now) {
            return None;
        }
        self.receiver_began(id, now);
        let number = self.next_number();
        let (abort, registration) = AbortHandle::new_pair();
        let delivery = self.change(id, |entry| {
            let delivery = entry.ready.pop_front()?;
            entry.pace.began(now);
            entry.under_way.push(Flight {
                number,
                bytes: delivery.body.len(),
                host_answers: answers,
                abort,
                recalled: false,
            });
            Some(delivery)
        })??;
        let host = self.hosts.take(self::host(&delivery));
        Some(Start { delivery, registration, seat: Seat { subscription: id, host, number } })
    }

    /// The number of the next attempt or promise.
    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Frees a place. Returns whether its subscription was recalled in the meantime.
    pub(super) fn vacate(&mut self, seat: &Seat) -> bool {
        self.hosts.free(&seat.host);
        let flight = self.change(seat.subscription, |entry| {
            let index = entry.under_way.iter().position(|flight| flight.number == seat.number)?;
            Some(entry.under_way.swap_remove(index))
        });
        let flight = flight.flatten();
        self.bytes -= flight.as_ref().map_or(0, |flight| flight.bytes);
        flight.is_some_and(|flight| flight.recalled)
    }

    /// Whether a subscription might be leased something now.
    pub(super) fn has_room(&self, id: &SubscriptionId, now: Timestamp) -> bool {
        let ahead = self.ahead();
        self.entries.get(id).is_none_or(|entry| self.may_hold(entry, ahead, now) > entry.held())
    }

    /// Whether a subscription should be leased more, if the store has more.
    pub(super) fn runs_low(&self, entry: &Entry, now: Timestamp) -> bool {
        let may_hold = self.may_hold(entry, self.ahead(), now);
        self.limits.runs_low(entry.health, entry.held(), may_hold)
    }

    /// How many deliveries a subscription may hold, so that they can soon begin: well before their leases end.
    pub(super) fn may_hold(&self, entry: &Entry, ahead: usize, now: Timestamp) -> usize {
        let (under_way, most) = (entry.under_way.len(), self.limits.per_subscription);
        let paced = under_way.saturating_add(entry.pace.may_hold(self.soon(), under_way, most, now));
        let share = self.share_of_receiver(entry, now);
        self.limits.may_hold(self.load(), entry.health, ahead).min(paced).min(entry.held().saturating_add(share))
    }

    /// What is likely to begin in this time may be held.
    pub(super) fn soon(&self) -> Duration {
        SOON.min(self.timeout / 2)
    }

    /// What a verdict says about the receiver.
    pub(super) fn learn(&mut self, seat: &Seat, verdict: Verdict) {
        let id = seat.subscription;
        let health = match verdict {
            Verdict::Delivered | Verdict::Refused => Health::Answering,
            Verdict::Retry(_) | Verdict::Failed | Verdict::Pause => Health::Failing,
            Verdict::Release => return,
        };
        self.hosts.heard(&seat.host, health == Health::Answering);
        self.change(id, |entry| entry.health = health);
        self.line_up(id);
        if verdict == Verdict::Pause {
            self.put_back(id);
        }
    }

    /// Changes an entry, and keeps the sums over all entries right.
    pub(super) fn change<T>(&mut self, id: SubscriptionId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&id)?;
        let before = entry.sums();
        let result = change(entry);
        let after = entry.sums();
        if let Some(key) = entry.receiver {
            let sums = &mut self.receivers.of(key).sums;
            *sums -= before;
            *sums += after;
        }
        self.sums -= before;
        self.sums += after;
        if before.under_way != after.under_way {
            self.stats.in_flight(self.sums.under_way);
        }
        Some(result)
    }

    /// How the places are taken.
    pub(super) fn load(&self) -> Load {
        Load { taken: self.sums.under_way, failing: self.sums.failing_under_way, strangers: self.sums.strangers }
    }

    pub(super) fn put_back(&mut self, id: SubscriptionId) {
        let ready = self.change(id, |entry| std::mem::take(&mut entry.ready));
        for delivery in ready.unwrap_or_default() {
            self.no_longer_ready(&delivery);
        }
    }

    /// Puts back what could outlast its lease if it began at `now`. The oldest lease is in front.
    pub(super) fn put_back_late(&mut self, id: SubscriptionId, now: Timestamp) {
        let end = after(now, self.timeout);
        let is_late = |entry: &Entry| entry.ready.front().is_some_and(|delivery| delivery.until < end);
        while self.entries.get(&id).is_some_and(is_late) {
            let late = self.change(id, |entry| entry.ready.pop_front()).flatten();
            late.iter().for_each(|delivery| self.no_longer_ready(delivery));
        }
    }

    fn no_longer_ready(&mut self, delivery: &Leased) {
        self.bytes -= delivery.body.len();
        self.hosts.remove(host(delivery));
        self.release(delivery);
    }

    /// Whether outcomes pile up because the store cannot take them.
    pub(super) fn is_behind(&self) -> bool {
        self.refused || self.unrecorded >= 2 * self.limits.places
    }

    pub(super) fn release(&mut self, delivery: &Leased) {
        self.send(Job::Record(Outcome::of(delivery, None, Verdict::Release)));
    }

    pub(super) fn forget_if_idle(&mut self, id: SubscriptionId) {
        let Some(entry) = self.entries.get(&id).filter(|entry| entry.is_idle() && entry.pace.is_blank()) else {
            return;
        };
        if !entry.receiver.is_some_and(|key| self.receivers.get(key).is_remembered()) {
            self.forget(id);
        }
    }

    /// Forgets a subscription that is idle.
    pub(super) fn forget(&mut self, id: SubscriptionId) {
        self.hold(id, None);
        self.lead_nowhere(id);
        self.entries.remove(&id);
        self.awake.remove(&id);
    }

    pub(super) fn send(&mut self, job: Job) {
        self.unrecorded += usize::from(matches!(job, Job::Record(_)));
        // Fails only when the recorder has ended, after the driver: leases then run out by themselves.
        let _ = self.jobs.send(job);
    }
}
