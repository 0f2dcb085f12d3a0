//! The window by latency: requests under way at once, as far as the receiver answers them no slower than before.
//!
//! Twice the former latency means that for each request that is worked on another one waits: then the window is halved, and what
//! waited is gone. So a receiver that can take no more is kept busy with a short queue, and the halved window shows anew what
//! its latency is without one. Rounds and majorities, because a single slow answer means nothing.

use std::time::Duration;

/// Answers that a round has at least.
const ROUND: usize = 16;

/// Latency below which no queue is worth shortening: milliseconds. Smaller differences are noise, for the most part our own.
const FLOOR: f64 = 250.0;

/// How long a latency counts as what the receiver can do, at least; at most twice as long. Milliseconds.
const GENERATION: f64 = 30_000.0;

/// A window of requests is spread over this share of the time that an answer takes: far enough to be apart, and the receiver is
/// still kept busy. Only where that is a millisecond for each.
const SPREAD: f64 = 0.8;

/// And only after so many rounds in which answers got no slower: before, it is more important to find out what it takes.
const STEADY: usize = 64;

/// No two requests are kept further apart than this, in milliseconds: it serves its purpose.
const LONGEST_APART: f64 = 2.0;

/// A window that follows the latency.
#[derive(Debug, Default)]
pub struct Latency {
    /// `None`: as large as may be.
    limit: Option<usize>,
    round: Round,
    /// Rounds since answers last got slower.
    steady: usize,
    /// The lowest mean of a round, in this generation and the one before; milliseconds.
    low: Option<f64>,
    lower: Option<f64>,
    /// When this generation began; milliseconds.
    since: f64,
}

#[derive(Debug, Default)]
struct Round {
    answers: usize,
    /// Answers that took twice as long as they used to.
    slow: usize,
    /// Milliseconds in all.
    sum: f64,
}

impl Latency {
    /// Requests that may be under way at once, of `most`.
    pub fn window(&self, most: usize) -> usize {
        self.limit.map_or(most, |limit| limit.min(most))
    }

    /// An answer has come, after `latency`. Returns whether the window was made smaller.
    pub fn sample(&mut self, latency: Duration, most: usize, now: f64) -> bool {
        let latency = latency.as_secs_f64() * 1000.0;
        let usual = self.usual();
        self.round.answers += 1;
        self.round.sum += latency;
        self.round.slow += usize::from(usual.is_some_and(|usual| latency > FLOOR && latency > 2.0 * usual));
        if self.round.answers < ROUND.max(self.window(most)) {
            return false;
        }
        let round = std::mem::take(&mut self.round);
        let slower = 2 * round.slow > round.answers;
        self.adapt(slower, most);
        self.remember(&round, now);
        slower
    }

    /// How many may begin within a time, with this window and so many under way: those for which there is room, or so many rounds
    /// of answers.
    pub fn within(&self, time: Duration, window: usize, under_way: usize) -> usize {
        // An answer that comes at once makes it infinitely many.
        let rounds = self.usual().map_or(f64::INFINITY, |usual| time.as_secs_f64() * 1000.0 / usual);
        window.saturating_sub(under_way).max((rounds * window as f64).ceil() as usize)
    }

    /// How far apart requests begin at least, with this window.
    pub fn apart(&self, window: usize) -> Duration {
        let usual = self.usual().filter(|_| self.steady >= STEADY);
        let apart = usual.map_or(0.0, |usual| (SPREAD * usual / window as f64).min(LONGEST_APART));
        // The clock counts whole milliseconds.
        Duration::from_millis(apart as u64)
    }

    fn adapt(&mut self, slower: bool, most: usize) {
        self.steady = if slower { 0 } else { self.steady.saturating_add(1) };
        let window = self.window(most);
        let next = if slower { (window / 2).max(1) } else { window + 1 };
        self.limit = (next < most).then_some(next);
    }

