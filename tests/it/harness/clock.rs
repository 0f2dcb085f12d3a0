//! A clock that a test moves.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use leadgate::model::{Clock, Timestamp, time};
use tokio::sync::watch;

/// Stands still until it is told to go on.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// A clock that shows an ordinary moment: 2026-01-02T03:04:05Z.
    pub fn new() -> Self {
        Self { now: watch::Sender::new(time::from_millis(1_767_323_045_000)) }
    }

    /// Moves it on by `by`; whoever slept until then wakes. Returns the new time.
    pub fn advance(&self, by: Duration) -> Timestamp {
        self.now.send_modify(|now| *now = time::after(*now, by));
        self.now()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            // It cannot fail: the sender is borrowed for as long as this future lives.
            let _ = now.wait_for(|now| *now >= at).await;
        })
    }
}
