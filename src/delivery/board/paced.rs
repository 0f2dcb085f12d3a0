//! Subscriptions whose turn is up to time: their pace holds them back. They do not stand among the turns; a task of the
//! driver's has them go on when it is time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::entry::Entry;
use super::{Board, Next};
use crate::delivery::limits::Health;
use crate::delivery::outcome::Sign;
use crate::delivery::pace::Ended;
use crate::model::time::after;
use crate::model::vitals::HeldBack;
use crate::model::{SubscriptionId, Timestamp};

/// Nobody is held for longer than this; what seems to be was, before the clock was set back.
const LONGEST: Duration = Duration::from_secs(90);

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
        while let Some(id) = self.release_first(now) {
            while let Some(start) = self.begin(id, now) {
                next.starts.push(start);
            }
            let entry = self.entries.get(&id);
            next.lease |=
                entry.is_some_and(|entry| (entry.more || entry.passed_over.is_some()) && entry.ready.is_empty());
            self.forget_if_idle(id);
        }
        next
    }

    /// Those who are sent less than they have due because of their receivers.
    pub fn held_back(&self, now: Timestamp) -> HeldBack {
        let most = self.limits.per_subscription;
        let own_doing = |entry: &Entry| {
            entry.health == Health::Failing || entry.under_way.len() >= most || entry.pace.is_limited(most, now)
        };
        let subscriptions = self.entries.iter().filter(|(_, entry)| own_doing(entry)).map(|(id, _)| *id).collect();
        let hosts = self.hosts.full(self.limits.per_host()).map(str::to_owned).collect();
        HeldBack { subscriptions, hosts }
    }

    /// Holds a subscription back until a time, or no longer.
    pub(super) fn hold(&mut self, id: SubscriptionId, until: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.held_until, until);
        if before == until {
            return;
        }
        if let Some(before) = before {
            self.paced.remove(&(before, id));
        }
        match until {
            Some(until) => {
                self.paced.insert((until, id));
                if self.next_turn() == Some(until) {
                    self.sooner.notify_one();
                }
            }
            None => self.stand_in_turn(id),
        }
        self.line_up(id);
    }

    /// Frees those that are held until a time that is too far away.
    pub(super) fn free_misheld(&mut self, now: Timestamp) {
        while self.paced.last().is_some_and(|(at, _)| *at > after(now, LONGEST)) {
            let Some((_, id)) = self.paced.pop_last() else { return };
            self.hold(id, None);
        }
    }

    /// Holds the first no longer whose time has come.
    fn release_first(&mut self, now: Timestamp) -> Option<SubscriptionId> {
        let (_, id) = self.paced.first().filter(|(at, _)| *at <= now).copied()?;
        self.paced.pop_first();
        self.hold(id, None);
        Some(id)
    }

    /// What the end of an attempt says about the pace of its receiver.
    pub(super) fn adapt(&mut self, id: SubscriptionId, number: u64, under_way: usize, sign: Sign, now: Timestamp) {
        let (latest, most) = (self.numbers, self.limits.per_subscription);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.pace.ended(Ended { number, latest, under_way, sign }, most, now);
        let pause = entry.pace.pause(now);
        self.hold(id, pause);
    }
}
