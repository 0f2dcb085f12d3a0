//! Subscriptions that the store passed over, because they had no room, and that it does not meet again for a while: they are
//! called when they have.
//!
//! Those that fail take turns. There may be any number of them, so that only those are looked at that have one.

use std::collections::{BTreeMap, HashMap};

use super::Board;
use super::receivers::Key;
use crate::delivery::limits::Health;
use crate::model::{SubscriptionId, Timestamp};

/// Who waits to be called, by number: whoever waits longest is in front.
#[derive(Default)]
pub(super) struct PassedOver {
    failing: BTreeMap<u64, SubscriptionId>,
    others: BTreeMap<u64, SubscriptionId>,
}

impl PassedOver {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.failing.len() + self.others.len()
    }

    /// Whether anybody waits that fails.
    pub(super) fn has_failing(&self) -> bool {
        !self.failing.is_empty()
    }

    /// Takes out those that wait longest, of those that fail or of the others.
    pub(super) fn take(&mut self, count: usize, failing: bool) -> Vec<SubscriptionId> {
        let line = if failing { &mut self.failing } else { &mut self.others };
        std::iter::from_fn(|| line.pop_first()).take(count).map(|(_, id)| id).collect()
    }

    /// All that wait.
    pub(super) fn all(&self) -> impl Iterator<Item = SubscriptionId> {
        self.others.values().chain(self.failing.values()).copied()
    }

    fn insert(&mut self, number: u64, id: SubscriptionId, health: Health) {
        match health {
            Health::Failing => self.failing.insert(number, id),
            Health::Unknown | Health::Answering => self.others.insert(number, id),
        };
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.failing.remove(&number);
        self.others.remove(&number);
    }
}

impl Board {
    /// Those that were passed over and have room now.
    pub(super) fn call_again(&self, room: &HashMap<SubscriptionId, usize>, now: Timestamp) -> Vec<SubscriptionId> {
        let told = |id: &&SubscriptionId| match (room.get(id), self.entries.get(id)) {
            (Some(room), _) => *room > 0,
            (None, Some(entry)) => self.may_hold(entry, self.ahead_for_shared, now) > entry.held(),
            (None, None) => true,
        };
        let others = self.passed_over.others.values().filter(told);
        let holds_nothing = |id: &&SubscriptionId| self.entries.get(id).is_some_and(|entry| !entry.is_awake());
        let failing = self.passed_over.failing.values().filter(holds_nothing);
        others.chain(failing.take(self.limits.failing_turns(self.load()))).copied().collect()
    }

    /// Has those that were called wait for their receiver again, if it takes nothing more meanwhile.
    pub(super) fn send_back(&mut self, now: Timestamp) {
        let takes_nothing =
            |id: &SubscriptionId| self.entries.get(id).is_some_and(|entry| self.share_of_receiver(entry, now) == 0);
        let called: Vec<_> = self.passed_over.all().filter(takes_nothing).collect();
        called.into_iter().for_each(|id| self.line_up(id));
    }

    /// Takes note of whom the store has passed over; those that were `called` are so no longer.
    pub(super) fn remember_passed_over(&mut self, passed_over: &[SubscriptionId], called: &[SubscriptionId]) {
        for id in called {
            self.forget_passed_over(*id);
        }
        for id in passed_over {
            let number = self.next_number();
            self.entries.entry(*id).or_default().passed_over.get_or_insert(number);
            self.wake(*id);
            self.line_up(*id);
        }
        called.iter().for_each(|id| self.forget_if_idle(*id));
    }

    /// Has a subscription wait where it now belongs, if it waits: one that fails is not called while its pace
    /// holds it back, and of those that share a receiver only as many as there is room for.
    pub(super) fn line_up(&mut self, id: SubscriptionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(number) = entry.passed_over else { return };
        entry.is_called = false;
        let (health, is_held, receiver) = (entry.health, entry.held_until.is_some(), entry.receiver);
        self.leave_all_lines(number, receiver);
        if health == Health::Failing && is_held {
            return;
        }
        match receiver.map(|key| self.receivers.of(key)).filter(|receiver| receiver.is_shared()) {
            Some(receiver) => receiver.passed_over.insert(number, id, health),
            None => self.call(id),
        }
    }

    /// Has a subscription called that was passed over, when it has room.
    pub(super) fn call(&mut self, id: SubscriptionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(number) = entry.passed_over else { return };
        entry.is_called = true;
        self.passed_over.insert(number, id, entry.health);
        self.wake(id);
    }

    fn leave_all_lines(&mut self, number: u64, receiver: Option<Key>) {
        self.passed_over.remove(number);
        if let Some(key) = receiver {
            self.receivers.of(key).passed_over.remove(number);
        }
    }

    fn forget_passed_over(&mut self, id: SubscriptionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let receiver = entry.receiver;
        entry.is_called = false;
        if let Some(number) = entry.passed_over.take() {
            self.leave_all_lines(number, receiver);
        }
    }
}
