//! From figures to places on an axis, and which figures are written beside it.

use crate::report::number;

/// An axis.
#[derive(Clone)]
pub struct Scale {
    pub label: &'static str,
    /// Each decade takes the same room.
    log: bool,
    low: f64,
    high: f64,
    /// Figures that are written beside it.
    pub ticks: Vec<f64>,
}

impl Scale {
    /// From zero to a round number that is not below any of the figures.
    pub fn from_zero(label: &'static str, figures: impl IntoIterator<Item = f64>) -> Self {
        let most = figures.into_iter().fold(f64::MIN_POSITIVE, f64::max);
        let magnitude = 10f64.powf((most / 5.0).log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * magnitude).into_iter().find(|step| step * 5.0 >= most);
        let step = step.expect("10 times the magnitude is more");
        let count = (most / step).ceil().max(1.0);
        let ticks = (0..=count as usize).map(|n| n as f64 * step).collect();
        Self { label, log: false, low: 0.0, high: step * count, ticks }
    }

    /// In decades, from the first of these ticks to the last.
    pub fn log(label: &'static str, ticks: &[f64]) -> Self {
        Self { label, log: true, low: ticks[0], high: ticks[ticks.len() - 1], ticks: ticks.to_vec() }
    }

    /// In whole decades around the figures, none of which counts as less than `floor`.
    pub fn decades(label: &'static str, floor: f64, figures: impl IntoIterator<Item = f64>) -> Self {
        let most = figures.into_iter().fold(floor * 10.0, f64::max);
        let (first, last) = (floor.log10().round() as i32, most.log10().ceil() as i32);
        Self::log(label, &(first..=last).map(|power| 10f64.powi(power)).collect::<Vec<_>>())
    }

    /// Where a figure stands: 0 is the beginning, 1 the end.
    pub fn place(&self, figure: f64) -> f64 {
        let place = if self.log {
            (figure.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (figure - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// How a tick is written.
    pub fn text(&self, tick: f64) -> String {
        match tick.abs() {
            0.0 => "0".to_owned(),
            1_000_000.0.. => format!("{} M", number(tick / 1_000_000.0, 0)),
            10.0.. => number(tick, usize::from(tick.fract() > 0.0)),
            _ => {
                let text = number(tick, 3);
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
        }
    }
}
