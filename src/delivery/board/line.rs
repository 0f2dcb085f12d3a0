//! Subscriptions that share a receiver: who leads where, what the receiver says to one more, and whose turn it is when it
//! takes one.

use std::collections::HashSet;

use super::entry::Entry;
use super::paced::Before;
use super::receivers::{COUNTS_ONCE_IN, Key, Seen, sign_for_all};
use super::{Board, Next};
use crate::delivery::outcome::Sign;
use crate::delivery::pace::{Ended, LAPSE, Turn};
use crate::model::delivery::Leased;
use crate::model::time::after;
use crate::model::{SubscriptionId, Timestamp};

impl Board {
    /// Takes note of the receiver that a delivery's subscription leads to.
    pub(super) fn lead_to(&mut self, delivery: &Leased, now: Timestamp) {
        let id = delivery.subscription;
        let known = self.entries.entry(id).or_default().receiver;
        if known.is_some_and(|key| self.receivers.get(key).takes(delivery)) {
            return;
        }
        self.lead_nowhere(id);
        let key = self.receivers.enter(delivery, &self.limits, now);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.receiver = Some(key);
        self.receivers.of(key).sums += entry.sums();
        self.line_up(id);
    }

    /// From now on it is not known where a subscription leads to.
    pub(super) fn lead_nowhere(&mut self, id: SubscriptionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(key) = entry.receiver.take() else { return };
        entry.in_line = false;
        let (sums, number) = (entry.sums(), entry.passed_over);
        let receiver = self.receivers.of(key);
        receiver.sums -= sums;
        number.into_iter().for_each(|number| receiver.passed_over.remove(number));
        let left = self.receivers.leave(key);
        if left == 0 {
            self.hold_receiver(key, None);
            self.receivers.forget(key);
        } else if left == 1 || sums.under_way > 0 {
            // Whoever is left shares it with nobody; or others may have waited for the end of these.
            self.dissolve_line(key);
        }
        self.line_up(id);
    }

    /// Whether the receiver of a subscription takes one more now. If not, the subscription waits in line.
    pub(super) fn receiver_takes_one(&mut self, id: SubscriptionId, now: Timestamp) -> bool {
        let Some(key) = self.shared_receiver_of(id) else { return true };
        let takes_one = self.takes_one(key, now);
        if !takes_one {
            self.wait_in_line(id, key);
        }
        takes_one
    }

    /// One more has begun.
    pub(super) fn receiver_began(&mut self, id: SubscriptionId, now: Timestamp) {
        if let Some(key) = self.shared_receiver_of(id) {
            self.receivers.of(key).pace.began(now);
        }
    }

    /// What the end of an attempt says about a receiver that several subscriptions lead to.
    pub(super) fn adapt_receiver(&mut self, id: SubscriptionId, ended: Ended, before: &Before, now: Timestamp) {
        let Some(key) = self.shared_receiver_of(id) else { return };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let receiver = self.receivers.of(key);
        let counts = entry.refusals_count.is_none_or(|from| from <= now);
        let failing = receiver.sums.failing;
        let sign = sign_for_all(ended.sign, Seen { failed_before: before.failing, counts, failing });
        match (ended.sign, sign) {
            (_, Sign::Refused(_)) => {
                entry.refusals_count = Some(after(now, COUNTS_ONCE_IN));
                receiver.blame(id);
            }
            (Sign::Refused(_), _) if !counts && receiver.is_well() => {
                entry.refusals_count = Some(after(now, LAPSE));
                receiver.acquit(id, &self.limits, now);
            }
            _ => {}
        }
        receiver.count(sign);
        let most = receiver.most(&self.limits);
        receiver.pace.ended(Ended { under_way: before.to_receiver, sign, ..ended }, most, now);
    }

