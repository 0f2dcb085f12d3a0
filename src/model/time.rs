//! Time as a parameter: production reads the system's clock, a test moves its own.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use jiff::Timestamp;

/// What time it is, and a way to wait for a later one.
pub trait Clock: Send + Sync {
    /// Now, cut to whole milliseconds: what is kept is what was meant.
    fn now(&self) -> Timestamp;

    /// Completes once `now()` has reached `at`.
    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Somebody waits until `at` who has no need to sleep for that yet, because an earlier sleep will wake it. Only a clock
    /// that is moved by hand, when somebody waits, wants to know.
    fn note_wait(&self, _at: Timestamp) {}
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads the ambient clock
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        from_millis(now.as_millisecond())
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let left = until(self.now(), at);
        Box::pin(tokio::time::sleep(left))
    }
}

/// The time that `millis` milliseconds after 1970 denote; out-of-range values are clamped.
pub fn from_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(if millis < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// `at + by`, or the last representable time.
pub fn after(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// `at - by`, or the first representable time.
pub fn before(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// How long from `now` until `at`; zero when `at` has passed.
pub fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}
