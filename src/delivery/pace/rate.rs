//! What a receiver can take, learned from what it refuses: so many requests per second, and so many under way at once.
//!
//! Neither is known at first, and then nothing is limited. The first refusal limits both; which of them the receiver means, later
//! refusals show: if more requests were under way than are needed for what it takes (its rate times its latency), fewer of them
//! lose nothing, so that is tried first; otherwise it is the rate. A cut counts for everything that was under way at the time.

use std::time::Duration;

use super::limit::{CUT, Limit};
use super::tally::Tally;

/// No rate is lower; requests per second.
const LOWEST: f64 = 1.0;

/// A receiver of which nothing is known begins with this; requests per second.
const START: f64 = 50.0;

/// What would be faster than this is not limited any more; requests per second. One gateway does not get there.
const UNLIMITED: f64 = 20_000.0;

/// No refusal leaves less than about this of a rate.
const LEAST: f64 = 0.5;

/// How many requests under way are thought to be the limit, of those at which it was met for the first time.
const GUESS: f64 = 0.83;

/// One refusal after so many answers is forgiven: it happens, and is not worth going slower.
const FORGIVEN: f64 = 256.0;

/// So much may be made up for that could not begin in time, in milliseconds: timers are late.
const BEHIND: f64 = 20.0;

/// What a receiver can take. Times are milliseconds since 1970.
#[derive(Debug, Default)]
pub struct Rate {
    /// Requests per second.
    rate: Option<Limit>,
    /// Requests under way.
    window: Option<Limit>,
    /// When the next may begin.
    next: f64,
    taken: Tally,
    /// What an answer takes, in seconds.
    latency: f64,
    /// Answers since a refusal was last forgiven, in parts of what it takes for the next.
    credit: f64,
}

impl Rate {
    /// One that begins with so many requests under way.
    pub fn beginning_with(at_once: usize, now: f64) -> Self {
        Self { window: Some(Limit::rising(at_once as f64, None, now)), ..Self::default() }
    }

    /// When the next may begin, in whole milliseconds; `None`: now.
    pub fn turn(&mut self, now: f64) -> Option<i64> {
        let rate = self.rate.as_mut()?;
        if self.next > now + 1000.0 / rate.value() {
            // The clock was set back.
            self.next = now;
        }
        if self.next <= now {
            return None;
        }
        rate.hold(now);
        // Where both hold back in turn, each would grow by its share alone, and both stay below what the receiver takes.
        if let Some(window) = &mut self.window {
            window.hold(now);
        }
        Some(self.next.ceil() as i64)
    }

    /// The window is full.
    pub fn is_full(&mut self, now: f64) {
        if let Some(window) = &mut self.window {
            window.hold(now);
            if let Some(rate) = &mut self.rate {
                rate.hold(now);
            }
        }
    }

    /// One has begun.
    pub fn began(&mut self, now: f64) {
        if let Some(window) = &mut self.window {
            window.began(now);
        }
        let Some(rate) = &mut self.rate else { return };
        rate.began(now);
        if rate.value() >= UNLIMITED {
            self.rate = None;
        } else {
            self.next = self.next.max(now - BEHIND) + 1000.0 / rate.value();
        }
    }

    /// One was taken.
    pub fn answered(&mut self, latency: Duration, now: f64) {
        self.taken.count(now);
        self.latency += (latency.as_secs_f64() - self.latency) / 16.0;
        self.credit = (self.credit + 1.0 / FORGIVEN).min(1.0);
    }

    /// One was refused that had begun after the last cut, with so many under way. Returns whether something follows from it.
    pub fn refused(&mut self, under_way: usize, now: f64) -> bool {
        if self.credit >= 1.0 {
            self.credit = 0.0;
            return false;
        }
        let (taken, under_way) = (self.taken.per_second(now), under_way as f64);
        let needed = (taken * self.latency).ceil().max(1.0);
        let first = self.rate.is_none() && self.window.as_ref().is_none_or(Limit::is_rising);
        if under_way > needed {
            self.cut_window(under_way, needed, now);
        }
        if first || under_way <= needed {
            self.cut_rate(taken, now);
        }
        true
    }

    /// The receiver was down, and is to be sent little at first.
    pub fn restart(&mut self, now: f64) {
        let known = |limit: &Option<Limit>| limit.as_ref().and_then(Limit::known);
        self.rate = Some(Limit::rising(START, known(&self.rate), now));
        self.window = Some(Limit::rising(1.0, known(&self.window), now));
        self.next = now;
    }

    /// How many may begin within a time.
    pub fn within(&self, time: Duration) -> usize {
        self.rate.as_ref().map_or(usize::MAX, |rate| (rate.value() * time.as_secs_f64()).ceil() as usize + 1)
    }

    /// Requests that may be under way at once, of `most`.
    pub fn window(&self, most: usize) -> usize {
        self.window.as_ref().map_or(most, |window| (window.value() as usize).clamp(1, most))
    }

    /// Whether requests per second are limited.
    pub fn is_known(&self) -> bool {
        self.rate.is_some()
    }

    fn cut_window(&mut self, under_way: f64, needed: f64, now: f64) {
        self.window = Some(match &self.window {
            Some(window) if !window.is_fresh() => window.cut(under_way, now),
            _ => Limit::refused((GUESS * under_way).max(needed), now),
        });
    }

    fn cut_rate(&mut self, taken: f64, now: f64) {
        self.rate = Some(match &self.rate {
            None => {
                self.next = now;
                Limit::rising((CUT * taken).max(START), None, now)
            }
            Some(rate) if rate.is_in_effect(now) => {
                // What was taken shows the receiver's limit; but less was sent, too, if there were pauses.
                let (most, least) = (rate.value(), LEAST * rate.value());
                rate.cut(taken.clamp(least, most).max(LOWEST), now)
            }
            // It was refused for another reason than that this was too much.
            Some(rate) if rate.is_rising() => Limit::rising((CUT * rate.value()).min(START), rate.known(), now),
            Some(rate) => rate.cut(rate.value().max(LOWEST), now),
        });
    }
}