    /// Begins what waits in line for a receiver, one of each subscription at a time, as far as the receiver takes it; and has
    /// more leased for it if it is time to.
    pub(super) fn serve(&mut self, key: Key, now: Timestamp, next: &mut Next) {
        self.receivers.of(key).is_closed = false;
        if self.pauses(key, now) {
            return;
        }
        while let Some(id) = self.first_in_line(key, now) {
            let start = self.begin(id, now);
            if start.is_some() && self.entries.get(&id).is_some_and(|entry| entry.takes_turns()) {
                self.wait_in_line(id, key);
            } else {
                self.stand_in_turn(id);
            }
            next.starts.extend(start);
        }
        next.lease |= self.call_for(key, now);
    }

    /// If the store may have more of a subscription, its receiver takes note of that as well.
    pub(super) fn expect_more(&mut self, id: SubscriptionId) {
        let entry = self.entries.get(&id).filter(|entry| entry.more);
        if let Some(key) = entry.and_then(|entry| entry.receiver) {
            self.receivers.of(key).more = true;
        }
    }

    /// Whether something that was leased could not begin for a long time because of its receiver, and its subscription holds
    /// nothing else.
    pub(super) fn is_turned_away(&self, id: SubscriptionId, now: Timestamp) -> bool {
        let entry = self.entries.get(&id).filter(|entry| entry.held() == 0);
        entry.is_some_and(|entry| self.share_of_receiver(entry, now) == 0)
    }

    /// How many more a subscription may hold for its receiver, of what that can soon take.
    pub(super) fn share_of_receiver(&self, entry: &Entry, now: Timestamp) -> usize {
        let Some(key) = self.shared(entry) else { return usize::MAX };
        let receiver = self.receivers.get(key);
        let all = receiver.sums.holding + receiver.passed_over.len();
        self.room_for_receiver(key, entry.fails(), now).div_ceil(all.max(1))
    }

    /// Takes note that the store is asked for so many of a subscription.
    pub(super) fn ask_for(&mut self, id: SubscriptionId, room: usize) {
        let Some(entry) = self.entries.get(&id) else { return };
        if let Some(key) = self.shared(entry) {
            *self.asked_for.entry((key, entry.fails())).or_default() += room;
        }
    }

    /// Whether a subscription's receiver has others as well: then it says when more is leased.
    pub(super) fn shares_receiver(&self, id: SubscriptionId) -> bool {
        self.shared_receiver_of(id).is_some()
    }

    /// Whether a subscription's receiver has others as well, and takes nothing more now.
    pub(super) fn shares_closed_receiver(&self, id: SubscriptionId) -> bool {
        self.shared_receiver_of(id).is_some_and(|key| self.receivers.get(key).is_closed)
    }

    /// Whether any of these that were passed over could be leased something now.
    pub(super) fn has_room_for_any(&mut self, passed_over: &[SubscriptionId], now: Timestamp) -> bool {
        let shared: HashSet<_> = passed_over.iter().filter_map(|id| self.shared_receiver_of(*id)).collect();
        let mut any = passed_over.iter().any(|id| !self.shares_receiver(*id) && self.has_room(id, now));
        for key in shared {
            any |= !self.receivers.get(key).is_closed && self.call_for(key, now);
        }
        any
    }

    /// Whom a subscription leads to, if that is known.
    pub(super) fn receiver_of(&self, id: SubscriptionId) -> Option<Key> {
        self.entries.get(&id).and_then(|entry| entry.receiver)
    }

    /// The same, if others lead there as well.
    pub(super) fn shared_receiver_of(&self, id: SubscriptionId) -> Option<Key> {
        self.entries.get(&id).and_then(|entry| self.shared(entry))
    }

    pub(super) fn shared(&self, entry: &Entry) -> Option<Key> {
        entry.receiver.filter(|key| self.receivers.get(*key).is_shared())
    }

