//! Subscriptions that the store passed over, because they had no room, and that it does not meet again for a while: they are
//! called when they have.
//!
//! Those that fail take turns. There may be any number of them, so that only those are looked at that have one.

use std::collections::{BTreeMap, HashMap};

use super::Board;
use crate::delivery::limits::Health;
use crate::model::SubscriptionId;

/// Who waits to be called, by number: whoever waits longest is in front.
#[derive(Default)]
pub(super) struct PassedOver {
    failing: BTreeMap<u64, SubscriptionId>,
    others: BTreeMap<u64, SubscriptionId>,
}

impl PassedOver {
    fn remove(&mut self, number: u64) {
        self.failing.remove(&number);
        self.others.remove(&number);
    }
}

impl Board {
    /// Those that were passed over and have room now.
    pub(super) fn call_again(&self, room: &HashMap<SubscriptionId, usize>) -> Vec<SubscriptionId> {
        let others = self.passed_over.others.values().filter(|id| room.get(id).is_none_or(|room| *room > 0));
        let holds_nothing = |id: &&SubscriptionId| self.entries.get(id).is_some_and(|entry| !entry.is_awake());
        let failing = self.passed_over.failing.values().filter(holds_nothing);
        others.chain(failing.take(self.limits.failing_turns(self.load))).copied().collect()
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

    /// Has a subscription wait where it now belongs, if it waits: one that its pace holds back is not called before it goes on.
    pub(super) fn line_up(&mut self, id: SubscriptionId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let Some(number) = entry.passed_over else { return };
        let (health, is_held) = (entry.health, entry.held_until.is_some());
        self.passed_over.remove(number);
        match health {
            Health::Failing if is_held => None,
            Health::Failing => self.passed_over.failing.insert(number, id),
            Health::Unknown | Health::Answering => self.passed_over.others.insert(number, id),
        };
    }

    fn forget_passed_over(&mut self, id: SubscriptionId) {
        let number = self.entries.get_mut(&id).and_then(|entry| entry.passed_over.take());
        if let Some(number) = number {
            self.passed_over.remove(number);
        }
    }
}
