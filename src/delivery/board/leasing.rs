//! Asking the store for more: what there is room for, what is said of those that the request does not list, and what becomes of
//! what comes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::entry::Entry;
use super::{Board, Next};
use crate::delivery::limits::Health;
use crate::model::delivery::{LeaseBatch, LeaseRequest, Leased, Space, Unlisted};
use crate::model::time::after;
use crate::model::{LeaseToken, SubscriptionId, Timestamp};

/// What was learned about receivers is looked through for what is outdated this often; and so often it is
/// looked past those who wait for a crowded host.
pub(super) const NOW_AND_THEN: Duration = Duration::from_secs(1);

impl Board {
    /// What to ask the store for; `None` if there is no room. The request says nothing yet of those who are asleep. After a
    /// request, [`Board::accept`] must follow, if the store answers.
    pub fn plan(&mut self, now: Timestamp, lease: LeaseToken, until: Timestamp) -> Option<LeaseRequest> {
        self.recalled.clear();
        self.forget_asked();
        if self.limits.free(self.load()) == 0 || self.is_behind() || self.bytes >= self.limits.memory {
            // Somebody may be waiting: ask as soon as there is room.
            self.more = true;
            return None;
        }
        let now_and_then = now >= after(self.looked, NOW_AND_THEN) || now < self.looked;
        if now_and_then {
            self.looked = now;
            self.forget_outdated(now);
        }
        let mut ahead = self.ahead();
        let blocked = self.hosts.blocked(self.limits.per_host());
        let (newcomers, per_subscription) = self.limits.newcomers(self.load(), blocked, now_and_then);
        let mut limit = newcomers;
        self.forget_sleepers();
        let mut busy = HashMap::with_capacity(self.awake.len());
        let (mut shared, mut to_be_asked) = (HashSet::new(), Vec::new());
        for id in &self.awake {
            let entry = &self.entries[id];
            if let Some(key) = self.shared(entry) {
                shared.insert(key);
                to_be_asked.push(*id);
                continue;
            }
            // What may be held ahead is for those that have a backlog: most only have something on its way.
            let own_ahead = if entry.waits() { ahead } else { 0 };
            let room = self.may_hold(entry, own_ahead, now).saturating_sub(entry.held());
            if entry.health == Health::Answering {
                ahead -= own_ahead.min(room);
                limit += room;
            }
            busy.insert(*id, room);
        }
        self.to_be_asked = to_be_asked;
        self.ahead_for_shared = ahead;
        limit += shared.into_iter().map(|key| self.room_for_receiver(key, false, now).min(ahead)).sum::<usize>();
        if limit == 0 {
            self.more = true;
            return None;
        }
        self.send_back(now);
        let again = self.call_again(&busy, now);
        self.being_asked = busy.iter().filter(|(_, room)| **room > 0).map(|(id, _)| *id).collect();
        self.more = false;
        // The other half is for what is promised room meanwhile.
        let memory = (self.limits.memory - self.bytes).div_ceil(2);
        self.asked = memory;
        // The store takes hold of so many before it sees how large they are.
        let limit = limit.min(2 * (memory / self.usual_bytes.max(1)) + 1);
        Some(LeaseRequest {
            now,
            lease,
            until,
            limit,
            memory,
            per_subscription,
            busy,
            unlisted: Unlisted::default(),
            again,
        })
    }

    /// Forgets the paces from which nothing follows any more.
    fn forget_outdated(&mut self, now: Timestamp) {
        let is_outdated = |key| self.receivers.get(key).is_outdated(now);
        let outdated = self.entries.iter().filter(|(_, entry)| {
            entry.is_idle()
                && entry.held_until.is_none()
                && entry.pace.is_outdated(now)
                && entry.receiver.is_none_or(is_outdated)
        });
        let outdated: Vec<_> = outdated.map(|(id, _)| *id).collect();
        outdated.into_iter().for_each(|id| self.forget(id));
    }

    /// Keeps only those awake that are, and what they wait for is asked for now.
    fn forget_sleepers(&mut self) {
        self.awake.retain(|id| {
            self.entries.get_mut(id).is_some_and(|entry| {
                entry.expects = false;
                entry.is_awake()
            })
        });
    }

