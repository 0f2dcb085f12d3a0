//! What came to a receiver, in the order in which it came; and whether that was everything, and in order.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::lead::Mark;

/// Nothing is ever that late.
const PATIENCE: Duration = Duration::from_secs(60);

/// A delivery that arrived.
#[derive(Clone, Copy)]
pub struct Arrival {
    /// When its first bytes came.
    pub at: Instant,
    pub message: Uuid,
    pub mark: Mark,
}

#[derive(Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
    enough: Notify,
}

#[derive(Default)]
struct Inner {
    arrivals: Vec<Arrival>,
    /// How many somebody waits for.
    wanted: usize,
    refusals: Vec<Instant>,
}

impl Ledger {
    /// Adds what has just come. Wakes nobody before there is as much as somebody waits for.
    pub fn note(&self, arrival: Arrival) {
        let mut inner = self.inner();
        inner.arrivals.push(arrival);
        if inner.arrivals.len() == inner.wanted {
            self.enough.notify_one();
        }
    }

    /// Adds a request that was refused.
    pub fn refuse(&self, at: Instant) {
        self.inner().refusals.push(at);
    }

    pub fn refusals(&self) -> Vec<Instant> {
        self.inner().refusals.clone()
    }

    /// Waits for the next `count`; fewer if none comes for a minute.
    pub async fn take(&self, count: usize) -> Vec<Arrival> {
        self.inner().wanted = count;
        let mut seen = 0;
        loop {
            let there = self.inner().arrivals.len();
            if there >= count {
                return self.inner().arrivals.drain(..count).collect();
            }
            let woken = tokio::time::timeout(PATIENCE, self.enough.notified()).await;
            if woken.is_err() && there == seen {
                return std::mem::take(&mut self.inner().arrivals);
            }
            seen = there;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no receiver fails")
    }
}

/// What must not be.
#[derive(Clone, Copy)]
pub struct Faults {
    /// Changes that never came.
    pub lost: usize,
    /// Changes that came after a later one of the same lead.
    pub out_of_order: usize,
    /// Messages that came again: allowed, but not without a reason.
    pub repeated: usize,
}

impl Faults {
    /// Of deliveries of `leads` leads, each created and then updated `updates` times.
    pub fn of(arrivals: &[Arrival], leads: usize, updates: u8) -> Self {
        let (mut messages, mut changes) = (HashSet::new(), HashSet::new());
        let mut newest: HashMap<u32, u8> = HashMap::new();
        let mut out_of_order = 0;
        for arrival in arrivals.iter().filter(|arrival| messages.insert(arrival.message)) {
            let newest = newest.entry(arrival.mark.lead).or_default();
            out_of_order += usize::from(arrival.mark.version < *newest);
            *newest = arrival.mark.version.max(*newest);
            changes.insert(arrival.mark);
        }
        let lost = leads * (1 + usize::from(updates)) - changes.len();
        Self { lost, out_of_order, repeated: arrivals.len() - messages.len() }
    }
}
