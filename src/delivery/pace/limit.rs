//! A limit that was learned, of requests per second or of requests under way: how it grows while it holds something back, and
//! what a refusal leaves of it.
//!
//! It *rises* as long as it is not known where the receiver's own limit lies: twice as high each second. From the refusal on that
//! shows it, it is *steady*: a tenth lower at first, then it grows fast towards where it was refused, slowly around that, and
//! faster again beyond it, in case the receiver can take more now. That is the shape of CUBIC (RFC 9438); linear growth would be
//! below what can be taken for longer, and beyond it more often. If it is refused at the same height again, that is tested half as
//! often.

/// What a refusal leaves of a limit.
pub const CUT: f64 = 0.9;

/// How long a cut limit takes to grow back: the first time, and at most. Seconds.
const PERIOD: (f64, f64) = (8.0, 32.0);

/// Limits that differ by less are the same.
const SAME: f64 = 0.15;

/// Whether a limit is in effect counts for so long; milliseconds.
const RECENT: f64 = 1000.0;

/// A limit. Times are milliseconds since 1970.
#[derive(Debug)]
pub struct Limit {
    course: Course,
    /// Seconds during which it held something back since it was last cut.
    age: f64,
    /// When the last request began.
    last: f64,
    /// When it last held something back.
    held: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Course {
    /// From here up to what is known to be taken.
    Rising { from: f64, known: f64 },
    /// Around the height at which it was last refused; it takes `period` seconds to grow back to it.
    Steady { top: f64, period: f64 },
}

impl Limit {
    /// One that rises, up to what is `known` to be taken, or without end.
    pub fn rising(from: f64, known: Option<f64>, now: f64) -> Self {
        let known = known.unwrap_or(f64::INFINITY);
        Self::new(Course::Rising { from: from.min(known), known }, now)
    }

    /// One that was refused at this height.
    pub fn refused(top: f64, now: f64) -> Self {
        Self::new(Course::Steady { top, period: PERIOD.0 }, now)
    }

    fn new(course: Course, now: f64) -> Self {
        Self { course, age: 0.0, last: now, held: None }
    }

    /// The limit now.
    pub fn value(&self) -> f64 {
        match self.course {
            Course::Rising { from, known } => (from * self.age.exp2()).min(known),
            Course::Steady { top, period } => top * growth(self.age / period),
        }
    }

    /// What the receiver is known to take, if that is known.
    pub fn known(&self) -> Option<f64> {
        match self.course {
            Course::Rising { known, .. } => Some(known).filter(|known| known.is_finite()),
            Course::Steady { top, .. } => Some(CUT * top),
        }
    }

    /// Whether it is not known yet where the receiver's limit lies.
    pub fn is_rising(&self) -> bool {
        matches!(self.course, Course::Rising { .. })
    }

    /// Whether it was cut just now, and could not show yet whether that was enough.
    pub fn is_fresh(&self) -> bool {
        self.age < 1.0
    }

    /// It holds something back.
    pub fn hold(&mut self, now: f64) {
        self.held = Some(now);
    }

    /// Whether it held something back recently, so that it is what the receiver was met with.
    pub fn is_in_effect(&self, now: f64) -> bool {
        self.held.is_some_and(|held| now - held <= RECENT)
    }

    /// A request begins: it grows older if it has held something back, since what is not made use of shows nothing.
    pub fn began(&mut self, now: f64) {
        if self.held.is_some_and(|held| held >= self.last) {
            self.age += ((now - self.last) / 1000.0).clamp(0.0, 1.0);
        }
        self.last = now;
        if let Course::Rising { known, .. } = self.course
            && self.value() >= known
        {
            (self.course, self.age) = (Course::Steady { top: known / CUT, period: PERIOD.0 }, 0.0);
        }
    }

    /// What is left of it after a refusal at this height.
    pub fn cut(&self, height: f64, now: f64) -> Self {
        let period = match self.course {
            Course::Steady { top, period } if (height / top - 1.0).abs() < SAME => (2.0 * period).min(PERIOD.1),
            _ => PERIOD.0,
        };
        Self::new(Course::Steady { top: height, period }, now)
    }
}

/// What is had of the top after so many periods: [`CUT`] at first, all of it after one, more later.
fn growth(periods: f64) -> f64 {
    1.0 + (1.0 - CUT) * (periods - 1.0).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values at the end of each second during which it holds something back.
    fn seconds(limit: &mut Limit, seconds: u32) -> Vec<f64> {
        let mut values = Vec::new();
        for millis in 1..=seconds * 1000 {
            let now = limit.last + 1.0;
            limit.hold(limit.last);
            limit.began(now);
            if millis % 1000 == 0 {
                values.push(limit.value().round());
            }
        }
        values
    }

    #[test]
    fn what_is_not_known_doubles_each_second() {
        let mut limit = Limit::rising(50.0, None, 0.0);
        assert_eq!(seconds(&mut limit, 5), [100.0, 200.0, 400.0, 800.0, 1600.0]);
    }

    #[test]
    fn what_is_known_is_reached_and_then_tested_slowly() {
        let mut limit = Limit::rising(50.0, Some(450.0), 0.0);
        let values = seconds(&mut limit, 13);
        assert_eq!(values[..3], [100.0, 200.0, 400.0]);
        assert!(values[3..].windows(2).all(|pair| pair[0] <= pair[1]), "{values:?}");
        assert!(values[3] >= 450.0 && values[12] < 505.0, "{values:?}");
    }

    #[test]
    fn a_cut_limit_grows_back_and_beyond() {
        let mut limit = Limit::refused(1000.0, 0.0);
        assert_eq!(limit.value(), 900.0);
        let values = seconds(&mut limit, 24);
        assert_eq!((values[5], values[7], values[15]), (998.0, 1000.0, 1100.0));
        assert!(values[23] > 1500.0);
    }

    #[test]
    fn the_same_limit_is_tested_less_and_less_often() {
        let mut limit = Limit::refused(1000.0, 0.0);
        for period in [16, 32, 32] {
            limit = limit.cut(1010.0, limit.last);
            assert_eq!(seconds(&mut limit, period)[period as usize - 1], 1010.0);
        }
        limit = limit.cut(700.0, limit.last);
        assert_eq!(seconds(&mut limit, 8)[7], 700.0);
    }

    #[test]
    fn what_holds_nothing_back_does_not_grow() {
        let mut limit = Limit::rising(50.0, None, 0.0);
        (1..100).for_each(|second| limit.began(f64::from(second) * 1000.0));
        assert_eq!(limit.value(), 50.0);
    }
}
