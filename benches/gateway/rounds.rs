//! Measuring setups side by side: in turn, several times. So what else the machine does meets all of them, and the ratios
//! hold even where the figures do not.

use crate::progress;
use crate::report::Figure;
use crate::setup::Setup;

pub struct Rounds {
    pub setups: Vec<Setup>,
    pub count: usize,
    /// Whether there is time for the large counts.
    pub full: bool,
}

impl Rounds {
    /// Each figure that `work` takes, one for each setup.
    pub async fn measure<const N: usize>(&self, what: &str, work: impl AsyncFn(Setup) -> [f64; N]) -> [Vec<Figure>; N] {
        let told = async |setup| {
            let taken = work(setup).await;
            progress(&format!("    {taken:.3?}"));
            taken
        };
        let taken = self.each(what, told).await;
        std::array::from_fn(|place| {
            taken.iter().map(|rounds| Figure::new(rounds.iter().map(|taken| taken[place]).collect())).collect()
        })
    }

    /// Whatever `work` takes, one list for each setup, with one for each round.
    pub async fn each<T>(&self, what: &str, work: impl AsyncFn(Setup) -> T) -> Vec<Vec<T>> {
        progress(what);
        let mut all: Vec<_> = self.setups.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.count {
            for (setup, all) in self.setups.iter().zip(&mut all) {
                progress(&format!("  {round} of {}, {setup}", self.count));
                all.push(work(*setup).await);
            }
        }
        all
    }
}
