//! Measuring setups side by side: in turn, several times, and the median counts. So what else the machine does meets
//! all of them, and the ratios hold even where the figures do not.

use crate::progress;
use crate::setup::Setup;

pub struct Rounds {
    pub setups: Vec<Setup>,
    pub count: usize,
}

impl Rounds {
    /// The medians of each figure that `work` takes, one for each setup.
    pub async fn medians<const N: usize>(&self, what: &str, work: impl AsyncFn(Setup) -> [f64; N]) -> [Vec<f64>; N] {
        self.measure(what, self.count, work).await
    }

    /// Each figure that `work` takes, measured once for each setup.
    pub async fn once<const N: usize>(&self, what: &str, work: impl AsyncFn(Setup) -> [f64; N]) -> [Vec<f64>; N] {
        self.measure(what, 1, work).await
    }

    async fn measure<const N: usize>(
        &self,
        what: &str,
        rounds: usize,
        work: impl AsyncFn(Setup) -> [f64; N],
    ) -> [Vec<f64>; N] {
        progress(what);
        let mut figures = vec![Vec::new(); self.setups.len()];
        for round in 1..=rounds {
            for (setup, figures) in self.setups.iter().zip(&mut figures) {
                let taken = work(*setup).await;
                progress(&format!("  {round} of {rounds}, {setup}: {taken:.3?}"));
                figures.push(taken);
            }
        }
        std::array::from_fn(|place| {
            figures.iter().map(|rounds| median(rounds.iter().map(|taken| taken[place]).collect())).collect()
        })
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
    f64::midpoint(low, high)
}
