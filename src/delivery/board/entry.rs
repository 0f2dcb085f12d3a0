//! What the board knows of one subscription.

use std::collections::VecDeque;

use futures_util::future::AbortHandle;

use super::receivers::Key;
use super::sums::Sums;
use crate::delivery::limits::Health;
use crate::delivery::pace::Pace;
use crate::model::Timestamp;
use crate::model::delivery::Leased;

/// One subscription that holds something, is known to fail, or has a pace of its own.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) health: Health,
    pub(super) pace: Pace,
    /// Whom it leads to, if that is known.
    pub(super) receiver: Option<Key>,
    /// Whether it waits in its receiver's line.
    pub(super) in_line: bool,
    /// Until when its pace holds it back; it waits in `paced`.
    pub(super) held_until: Option<Timestamp>,
    pub(super) ready: VecDeque<Leased>,
    pub(super) under_way: Vec<Flight>,
    /// Rooms for deliveries that are being committed. One that was recalled is no longer here.
    pub(super) promised: Vec<Promise>,
    /// Whether it waits in `turns`.
    pub(super) queued: bool,
    /// Whether the store may have more of it.
    pub(super) more: bool,
    /// Whether it was said since the store was last asked that there is no space for it: see [`super::Board::space_for`] and
    /// [`super::Board::space_of_unlisted`].
    pub(super) expects: bool,
    /// That the store passed it over: its number among those who wait to be called.
    pub(super) passed_over: Option<u64>,
    /// Whether it is called as soon as it has room; else it waits for its receiver, or for the end of its pause.
    pub(super) is_called: bool,
    /// From when on a refusal of it counts for all that share its receiver.
    pub(super) refusals_count: Option<Timestamp>,
}

pub(super) struct Flight {
    pub(super) number: u64,
    /// Bytes of its body.
    pub(super) bytes: usize,
    /// Whether its host was known to answer when it began.
    pub(super) host_answers: bool,
    pub(super) abort: AbortHandle,
    pub(super) recalled: bool,
}

/// Room for a delivery that is being committed.
#[derive(Clone, Copy)]
pub(super) struct Promise {
    pub(super) number: u64,
    /// Bytes of its body.
    pub(super) bytes: usize,
}

impl Entry {
    pub(super) fn fails(&self) -> bool {
        self.health == Health::Failing
    }

    pub(super) fn held(&self) -> usize {
        self.ready.len() + self.under_way.len() + self.promised.len()
    }

    /// What it adds to the sums.
    pub(super) fn sums(&self) -> Sums {
        let fails = usize::from(self.fails());
        let held_back = if self.held_until.is_some() { self.ready.len() } else { 0 };
        Sums {
            ready: self.ready.len(),
            failing_ready: fails * self.ready.len(),
            failing_held_back: fails * held_back,
            held_back: (1 - fails) * held_back,
            promised: self.promised.len(),
            under_way: self.under_way.len(),
            failing_under_way: fails * self.under_way.len(),
            strangers: self.under_way.iter().filter(|flight| !flight.host_answers).count(),
            failing: fails,
            holding: usize::from(self.held() > 0),
        }
    }

    /// Whether something is ready that only waits for a place.
    pub(super) fn takes_turns(&self) -> bool {
        !self.ready.is_empty() && self.held_until.is_none() && !self.in_line
    }

    /// Whether it has to be looked at for each lease. There may be any number of receivers that are dead, or were and left a
    /// pace behind, and most of them hold nothing at any time: these sleep.
    pub(super) fn is_awake(&self) -> bool {
        self.held() > 0 || (!self.fails() && (self.more || self.is_called || self.held_until.is_some()))
    }

    /// Whether forgetting it loses nothing but its pace.
    pub(super) fn is_idle(&self) -> bool {
        self.held() == 0 && !self.fails() && !self.waits()
    }

    /// Whether it is to be leased something, as far as is known.
    pub(super) fn waits(&self) -> bool {
        self.more || self.passed_over.is_some()
    }
}