    fn takes_one(&mut self, key: Key, now: Timestamp) -> bool {
        let receiver = self.receivers.of(key);
        if !receiver.is_shared() {
            return true;
        }
        let most = receiver.most(&self.limits);
        match receiver.pace.turn(receiver.sums.under_way, most, now) {
            Turn::Now => return true,
            Turn::Full => receiver.is_closed = true,
            Turn::At(time) => self.close_until(key, time),
        }
        false
    }

    fn close_until(&mut self, key: Key, time: Timestamp) {
        self.receivers.of(key).is_closed = true;
        self.hold_receiver(key, Some(time));
    }

    /// Whether a shared receiver pauses; then it goes on by itself.
    fn pauses(&mut self, key: Key, now: Timestamp) -> bool {
        let receiver = self.receivers.of(key);
        let pause = receiver.pace.pause(now).filter(|_| receiver.is_shared());
        pause.into_iter().for_each(|until| self.close_until(key, until));
        pause.is_some()
    }

    fn wait_in_line(&mut self, id: SubscriptionId, key: Key) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if !std::mem::replace(&mut entry.in_line, true) {
            self.receivers.of(key).line.stand(id, entry.health);
        }
    }

    /// Whose turn it is, if the receiver takes one more.
    fn first_in_line(&mut self, key: Key, now: Timestamp) -> Option<SubscriptionId> {
        while !self.receivers.of(key).line.is_empty() && self.takes_one(key, now) {
            let id = self.receivers.of(key).line.next()?;
            let entry = self.entries.get_mut(&id).filter(|entry| entry.receiver == Some(key));
            if entry.is_some_and(|entry| std::mem::take(&mut entry.in_line)) {
                return Some(id);
            }
        }
        None
    }

    /// Whoever waited for a receiver takes turns with all others again.
    pub(super) fn dissolve_line(&mut self, key: Key) {
        let receiver = self.receivers.of(key);
        receiver.is_closed = false;
        let (mut line, passed_over) = (std::mem::take(&mut receiver.line), std::mem::take(&mut receiver.passed_over));
        while let Some(id) = line.next() {
            if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.receiver == Some(key)) {
                entry.in_line = false;
            }
            self.stand_in_turn(id);
        }
        passed_over.all().for_each(|id| self.call(id));
    }

    /// Has as many of those called that were passed over as there is room for, if little is held. Returns whether the store should
    /// be asked.
    pub(super) fn call_for(&mut self, key: Key, now: Timestamp) -> bool {
        let mut lease = false;
        if self.pauses(key, now) {
            return false;
        }
        for failing in [false, true] {
            let room = self.room_for_receiver(key, failing, now);
            let receiver = self.receivers.of(key);
            if !receiver.is_shared() || room == 0 || receiver.sums.in_front_of(failing) > room {
                continue;
            }
            let called = receiver.passed_over.take(room, failing);
            let more = std::mem::take(&mut receiver.more);
            // One that is full by itself is called at the end of one of its own.
            let has_room = |id: &SubscriptionId| {
                self.entries.get(id).is_none_or(|entry| self.may_hold(entry, 0, now) > entry.held())
            };
            lease |= more || called.iter().any(has_room);
            called.into_iter().for_each(|id| self.call(id));
        }
        lease
    }

    /// How many more may be held for a receiver, of those that fail or of the others, so that they can soon begin.
    pub(super) fn room_for_receiver(&self, key: Key, failing: bool, now: Timestamp) -> usize {
        let receiver = self.receivers.get(key);
        let (under_way, most) = (receiver.sums.under_way, receiver.most(&self.limits));
        // One that fails every time has not shown how soon that is.
        let soon = if most == 1 { 1 } else { receiver.pace.may_hold(self.soon(), under_way, most, now) };
        let asked = self.asked_for.get(&(key, failing)).copied().unwrap_or_default();
        let room = under_way.saturating_add(soon).saturating_sub(receiver.sums.in_front_of(failing) + asked);
        room.min(self.ahead().max(1))
    }
}
