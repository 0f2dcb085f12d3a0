//! How fast one receiver is sent to: as fast as it keeps up with, and no faster.
//!
//! A receiver that has never refused anything, and does not get slow, pays next to nothing for this: its [`Pace`] has no limit. The
//! others are held by four means, each pure arithmetic on the times and numbers that it is told:
//!
//! - **The window** ([`latency`]): requests under way at once. It is halved when answers take twice as long as they used to,
//!   and grows by one for each round that does not: what is queued at the receiver stays short.
//! - **What it takes** ([`rate`]): requests per second, since a window of one is already a thousand per second at a receiver that
//!   answers within a millisecond; and requests under way, for one whose own limit is that. Both are unknown until the receiver
//!   refuses (429, 503, 504, a time-out); then they begin below what was taken at that time, and grow by time.
//! - **The distance** ([`latency`]): where an answer takes its time, requests that could begin together begin a millisecond or two
//!   apart. Else they would stay together for ever: answered together, recorded together, and all others behind them.
//! - **The pause**: a receiver that refuses or fails each time is tried less and less often, down to once in
//!   [`LONGEST_PAUSE`]. So its backlog is still waiting when it comes back, instead of being put off for hours; and then it
//!   begins slowly.
//!
//! What was refused or failed itself waits for its retry by the schedule, as API.md §5 says.

mod latency;
mod limit;
mod rate;
mod tally;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::latency::Latency;
use self::rate::Rate;
use super::outcome::Sign;
use crate::model::Timestamp;
use crate::model::time::{after, from_millis};

/// Nothing is learned any more from what happened longer ago than this, once nothing is under way.
pub const LAPSE: Duration = Duration::from_secs(600);

/// The first pause after refusals in a row; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// No pause is longer. A dead receiver is tried 17,280 times a day then: often enough that what it gets each day is still given up
/// by the schedule, rarely enough to cost next to nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A `Retry-After` holds the whole subscription, if nothing else succeeds meanwhile, for no longer than this: it may have been
/// about one delivery alone.
const LONGEST_REQUESTED_PAUSE: Duration = Duration::from_secs(60);

/// After so many refusals one after the other there are pauses.
const REFUSALS: u32 = 2;

/// After so many failures of any kind, one after the other, there are pauses, and the receiver counts as down. A receiver
/// that fails half of the time does not get here.
const FAILURES: u32 = 8;

/// One that has failed for so long, and more than once, counts as down as well.
const OUTAGE: Duration = Duration::from_secs(10);

/// No pause of all that share a receiver is longer: among many that fail there may be one that would not.
const LONGEST_SHARED_PAUSE: Duration = Duration::from_secs(1);

/// How one receiver is doing, as far as it concerns its pace.
#[derive(Debug)]
pub struct Pace {
    /// Failures one after the other; those that were under way together count once.
    misses: u32,
    /// When the first of them was counted.
    failing_since: Option<Timestamp>,
    /// The last refusal was forgiven, and nothing was taken since: so many were under way at it.
    overlooked: Option<usize>,
    /// The number of the last attempt that had begun when a failure was last counted: further ones up to it are the same one.
    noted: u64,
    /// Nothing begins before.
    pause: Option<Timestamp>,
    longest_pause: Duration,
    rate: Rate,
    latency: Latency,
    /// When the last one began.
    began: Option<Timestamp>,
    /// When a limit was last learned.
    learned: Option<Timestamp>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            misses: 0,
            failing_since: None,
            overlooked: None,
            noted: 0,
            pause: None,
            longest_pause: LONGEST_PAUSE,
            rate: Rate::default(),
            latency: Latency::default(),
            began: None,
            learned: None,
        }
    }
}

/// What the pace says to one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It may begin.
    Now,
    /// Not before one that is under way has ended.
    Full,
    /// Not before this time.
    At(Timestamp),
}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Its number: later attempts have larger ones.
    pub number: u64,
    /// The largest number of an attempt so far.
    pub latest: u64,
    /// How many of its subscription were under way with it, itself included.
    pub under_way: usize,
    /// What it says about the receiver.
    pub sign: Sign,
}

impl Pace {
    /// One for a receiver that many share. It begins with so many requests at once; they double each second, as long as the
    /// receiver keeps up. Its pauses are short: each of the many has longer ones of its own.
    pub fn of_many(at_once: usize, now: Timestamp) -> Self {
        let rate = Rate::beginning_with(at_once, millis(now));
        Self { rate, longest_pause: LONGEST_SHARED_PAUSE, ..Self::default() }
    }

    /// Whether one more may begin at `now` beside `under_way` others, where there may be `most` in all.
    pub fn turn(&mut self, under_way: usize, most: usize, now: Timestamp) -> Turn {
        if let Some(until) = self.pause(now) {
            return Turn::At(until);
        }
        if under_way >= self.window(most) {
            self.rate.is_full(millis(now));
            return Turn::Full;
        }
        let turn = match self.rate.turn(millis(now)) {
            None => self.far_enough(under_way, most, now),
            at => at.map(from_millis),
        };
        turn.map_or(Turn::Now, Turn::At)
    }

