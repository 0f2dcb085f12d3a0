//! Room that is promised to deliveries while they are committed: see [`crate::store::Courier`].

use super::entry::{Entry, Promise};
use super::{Board, Start};
use crate::delivery::limits::Health;
use crate::model::delivery::{Leased, Space};
use crate::model::{SubscriptionId, Timestamp};

impl Board {
    /// Promises room for one more delivery, with a body of so many bytes, if it could be leased just as well. The number must
    /// be given to [`Board::keep`] or [`Board::withdraw`].
    pub fn promise(&mut self, id: SubscriptionId, bytes: usize, now: Timestamp) -> Option<u64> {
        let fits = self.bytes.saturating_add(self.asked).saturating_add(bytes) <= self.limits.memory;
        if !self.open || !fits || self.limits.free(self.load()) == 0 || self.is_behind() {
            return None;
        }
        if !self.entries.get(&id).is_none_or(|entry| self.is_its_turn(entry)) || !self.has_room(&id, now) {
            return None;
        }
        let number = self.next_number();
        self.entries.entry(id).or_default();
        self.change(id, |entry| entry.promised.push(Promise { number, bytes }));
        self.wake(id);
        self.bytes += bytes;
        Some(number)
    }

    /// Whether nothing older waits for a turn. Only those that fail take turns; the rest have room or have not.
    fn is_its_turn(&self, entry: &Entry) -> bool {
        // All that is promised counts, whoever it is promised to: it is rarely much.
        let ahead = self.sums.failing_ready + self.sums.promised;
        let has_turn = || self.limits.failing_turns(self.load()) > ahead;
        !entry.fails() || (!entry.waits() && !self.passed_over.has_failing() && has_turn())
    }

    /// Whether there is space for what falls due and waits in the store. If there is none, it is leased as soon as there is,
    /// without a signal: by what follows from the end of an attempt, or of a pause.
    pub fn space_for(&mut self, id: SubscriptionId, now: Timestamp) -> Space {
        let has_room = self.has_room(&id, now);
        let is_closed = self.shares_closed_receiver(id);
        let Some(entry) = self.entries.get_mut(&id).filter(|_| self.open) else { return Space::For(1) };
        let space = match entry.health {
            Health::Failing if is_closed || entry.held_until.is_some() || !entry.under_way.is_empty() => Space::Down,
            Health::Unknown | Health::Answering if is_closed || (!has_room && !entry.under_way.is_empty()) => {
                Space::Full
            }
            _ => Space::For(1),
        };
        if let Space::For(_) = space {
            // So it is also given room ahead.
            entry.more |= entry.held() > 0;
        } else {
            (entry.more, entry.expects) = (true, true);
            self.expect_more(id);
        }
        space
    }

    /// Takes in the delivery to which room was promised, now that it is committed. It begins if it may.
    pub fn keep(&mut self, number: u64, delivery: Leased, now: Timestamp) -> Option<Start> {
        let id = delivery.subscription;
        let stands = self.take_back(id, number);
        if !stands || !self.open {
            self.release(&delivery);
            self.forget_if_idle(id);
            return None;
        }
        self.lead_to(&delivery, now);
        self.make_ready(delivery);
        self.begin(id, now)
    }

    /// The delivery was not committed.
    pub fn withdraw(&mut self, id: SubscriptionId, number: u64) {
        self.take_back(id, number);
        self.forget_if_idle(id);
    }

    /// Whether room is promised to anything.
    pub fn has_promised(&self) -> bool {
        self.sums.promised > 0
    }

    /// What is being committed for a subscription may have been written before it was recalled.
    pub(super) fn break_promises(&mut self, id: SubscriptionId) {
        let promised = self.change(id, |entry| std::mem::take(&mut entry.promised));
        promised.unwrap_or_default().into_iter().for_each(|promise| self.count_out(promise));
    }

    /// How many more deliveries may be held ready, in all.
    pub(super) fn ahead(&self) -> usize {
        self.limits.places.saturating_sub(self.sums.ready + self.sums.promised)
    }

    /// Whether the promise still stood.
    fn take_back(&mut self, id: SubscriptionId, number: u64) -> bool {
        let promise = self.change(id, |entry| {
            let index = entry.promised.iter().position(|promise| promise.number == number)?;
            Some(entry.promised.swap_remove(index))
        });
        promise.flatten().is_some_and(|promise| {
            self.count_out(promise);
            true
        })
    }

    fn count_out(&mut self, promise: Promise) {
        self.bytes -= promise.bytes;
    }
}