    /// Where the halved window is no faster, it is halved again until one is left. A round of that shows the latency without any
    /// queue, and the next generation goes by it: so a receiver that has become slower for good gets its window back.
    fn remember(&mut self, round: &Round, now: f64) {
        if now < self.since || now - self.since >= GENERATION {
            self.lower = self.low.take().filter(|_| (now - self.since).abs() < 2.0 * GENERATION);
            self.since = now;
        }
        let mean = round.sum / round.answers as f64;
        self.low = Some(self.low.map_or(mean, |low| low.min(mean)));
    }

    /// What answers used to take.
    fn usual(&self) -> Option<f64> {
        match (self.low, self.lower) {
            (Some(low), Some(lower)) => Some(low.min(lower)),
            (low, lower) => low.or(lower),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16;

    /// Answers of rounds, at this latency, as often as rounds of `window` fit into `seconds`.
    fn go_on(latency: &mut Latency, now: &mut f64, seconds: f64, takes: impl Fn(usize) -> f64) {
        let end = *now + seconds * 1000.0;
        while *now < end {
            let window = latency.window(MOST);
            let millis = takes(window);
            *now += millis;
            for _ in 0..window {
                latency.sample(Duration::from_secs_f64(millis / 1000.0), MOST, *now);
            }
        }
    }

    #[test]
    fn a_steady_latency_leaves_the_window_alone_however_long_it_is() {
        for millis in [0.5, 1.0, 50.0, 500.0, 10_000.0] {
            let (mut latency, mut now) = (Latency::default(), 0.0);
            go_on(&mut latency, &mut now, 600.0, |_| millis);
            assert_eq!(latency.window(MOST), MOST, "{millis} ms");
        }
    }

    #[test]
    fn a_receiver_whose_answers_queue_up_is_sent_less_at_once_but_kept_busy() {
        let (mut latency, mut now) = (Latency::default(), 0.0);
        // It works on four at a time, half a second each; what is beyond waits. At first it has nothing else to do.
        go_on(&mut latency, &mut now, 20.0, |_| 500.0);
        for _ in 0..200 {
            go_on(&mut latency, &mut now, 1.0, |window| 500.0 * (window as f64 / 4.0).max(1.0));
            assert!((4..=16).contains(&latency.window(MOST)), "{latency:?}");
        }
        let mut windows = Vec::new();
        for _ in 0..100 {
            go_on(&mut latency, &mut now, 1.0, |window| 500.0 * (window as f64 / 4.0).max(1.0));
            windows.push(latency.window(MOST));
        }
        assert!(windows.iter().sum::<usize>() / windows.len() <= 9, "{windows:?}");
    }

    #[test]
    fn a_receiver_that_has_become_slower_for_good_gets_its_window_back() {
        let (mut latency, mut now) = (Latency::default(), 0.0);
        go_on(&mut latency, &mut now, 60.0, |_| 20.0);
        go_on(&mut latency, &mut now, 10.0, |_| 400.0);
        assert!(latency.window(MOST) < 8, "{latency:?}");
        go_on(&mut latency, &mut now, 180.0, |_| 400.0);
        assert_eq!(latency.window(MOST), MOST);
    }

    #[test]
    fn only_those_that_take_their_time_are_sent_to_one_after_the_other() {
        for (millis, apart) in [(1.0, 0), (19.0, 0), (20.0, 1), (50.0, 2), (5_000.0, 2)] {
            let (mut latency, mut now) = (Latency::default(), 0.0);
            assert_eq!(latency.apart(MOST), Duration::ZERO, "nothing is known yet");
            go_on(&mut latency, &mut now, STEADY as f64 * millis / 1000.0, |_| millis);
            assert_eq!(latency.apart(MOST), Duration::from_millis(apart), "{millis} ms");
        }
    }

    #[test]
    fn single_slow_answers_mean_nothing() {
        let mut latency = Latency::default();
        for number in 0..10_000_u32 {
            let millis = if number % 3 == 0 { 4000 } else { 20 };
            latency.sample(Duration::from_millis(millis), MOST, f64::from(number) * 10.0);
            assert_eq!(latency.window(MOST), MOST);
        }
    }
}
