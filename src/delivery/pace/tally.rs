//! Counts what a receiver took in the last second.

/// The count. Times are milliseconds since 1970.
#[derive(Debug, Default)]
pub struct Tally {
    /// When the second that is being counted began.
    since: f64,
    count: u32,
    /// Of the second before.
    before: u32,
}

impl Tally {
    /// One more.
    pub fn count(&mut self, now: f64) {
        self.turn_to(now);
        self.count = self.count.saturating_add(1);
    }

    /// How many there were in the last second; of what lies a little further back, the share that falls into it.
    pub fn per_second(&mut self, now: f64) -> f64 {
        self.turn_to(now);
        let old = 1.0 - ((now - self.since) / 1000.0).clamp(0.0, 1.0);
        f64::from(self.count) + f64::from(self.before) * old
    }

    fn turn_to(&mut self, now: f64) {
        let passed = now - self.since;
        if passed < 1000.0 {
            return;
        }
        self.before = if passed < 2000.0 { self.count } else { 0 };
        self.since = if passed < 2000.0 { self.since + 1000.0 } else { now };
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_is_counted_within_a_second_or_two() {
        let mut tally = Tally::default();
        for millis in 0..5000 {
            tally.count(f64::from(millis));
        }
        assert_eq!(tally.per_second(5000.0), 1000.0);
        assert_eq!(tally.per_second(5500.0), 500.0);
        assert_eq!(tally.per_second(7000.0), 0.0);
    }

    #[test]
    fn a_burst_counts_as_what_it_is() {
        let mut tally = Tally::default();
        for _ in 0..500 {
            tally.count(1_700_000_000_000.0);
        }
        assert_eq!(tally.per_second(1_700_000_000_010.0), 500.0);
    }
}
