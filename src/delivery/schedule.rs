//! When a failed delivery is tried again, and when it is given up (API.md §5).

use std::time::Duration;

use crate::model::delivery::Verdict;
use crate::model::time::after;
use crate::model::{Entropy, Timestamp};

/// A `Retry-After` is obeyed up to this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How a delivery goes on whose attempt number `made` (from 1) has just failed: after the schedule's next wait, give or
/// take 10 %, but not before `at_least` is over; or not at all.
pub fn after_failure(
    waits: &[Duration],
    made: u32,
    at_least: Duration,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Verdict {
    let wait = usize::try_from(made).ok().and_then(|made| waits.get(made.checked_sub(1)?));
    match wait {
        Some(wait) => Verdict::Retry(after(now, jittered(*wait, entropy).max(at_least))),
        None => Verdict::Failed,
    }
}

/// `wait` ± 10 %, so that what failed together does not come back together.
fn jittered(wait: Duration, entropy: &dyn Entropy) -> Duration {
    let random = f64::from(u32::from_le_bytes(entropy.bytes())) / f64::from(u32::MAX);
    wait.mul_f64(0.9 + 0.2 * random)
}

/// How long a `Retry-After` header (RFC 9110 §10.2.3: seconds, or a date) asks to wait, at most [`MAX_RETRY_AFTER`];
/// `None` if it says nothing that can be understood.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let asked = if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // More seconds than fit into a number are more than the maximum.
        Duration::from_secs(header.parse().unwrap_or(u64::MAX))
    } else {
        let date = Timestamp::try_from(httpdate::parse_http_date(header).ok()?).ok()?;
        crate::model::time::until(now, date)
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Policy;

    /// Draws the same byte for ever.
    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn wait(made: u32, at_least: u64, draw: u8) -> Option<Duration> {
        let waits = Policy::default().retry_schedule;
        match after_failure(&waits, made, Duration::from_secs(at_least), now(), &Fixed(draw)) {
            Verdict::Retry(at) => Some(crate::model::time::until(now(), at)),
            Verdict::Failed => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn twelve_attempts_with_growing_waits() {
        let seconds = [30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400];
        for (made, seconds) in (1..).zip(seconds) {
            assert_eq!(wait(made, 0, 0), Some(Duration::from_secs(seconds).mul_f64(0.9)), "attempt {made}");
            assert_eq!(wait(made, 0, 255), Some(Duration::from_secs(seconds).mul_f64(1.1)), "attempt {made}");
        }
        assert_eq!(wait(12, 0, 0), None);
        assert_eq!(wait(u32::MAX, 0, 0), None);
    }

    #[test]
    fn a_wait_that_the_receiver_asked_for_is_a_minimum() {
        assert_eq!(wait(1, 100, 0), Some(Duration::from_secs(100)));
        assert_eq!(wait(1, 5, 0), Some(Duration::from_secs(27)));
        assert_eq!(wait(12, 100, 0), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_a_day() {
        let seconds = |header| retry_after(header, now()).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("86401"), Some(86400));
        assert_eq!(seconds("99999999999999999999999"), Some(86400));
        assert_eq!(seconds("Sun, 01 Mar 2026 12:01:00 GMT"), Some(60));
        assert_eq!(seconds("Sunday, 01-Mar-26 12:01:00 GMT"), Some(60));
        assert_eq!(seconds("Sun, 01 Mar 2026 11:59:00 GMT"), Some(0));
        assert_eq!(seconds("Fri, 01 Mar 2030 12:00:00 GMT"), Some(86400));
        for nonsense in ["", "-1", "1.5", "soon", "12 s", "2026-03-01T12:00:00Z"] {
            assert_eq!(seconds(nonsense), None, "{nonsense:?}");
        }
    }
}
