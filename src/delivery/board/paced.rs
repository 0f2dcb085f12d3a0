//! Subscriptions and receivers whose turn is up to time: their pace holds them back. They do not stand among the turns; a task
//! of the driver's has them go on when it is time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::entry::Entry;
use super::receivers::Key;
use super::{Board, Next, Seat};
use crate::delivery::outcome::Sign;
use crate::delivery::pace::Ended;
use crate::model::time::after;
use crate::model::vitals::HeldBack;
use crate::model::{SubscriptionId, Timestamp};

/// Nobody is held for longer than this; what seems to be was, before the clock was set back.
const LONGEST: Duration = Duration::from_secs(90);

/// What an attempt's end must be seen against.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Before {
    /// Requests of the subscription that were under way, this one included.
    pub(super) under_way: usize,
    /// Requests that were under way to its receiver.
    pub(super) to_receiver: usize,
    /// Whether the subscription had failed before.
    pub(super) failing: bool,
}

/// Who is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held {
    /// One subscription, by its own pace.
    Subscription(SubscriptionId),
    /// All that lead to one receiver.
    Receiver(Key),
}

impl Board {
    /// Told when somebody is to go on sooner than anybody before.
    pub fn sooner(&self) -> Arc<Notify> {
        self.sooner.clone()
    }

    /// When the first of those that are held back goes on.
    pub fn next_turn(&self) -> Option<Timestamp> {
        self.paced.first().map(|(at, _)| *at)
    }

    /// Those whose time has come go on.
    pub fn go_on(&mut self, now: Timestamp) -> Next {
        let mut next = Next::default();
        while let Some(held) = self.release_first(now) {
            match held {
                Held::Subscription(id) => self.go_on_with(id, now, &mut next),
                Held::Receiver(key) => self.serve(key, now, &mut next),
            }
        }
        next
    }

    fn go_on_with(&mut self, id: SubscriptionId, now: Timestamp, next: &mut Next) {
        while let Some(start) = self.begin(id, now) {
            next.starts.push(start);
        }
        let has_nothing = |entry: &&Entry| entry.waits() && entry.ready.is_empty();
        next.lease |= match self.shared_receiver_of(id) {
            Some(key) => self.call_for(key, now),
            None => self.entries.get(&id).filter(has_nothing).is_some(),
        };
        self.forget_if_idle(id);
    }

    /// Those who are sent less than they have due because of their receivers.
    pub fn held_back(&self, now: Timestamp) -> HeldBack {
        let most = self.limits.per_subscription;
        let is_limited = |key: Key| {
            let receiver = self.receivers.get(key);
            receiver.is_shared() && receiver.pace.is_limited(receiver.most(&self.limits), now)
        };
        let own_doing = |entry: &Entry| {
            entry.fails()
                || entry.under_way.len() >= most
                || entry.pace.is_limited(most, now)
                || entry.receiver.is_some_and(is_limited)
        };
        let subscriptions = self.entries.iter().filter(|(_, entry)| own_doing(entry)).map(|(id, _)| *id).collect();
        let hosts = self.hosts.full(self.limits.per_host()).map(str::to_owned).collect();
        HeldBack { subscriptions, hosts }
    }

    /// Holds a subscription back until a time, or no longer.
    pub(super) fn hold(&mut self, id: SubscriptionId, until: Option<Timestamp>) {
        let before = self.change(id, |entry| std::mem::replace(&mut entry.held_until, until));
        let Some(before) = before else { return };
        if before == until {
            return;
        }
        self.note(Held::Subscription(id), before, until);
        if until.is_none() {
            self.stand_in_turn(id);
        }
        self.line_up(id);
    }

    /// Holds all back that lead to a receiver, or no longer.
    pub(super) fn hold_receiver(&mut self, key: Key, until: Option<Timestamp>) {
        let before = std::mem::replace(&mut self.receivers.of(key).held_until, until);
        self.note(Held::Receiver(key), before, until);
    }

    fn note(&mut self, who: Held, before: Option<Timestamp>, until: Option<Timestamp>) {
        if let Some(before) = before {
            self.paced.remove(&(before, who));
        }
        if let Some(until) = until {
            self.paced.insert((until, who));
            if self.next_turn() == Some(until) {
                self.sooner.notify_one();
            }
        }
    }

    /// Frees those that are held until a time that is too far away.
    pub(super) fn free_misheld(&mut self, now: Timestamp) {
        while self.paced.last().is_some_and(|(at, _)| *at > after(now, LONGEST)) {
            let Some((_, held)) = self.paced.pop_last() else { return };
            match held {
                Held::Subscription(id) => self.hold(id, None),
                Held::Receiver(key) => {
                    self.hold_receiver(key, None);
                    self.dissolve_line(key);
                }
            }
        }
    }

    /// Holds the first no longer whose time has come.
    fn release_first(&mut self, now: Timestamp) -> Option<Held> {
        let (_, held) = self.paced.first().filter(|(at, _)| *at <= now).copied()?;
        self.paced.pop_first();
        match held {
            Held::Subscription(id) => self.hold(id, None),
            Held::Receiver(key) => self.hold_receiver(key, None),
        }
        Some(held)
    }

    /// What the end of an attempt says about the pace of its receiver.
    pub(super) fn adapt(&mut self, seat: &Seat, before: &Before, sign: Sign, now: Timestamp) {
        let (latest, most) = (self.numbers, self.limits.per_subscription);
        let Some(entry) = self.entries.get_mut(&seat.subscription) else { return };
        let ended = Ended { number: seat.number, latest, under_way: before.under_way, sign };
        entry.pace.ended(ended, most, now);
        let pause = entry.pace.pause(now);
        self.hold(seat.subscription, pause);
        self.adapt_receiver(seat.subscription, ended, before, now);
    }

    /// How things stand before a place is given back.
    pub(super) fn before_the_end(&self, id: SubscriptionId) -> Before {
        let Some(entry) = self.entries.get(&id) else { return Before::default() };
        Before {
            under_way: entry.under_way.len(),
            to_receiver: entry.receiver.map_or(0, |key| self.receivers.get(key).sums.under_way),
            failing: entry.fails(),
        }
    }
}
