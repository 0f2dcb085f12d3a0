//! A clock that stands still until a test moves it.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use leadgate::model::time::after;
use leadgate::model::{Clock, Timestamp};
use tokio::sync::watch;

use super::soon;

/// A clock in a test's hand.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
    awaited: watch::Sender<HashSet<Timestamp>>,
}

impl ManualClock {
    /// A clock that shows an ordinary moment: 2026-01-02T03:04:05Z.
    pub fn new() -> Self {
        Self::at("2026-01-02T03:04:05Z")
    }

    /// A clock that shows `start`.
    pub fn at(start: &str) -> Self {
        Self { now: watch::Sender::new(start.parse().expect("a time")), awaited: watch::Sender::default() }
    }

    /// Moves the clock on. Sleepers whose time has come wake. Returns the new time.
    pub fn advance(&self, by: Duration) -> Timestamp {
        self.now.send_modify(|now| *now = after(*now, by));
        self.now()
    }

    /// Waits until somebody sleeps until exactly `at`.
    pub async fn awaited(&self, at: Timestamp) {
        let mut awaited = self.awaited.subscribe();
        soon("somebody sleeps", awaited.wait_for(|awaited| awaited.contains(&at))).await.expect("the clock lives");
    }

    /// Moves the clock to `at`, if that is later.
    pub fn advance_to(&self, at: Timestamp) {
        self.now.send_modify(|now| *now = at.max(*now));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            self.awaited.send_if_modified(|awaited| awaited.insert(at));
            now.wait_for(|now| *now >= at).await.expect("the clock outlives its sleepers");
        })
    }

    fn note_wait(&self, at: Timestamp) {
        self.awaited.send_if_modified(|awaited| awaited.insert(at));
    }
}
