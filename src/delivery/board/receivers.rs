//! Receivers to which several subscriptions lead: a partner often has one URL for all of its sites. What such a receiver
//! can take, its subscriptions share, however many they are; those that have to wait for it stand in a line of its own.
//!
//! Each subscription keeps its own [`Pace`] besides. One site's account may be closed with the partner, or over its quota, while
//! the others are well: a failure counts for the receiver only if another subscription fails as well, a refusal of one that was well
//! once a minute, and those that are well get every other turn.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use slab::Slab;

use super::passed_over::PassedOver;
use super::sums::Sums;
use crate::delivery::limits::{Health, Limits};
use crate::delivery::outcome::Sign;
use crate::delivery::pace::Pace;
use crate::model::delivery::Leased;
use crate::model::{PartnerId, SubscriptionId, Timestamp};

/// A receiver of which nothing is known is sent as much at once as so many subscriptions may have.
const AT_ONCE: usize = 4;

/// All receivers that subscriptions are known to lead to.
#[derive(Default)]
pub(super) struct Receivers {
    keys: HashMap<Name, Key>,
    all: Slab<Receiver>,
}

/// Stands for a receiver, for as long as a subscription is known to lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(usize);

/// A receiver is a partner's: what others send to the same URL says nothing about this one's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    partner: PartnerId,
    url: String,
}

/// One receiver.
pub(super) struct Receiver {
    name: Name,
    /// Known subscriptions that lead to it.
    pub(super) subscriptions: usize,
    /// What they hold.
    pub(super) sums: Sums,
    /// What it takes of all of them. As long as there is only one, that one's own pace says it all.
    pub(super) pace: Pace,
    /// Until when its pace holds all of them back.
    pub(super) held_until: Option<Timestamp>,
    /// Whether it took nothing more when it was last asked.
    pub(super) is_closed: bool,
    /// Those that wait for it with something ready. Some may wait no longer.
    pub(super) line: Line,
    /// Those that the store passed over.
    pub(super) passed_over: PassedOver,
    /// Attempts that failed since the last one that did not.
    in_vain: usize,
    /// Subscriptions whose refusals have counted for all, and that were not refused again soon after while others were not.
    refused: HashSet<SubscriptionId>,
    /// How many were.
    acquitted: usize,
    /// Whether the store may have more for it.
    pub(super) more: bool,
}

/// What an attempt's end is seen against, where several share a receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Whether the subscription had failed before.
    pub(super) failed_before: bool,
    /// Whether a refusal of it may count for all.
    pub(super) counts: bool,
    /// Subscriptions that fail now, this one included.
    pub(super) failing: usize,
}

/// Who waits for a receiver.
#[derive(Default)]
pub(super) struct Line {
    failing: VecDeque<SubscriptionId>,
    others: VecDeque<SubscriptionId>,
    /// Whose turn it is, where both wait.
    failing_is_next: bool,
}

impl Line {
    /// One more, at the end of those that do likewise.
    pub(super) fn stand(&mut self, id: SubscriptionId, health: Health) {
        let line = if health == Health::Failing { &mut self.failing } else { &mut self.others };
        line.push_back(id);
    }

    /// Takes out whose turn it is.
    pub(super) fn next(&mut self) -> Option<SubscriptionId> {
        let failing_first = self.failing_is_next;
        self.failing_is_next = !failing_first;
        let (first, second) = (&mut self.others, &mut self.failing);
        let (first, second) = if failing_first { (second, first) } else { (first, second) };
        first.pop_front().or_else(|| second.pop_front())
    }

    /// Whether somebody stands here.
    #[cfg(test)]
    pub(super) fn has(&self, id: SubscriptionId) -> bool {
        self.failing.contains(&id) || self.others.contains(&id)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.failing.is_empty() && self.others.is_empty()
    }
}

impl Receivers {
    /// The key of the receiver that a delivery goes to, which one more subscription leads to. One that nobody has heard of is sent
    /// no more at once than a few subscriptions may have, and then more.
    pub(super) fn enter(&mut self, delivery: &Leased, limits: &Limits, now: Timestamp) -> Key {
        let name = Name { partner: delivery.partner, url: delivery.url.as_str().to_owned() };
        let new = |name: &Name| Receiver::new(name.clone(), pace_of_many(limits, now));
        let key = *self.keys.entry(name).or_insert_with_key(|name| Key(self.all.insert(new(name))));
        self.of(key).subscriptions += 1;
        key
    }

