//! What an answer means (API.md §5).

use std::time::Duration;

use super::schedule::retry_after;
use crate::egress::{Answer, SendError};
use crate::model::Timestamp;

/// What an attempt amounted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// 2xx: delivered.
    Accepted,
    /// 406: the receiver does not want this one; no retry.
    Unwanted,
    /// 410: the receiver is gone; the subscription is paused.
    Gone,
    /// Everything else: to be tried again, by schedule, and not before this wait is over.
    TryAgain(Duration),
}

/// What an attempt says about how much its receiver can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It took the request, whatever it thought of it, after so long.
    Took(Duration),
    /// It has too much to do (429, 503, 504, a time-out), and asked for at least this wait.
    Refused(Duration),
    /// Something is wrong, and less at once would not help.
    Failed,
    /// The attempt was not made, or not to its end.
    Nothing,
}

/// Reads the sign in the result of an attempt that took so long.
pub fn sign_of(result: &Result<Answer, SendError>, meaning: Meaning, duration: Duration) -> Sign {
    match (meaning, result) {
        (Meaning::Accepted | Meaning::Unwanted | Meaning::Gone, _) => Sign::Took(duration),
        (Meaning::TryAgain(wait), Ok(Answer { status: 429 | 503 | 504, .. })) => Sign::Refused(wait),
        (_, Err(SendError::Timeout | SendError::AnswerTimeout { .. } | SendError::ConnectTimeout)) => {
            Sign::Refused(Duration::ZERO)
        }
        (Meaning::TryAgain(_), _) => Sign::Failed,
    }
}

/// Reads the result of an attempt that ended at `now`.
pub fn meaning(result: &Result<Answer, SendError>, now: Timestamp) -> Meaning {
    let Ok(answer) = result else { return Meaning::TryAgain(Duration::ZERO) };
    match answer.status {
        200..=299 => Meaning::Accepted,
        406 => Meaning::Unwanted,
        410 => Meaning::Gone,
        429 | 503 => {
            let asked = answer.retry_after.as_deref().and_then(|header| retry_after(header, now));
            Meaning::TryAgain(asked.unwrap_or_default())
        }
        _ => Meaning::TryAgain(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> Meaning {
        let answer = Answer { status, retry_after: retry_after.map(str::to_owned), excerpt: String::new() };
        meaning(&Ok(answer), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_status_has_its_meaning() {
        let again = Meaning::TryAgain(Duration::ZERO);
        for status in 100..=999 {
            let expected = match status {
                200..=299 => Meaning::Accepted,
                406 => Meaning::Unwanted,
                410 => Meaning::Gone,
                _ => again,
            };
            assert_eq!(of(status, None), expected, "{status}");
        }
    }

    #[test]
    fn retry_after_counts_with_429_and_503_alone() {
        let minute = Meaning::TryAgain(Duration::from_secs(60));
        assert_eq!(of(429, Some("60")), minute);
        assert_eq!(of(503, Some("Thu, 01 Jan 1970 00:01:00 GMT")), minute);
        assert_eq!(of(503, Some("nonsense")), Meaning::TryAgain(Duration::ZERO));
        assert_eq!(of(500, Some("60")), Meaning::TryAgain(Duration::ZERO));
        assert_eq!(of(200, Some("60")), Meaning::Accepted);
    }

    #[test]
    fn a_receiver_that_has_too_much_to_do_says_so_by_429_503_504_and_time_outs() {
        let second = Duration::from_secs(1);
        let of = |result| sign_of(&result, meaning(&result, Timestamp::UNIX_EPOCH), second);
        let answered = |status| of(Ok(Answer { status, retry_after: Some("60".to_owned()), excerpt: String::new() }));
        for status in 100..=999 {
            let expected = match status {
                200..=299 | 406 | 410 => Sign::Took(second),
                429 | 503 => Sign::Refused(Duration::from_secs(60)),
                504 => Sign::Refused(Duration::ZERO),
                _ => Sign::Failed,
            };
            assert_eq!(answered(status), expected, "{status}");
        }
        for error in [SendError::Timeout, SendError::AnswerTimeout { status: 200 }, SendError::ConnectTimeout] {
            assert_eq!(of(Err(error)), Sign::Refused(Duration::ZERO));
        }
        assert_eq!(of(Err(SendError::Refused)), Sign::Failed);
    }

    #[test]
    fn no_answer_means_try_again() {
        for error in [SendError::Timeout, SendError::Forbidden, SendError::Broken { status: 200 }] {
            assert_eq!(meaning(&Err(error), Timestamp::UNIX_EPOCH), Meaning::TryAgain(Duration::ZERO));
        }
    }
}
