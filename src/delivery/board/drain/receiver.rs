//! Receivers that take 500 requests per second, each in its own way.

/// What the receivers take each second.
const CAPACITY: f64 = 500.0;

/// What a receiver does with a request.
pub(super) enum Answer {
    /// Takes it; the answer comes after so many milliseconds.
    Took(u64),
    /// 503, after so many milliseconds.
    Refused(u64),
    /// The connection is refused.
    Down,
    /// Nothing, until the time is up.
    Silence,
}

pub(super) trait Receiver {
    /// Answers a request of a subscription, by its number, at a time in milliseconds.
    fn answer(&mut self, subscription: u32, now: u64) -> Answer;
}

/// One to whom all subscriptions are the same.
impl<F: FnMut(u64) -> Answer> Receiver for F {
    fn answer(&mut self, _: u32, now: u64) -> Answer {
        self(now)
    }
}

/// One that tells its subscriptions apart.
pub(super) struct Particular<F>(pub(super) F);

impl<F: FnMut(u32, u64) -> Answer> Receiver for Particular<F> {
    fn answer(&mut self, subscription: u32, now: u64) -> Answer {
        self.0(subscription, now)
    }
}

/// 500 in each second of the clock, and the others are refused.
pub(super) fn by_the_second(latency: u64) -> impl FnMut(u64) -> Answer {
    let (mut second, mut taken) = (0, 0);
    move |now| {
        if now / 1000 != second {
            (second, taken) = (now / 1000, 0);
        }
        taken += 1;
        if taken <= 500 { Answer::Took(latency) } else { Answer::Refused(1) }
    }
}

/// A token bucket of this depth that fills with 500 a second.
pub(super) fn by_tokens(depth: f64, latency: u64) -> impl FnMut(u64) -> Answer {
    let (mut tokens, mut filled) = (depth, 0);
    move |now| {
        tokens = (tokens + (now - filled) as f64 * CAPACITY / 1000.0).min(depth);
        filled = now;
        if tokens < 1.0 {
            return Answer::Refused(1);
        }
        tokens -= 1.0;
        Answer::Took(latency)
    }
}

/// Workers that each take one request at a time, so long that all of them together do 500 a second; nobody waits.
pub(super) fn by_workers(workers: u64) -> impl FnMut(u64) -> Answer {
    let mut busy: Vec<u64> = Vec::new();
    let latency = workers * 2;
    move |now| {
        busy.retain(|end| *end > now);
        if busy.len() as u64 >= workers {
            return Answer::Refused(1);
        }
        busy.push(now + latency);
        Answer::Took(latency)
    }
}

/// One after the other, each as long as `each`; up to `queue` wait, and the others are refused.
pub(super) fn by_queue(each: u64, queue: u64) -> impl FnMut(u64) -> Answer {
    let mut free_at = 0_u64;
    move |now| {
        let waits = free_at.saturating_sub(now);
        if waits > queue * each {
            return Answer::Refused(1);
        }
        free_at = now + waits + each;
        Answer::Took(waits + each)
    }
}