    /// One subscription fewer leads to it. Returns how many are left; if none is, it must be forgotten.
    pub(super) fn leave(&mut self, key: Key) -> usize {
        let receiver = self.of(key);
        receiver.subscriptions -= 1;
        receiver.subscriptions
    }

    /// Nothing leads to it any more.
    pub(super) fn forget(&mut self, key: Key) {
        let receiver = self.all.remove(key.0);
        self.keys.remove(&receiver.name);
    }

    /// The receiver. A subscription that leads to it holds the key, so that it is there.
    pub(super) fn of(&mut self, key: Key) -> &mut Receiver {
        &mut self.all[key.0]
    }

    /// The receiver, to look at.
    pub(super) fn get(&self, key: Key) -> &Receiver {
        &self.all[key.0]
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether none is known.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.keys.is_empty()
    }
}

impl Receiver {
    fn new(name: Name, pace: Pace) -> Self {
        Self {
            name,
            subscriptions: 0,
            sums: Sums::default(),
            pace,
            held_until: None,
            is_closed: false,
            line: Line::default(),
            passed_over: PassedOver::default(),
            in_vain: 0,
            refused: HashSet::new(),
            acquitted: 0,
            more: false,
        }
    }

    /// Whether a delivery goes to it.
    pub(super) fn takes(&self, delivery: &Leased) -> bool {
        self.name.partner == delivery.partner && self.name.url == delivery.url.as_str()
    }

    /// Whether more than one subscription leads to it.
    pub(super) fn is_shared(&self) -> bool {
        self.subscriptions > 1
    }

    /// Whether something was learned about it that must not be forgotten.
    pub(super) fn is_remembered(&self) -> bool {
        self.is_shared() && !self.pace.is_blank()
    }

    /// Whether nothing follows any more from what was learned about it.
    pub(super) fn is_outdated(&self, now: Timestamp) -> bool {
        !self.is_shared() || self.pace.is_outdated(now)
    }

    /// Requests that may be under way to it at once. One that fails every time is tried with one at a time.
    pub(super) fn most(&self, limits: &Limits) -> usize {
        if self.in_vain >= limits.per_subscription {
            return 1;
        }
        limits.per_subscription.saturating_mul(self.subscriptions).min(limits.per_host())
    }

    /// A subscription was refused, for the first time in a while.
    pub(super) fn blame(&mut self, id: SubscriptionId) {
        self.refused.insert(id);
    }

    /// Whether the last one that anybody sent was taken.
    pub(super) fn is_well(&self) -> bool {
        self.in_vain == 0
    }

    /// It was refused again soon after, while the receiver was well: so that is this one's own trouble. If it was so with half of all
    /// whose refusals counted, what was learned from them is forgotten.
    pub(super) fn acquit(&mut self, id: SubscriptionId, limits: &Limits, now: Timestamp) {
        if !self.refused.remove(&id) {
            return;
        }
        self.acquitted += 1;
        if self.acquitted >= self.refused.len() {
            (self.pace, self.acquitted) = (pace_of_many(limits, now), 0);
            self.refused.clear();
        }
    }

    /// Takes note of what an attempt's end says.
    pub(super) fn count(&mut self, sign: Sign) {
        match sign {
            Sign::Took(_) => self.in_vain = 0,
            Sign::Refused(_) | Sign::Failed => self.in_vain = self.in_vain.saturating_add(1),
            Sign::Nothing => {}
        }
    }
}

fn pace_of_many(limits: &Limits, now: Timestamp) -> Pace {
    Pace::of_many(limits.per_subscription.saturating_mul(AT_ONCE), now)
}

/// A subscription's refusals count for all that share its receiver once in so long, and if it is refused again in that time, no more for
/// ten minutes: who is refused each few seconds has a quota of its own.
pub(super) const COUNTS_ONCE_IN: Duration = Duration::from_secs(60);

/// What an answer to one of several subscriptions says about their receiver.
pub(super) fn sign_for_all(sign: Sign, seen: Seen) -> Sign {
    match sign {
        // It is this one's trouble, as far as is known.
        Sign::Refused(_) | Sign::Failed if seen.failing < 2 => Sign::Nothing,
        // How much it takes is shown by those that were well.
        Sign::Refused(_) if seen.failed_before => Sign::Failed,
        Sign::Refused(_) if !seen.counts => Sign::Nothing,
        // A wait may have been meant for this one alone; it keeps to it.
        Sign::Refused(_) => Sign::Refused(Duration::ZERO),
        other => other,
    }
}