    /// How much there is space for of a subscription that the request does not list: it is asleep, or shares its receiver with
    /// others. `None` if nothing is known of it.
    pub fn space_of_unlisted(&mut self, id: SubscriptionId, now: Timestamp) -> Option<Space> {
        let entry = self.entries.get(&id)?;
        // Nor would another node's requests fare better, where the receiver takes no more.
        let is_down = entry.fails() || self.share_of_receiver(entry, now) == 0;
        let ahead = if self.shares_receiver(id) { self.ahead_for_shared } else { 0 };
        let room = self.may_hold(entry, ahead, now).saturating_sub(entry.held());
        self.ahead_for_shared -= ahead.min(room);
        self.ask_for(id, room);
        if room == 0 {
            self.without_room.insert(id);
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.expects |= !is_down;
            }
        }
        Some(match room {
            0 if is_down => Space::Down,
            0 => Space::Full,
            room => Space::For(room),
        })
    }

    fn forget_asked(&mut self) {
        self.asked = 0;
        self.asked_for.clear();
        self.to_be_asked.clear();
        self.being_asked.clear();
        self.without_room.clear();
    }

    /// Takes in what the store leased for `asked`, as things stand `now`: while it was asked, attempts and pauses may have ended.
    pub fn accept(&mut self, batch: LeaseBatch, asked: &LeaseRequest, now: Timestamp) -> Next {
        let LeaseBatch { deliveries, have_more, passed_over, cut_short, next_due: _ } = batch;
        let (to_be_asked, without_room) =
            (std::mem::take(&mut self.to_be_asked), std::mem::take(&mut self.without_room));
        self.forget_asked();
        self.more = cut_short || deliveries.len() >= asked.limit;
        let held = self.bytes;
        let bytes: usize = deliveries.iter().map(|delivery| delivery.body.len()).sum();
        self.usual_bytes = bytes.checked_div(deliveries.len()).unwrap_or(self.usual_bytes);
        let mut concerned: HashSet<_> = asked.busy.keys().chain(&have_more).copied().collect();
        for delivery in deliveries {
            concerned.insert(delivery.subscription);
            self.take_in(delivery, now);
        }
        self.remember_passed_over(&passed_over, &asked.again);
        for id in to_be_asked.into_iter().filter(|id| !concerned.contains(id)) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.more = entry.expects;
            }
            self.forget_if_idle(id);
        }
        let mut low = false;
        for id in concerned {
            let has_more = have_more.contains(&id);
            self.note_more(id, has_more);
            let had_no_room = asked.busy.get(&id) == Some(&0) || without_room.contains(&id);
            low |= has_more && self.lacks(id, had_no_room, now);
            self.forget_if_idle(id);
        }
        // Where there is no memory for more than was just put back, asking again would bring the same.
        let again = self.more && (!cut_short || (held < self.bytes && self.bytes < self.limits.memory));
        let starts = self.begin_in_turn(now, usize::MAX);
        // What has ended since the store was asked may have made room.
        let room = self.has_room_for_any(&passed_over, now);
        Next { lease: (again || low || room) && self.limits.free(self.load()) > 0, starts }
    }

    /// Takes in one delivery that was leased, or puts it back.
    fn take_in(&mut self, delivery: Leased, now: Timestamp) {
        let id = delivery.subscription;
        if self.recalled.contains(&id) || !self.open || self.is_crowded_out(&delivery) {
            return self.release(&delivery);
        }
        let was_known = self.receiver_of(id).is_some();
        self.lead_to(&delivery, now);
        if !was_known && self.is_turned_away(id, now) {
            self.release(&delivery);
        } else {
            self.make_ready(delivery);
        }
    }

    /// Takes note of whether the store has more of a subscription. If it did not get to the end, it is as before.
    fn note_more(&mut self, id: SubscriptionId, has_more: bool) {
        let shares = self.shares_receiver(id);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.more = has_more || entry.expects || shares || (self.more && entry.more);
        self.expect_more(id);
        // Also one that slept, and was put back at once.
        self.wake(id);
    }

    /// Whether more of a subscription should be leased at once, because of what has ended since the store was asked: it has room and
    /// had none, or holds little of what it was given.
    fn lacks(&self, id: SubscriptionId, had_no_room: bool, now: Timestamp) -> bool {
        let entry = self.entries.get(&id);
        if had_no_room {
            return entry.is_none_or(|entry| self.may_hold(entry, 0, now) > entry.held());
        }
        // One that holds nothing was given nothing, or what it was given was put back.
        let is_held = |entry: &&Entry| entry.held() > 0 && !self.shares_receiver(id);
        entry.filter(is_held).is_some_and(|entry| self.runs_low(entry, now))
    }
}
