//! What is held, in numbers: of one subscription, of all that lead to one receiver, of all.

use std::ops::{AddAssign, SubAssign};

/// Sums over subscriptions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    /// Deliveries that are ready.
    pub(super) ready: usize,
    /// Of these, those of subscriptions that fail; and of those, what their own pace holds back.
    pub(super) failing_ready: usize,
    pub(super) failing_held_back: usize,
    /// Of the others, what their own pace holds back.
    pub(super) held_back: usize,
    /// Rooms promised to what is being committed.
    pub(super) promised: usize,
    /// Requests under way.
    pub(super) under_way: usize,
    /// Of these, those of subscriptions that fail.
    pub(super) failing_under_way: usize,
    /// Of all under way, those to hosts that were not known to answer.
    pub(super) strangers: usize,
    /// Subscriptions that fail.
    pub(super) failing: usize,
    /// Subscriptions that hold anything.
    pub(super) holding: usize,
}

impl Sums {
    /// What is in front of one more delivery of a subscription, by whether it fails: what is under way or promised, and what is ready, except for
    /// those that are held back anyway. Those that fail are in nobody's way who is well.
    pub(super) fn in_front_of(&self, failing: bool) -> usize {
        let stands_back = if failing { self.failing_held_back } else { self.failing_ready };
        self.ready - stands_back - self.held_back + self.promised + self.under_way
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.ready += other.ready;
        self.held_back += other.held_back;
        self.failing_ready += other.failing_ready;
        self.failing_held_back += other.failing_held_back;
        self.promised += other.promised;
        self.under_way += other.under_way;
        self.failing_under_way += other.failing_under_way;
        self.strangers += other.strangers;
        self.failing += other.failing;
        self.holding += other.holding;
    }
}

impl SubAssign for Sums {
    fn sub_assign(&mut self, other: Self) {
        self.ready -= other.ready;
        self.held_back -= other.held_back;
        self.failing_ready -= other.failing_ready;
        self.failing_held_back -= other.failing_held_back;
        self.promised -= other.promised;
        self.under_way -= other.under_way;
        self.failing_under_way -= other.failing_under_way;
        self.strangers -= other.strangers;
        self.failing -= other.failing;
        self.holding -= other.holding;
    }
}
