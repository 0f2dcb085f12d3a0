//! A figure that was measured in several rounds.

/// What each round gave.
#[derive(Debug, Clone)]
pub struct Figure(Vec<f64>);

impl Figure {
    /// Of at least one round.
    pub fn new(rounds: Vec<f64>) -> Self {
        assert!(!rounds.is_empty(), "something was measured");
        Self(rounds)
    }

    /// The middle one; of an even number, the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let mut rounds = self.0.clone();
        rounds.sort_unstable_by(f64::total_cmp);
        f64::midpoint(rounds[(rounds.len() - 1) / 2], rounds[rounds.len() / 2])
    }

    /// The median alone.
    pub fn of_median(&self) -> Self {
        Self(vec![self.median()])
    }

    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Both, by `join`, round by round: what is compared was measured one right after the other.
    pub fn with(&self, other: &Self, join: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| join(*one, *other)).collect())
    }

    /// This in percent of the other.
    pub fn percent_of(&self, other: &Self) -> Self {
        self.with(other, |one, other| 100.0 * one / other)
    }

    /// The median, and how far the rounds lie apart: `2,820 (2,750–2,900)`.
    pub fn text(&self, digits: usize) -> String {
        let [median, min, max] = [self.median(), self.min(), self.max()].map(|figure| number(figure, digits));
        if min == max { median } else { format!("{median} ({min}–{max})") }
    }
}

/// A number as people write it: `12,345.6`.
pub fn number(figure: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", figure.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if figure < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { "−" } else { "" };
    format!("{sign}{grouped}{rest}")
}
