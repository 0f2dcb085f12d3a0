//! hyper's time-outs by the gateway's own clock, so that a test can hold it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::model::time::{after, until};
use crate::model::{Clock, Timestamp};

/// A timer by a clock, for one connection. hyper counts in `Instant`s: to it, the clock's time passes since `start`.
///
/// hyper begins a wait with each request, and drops it when the request is there, nearly always long before its end. So a
/// wait that was dropped is kept, and the next one goes on with it: it ends earlier than it should, and is then prolonged.
/// Otherwise each request would set an alarm and take it back.
pub struct ByClock {
    clock: Arc<dyn Clock>,
    origin: Timestamp,
    start: Instant,
    kept: Kept,
}

/// A wait that nobody needs at the moment.
type Kept = Arc<Mutex<Option<Wait>>>;

/// A wait that ends at `at`.
struct Wait {
    at: Timestamp,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl ByClock {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { origin: clock.now(), start: Instant::now(), clock, kept: Kept::default() }
    }
}

impl Timer for ByClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let until = after(self.clock.now(), duration);
        let wait = lock(&self.kept).take().filter(|kept| kept.at <= until);
        if wait.is_some() {
            self.clock.note_wait(until);
        }
        Box::pin(Sleeping { clock: self.clock.clone(), until, wait: Mutex::new(wait), kept: self.kept.clone() })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        self.start + until(self.origin, self.clock.now())
    }
}

/// Waits until a time. hyper wants it `Sync`, which the lock gives it; nobody ever waits for that lock.
struct Sleeping {
    clock: Arc<dyn Clock>,
    until: Timestamp,
    wait: Mutex<Option<Wait>>,
    kept: Kept,
}

impl Sleep for Sleeping {}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { clock, until, wait, .. } = &mut *self;
        let wait = wait.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            let current = wait.get_or_insert_with(|| Wait::new(clock.clone(), *until));
            ready!(current.over.as_mut().poll(cx));
            let ended = current.at;
            *wait = None;
            if ended >= *until {
                return Poll::Ready(());
            }
        }
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        *lock(&self.kept) = lock(&self.wait).take();
    }
}

impl Wait {
    fn new(clock: Arc<dyn Clock>, at: Timestamp) -> Self {
        Self { at, over: Box::pin(async move { clock.sleep_until(at).await }) }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
