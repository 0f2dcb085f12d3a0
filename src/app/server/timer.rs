//! hyper's time-outs by the gateway's own clock, so that a test can hold it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::model::time::{after, until};
use crate::model::{Clock, Timestamp};

/// A timer by a clock. hyper counts in `Instant`s: to it, the clock's time passes since `start`.
pub struct ByClock {
    clock: Arc<dyn Clock>,
    origin: Timestamp,
    start: Instant,
}

impl ByClock {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { origin: clock.now(), start: Instant::now(), clock }
    }
}

impl Timer for ByClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let (clock, at) = (self.clock.clone(), after(self.clock.now(), duration));
        Box::pin(Sleeping(Mutex::new(Box::pin(async move { clock.sleep_until(at).await }))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        self.start + until(self.origin, self.clock.now())
    }
}

/// A wait. hyper wants it `Sync`, which the lock gives it; nobody ever waits for that lock.
struct Sleeping(Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Sleep for Sleeping {}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}