    /// When one more is far enough from the one before, if it is not now. Those that are limited anyway get no more at once than they
    /// take.
    fn far_enough(&self, under_way: usize, most: usize, now: Timestamp) -> Option<Timestamp> {
        let is_free = under_way > 0 && self.window(most) == most && !self.rate.is_known();
        let began = self.began.filter(|began| is_free && *began <= now)?;
        Some(after(began, self.latency.apart(most))).filter(|at| now < *at)
    }

    /// One more has begun.
    pub fn began(&mut self, now: Timestamp) {
        self.began = Some(now);
        self.rate.began(millis(now));
    }

    /// One has ended.
    pub fn ended(&mut self, ended: Ended, most: usize, now: Timestamp) {
        match ended.sign {
            Sign::Nothing => {}
            Sign::Took(latency) => {
                (self.misses, self.failing_since, self.overlooked) = (0, None, None);
                self.pause = None;
                self.rate.answered(latency, millis(now));
                if self.latency.sample(latency, most, millis(now)) {
                    self.learned = Some(now);
                }
            }
            // It began before the last failure was known: what follows from that one has been done.
            Sign::Refused(wait) if ended.number <= self.noted => self.wait(wait, now),
            Sign::Failed if ended.number <= self.noted => {}
            Sign::Refused(wait) => {
                self.miss(ended, REFUSALS, now);
                self.wait(wait, now);
                // Else nothing was taken since the last cut, so that nothing new is known about how much it can take.
                if self.misses == 1 || self.overlooked.is_some() {
                    let under_way = self.overlooked.take().unwrap_or(0).max(ended.under_way);
                    if self.rate.refused(under_way, millis(now)) {
                        self.learned = Some(now);
                    } else {
                        self.overlooked = Some(under_way);
                    }
                }
            }
            Sign::Failed => self.miss(ended, FAILURES, now),
        }
    }

    /// How many deliveries may be held in memory so that they can begin within `time` from `now`, beside so many that are
    /// `under_way` of `most`.
    pub fn may_hold(&self, time: Duration, under_way: usize, most: usize, now: Timestamp) -> usize {
        if self.pause(now).is_some() {
            return 0;
        }
        if self.misses >= FAILURES {
            return 1;
        }
        self.rate.within(time).min(self.latency.within(time, self.window(most), under_way))
    }

    /// Until when nothing may begin, because the receiver fails each time.
    pub fn pause(&self, now: Timestamp) -> Option<Timestamp> {
        // One that ends later than any was begun before the clock was set back.
        self.pause.filter(|until| now < *until && *until <= after(now, LONGEST_REQUESTED_PAUSE))
    }

    /// Whether the receiver is held at less than it could be sent.
    pub fn is_limited(&self, most: usize, now: Timestamp) -> bool {
        self.pause(now).is_some() || self.window(most) < most || self.rate.is_known()
    }

    /// Whether there is nothing to remember.
    pub fn is_blank(&self) -> bool {
        self.learned.is_none()
    }

    /// Whether what was learned is too old to count.
    pub fn is_outdated(&self, now: Timestamp) -> bool {
        self.learned.is_none_or(|learned| after(learned, LAPSE) < now)
    }

    fn window(&self, most: usize) -> usize {
        self.latency.window(most).min(self.rate.window(most)).max(1)
    }

    /// One that the receiver asked for, unless it takes other things meanwhile.
    fn wait(&mut self, asked: Duration, now: Timestamp) {
        if self.misses > 0 && !asked.is_zero() {
            self.pause = self.pause.max(Some(after(now, asked.min(LONGEST_REQUESTED_PAUSE))));
        }
    }

    fn miss(&mut self, ended: Ended, without_pause: u32, now: Timestamp) {
        self.misses = self.misses.saturating_add(1);
        self.noted = ended.latest;
        let doublings = self.misses.checked_sub(without_pause).map(|doublings| doublings.min(20));
        let pause =
            doublings.map_or(Duration::ZERO, |doublings| FIRST_PAUSE * (1 << doublings)).min(self.longest_pause);
        self.pause = (!pause.is_zero()).then(|| after(now, pause));
        let since = *self.failing_since.get_or_insert(now);
        if self.misses >= FAILURES || (self.misses > 1 && now >= after(since, OUTAGE)) {
            self.rate.restart(millis(now));
            self.learned = Some(now);
        }
    }
}

/// Milliseconds since 1970: the clock has no finer ones, and sums of fractions of them are exact enough as floating-point
/// numbers for any date.
fn millis(now: Timestamp) -> f64 {
    now.as_millisecond() as f64
}
