//! Plots for the page of benchmarks: SVG that is readable on light and on dark pages.

mod bars;
mod lines;
mod scale;
mod svg;

pub use bars::{Bar, Bars};
pub use lines::{Lines, Series};
pub use scale::Scale;

use crate::setup::Setup;

/// A plot that was drawn.
pub struct Plot {
    name: &'static str,
    title: String,
    svg: String,
}

impl Plot {
    /// Its file, below `docs/benchmarks`.
    pub fn file(&self) -> String {
        format!("{}.svg", self.name)
    }

    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// How the page shows it.
    pub fn reference(&self) -> String {
        format!("![{}](benchmarks/{})", self.title, self.file())
    }
}

/// Who or what is drawn: each always in the same colour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Blue,
    Orange,
    Green,
    Violet,
    /// A limit, or what others are compared with.
    Grey,
}

impl Colour {
    /// The setups', in their order.
    pub fn of(setup: Setup) -> Self {
        match setup {
            Setup::Sqlite => Self::Blue,
            Setup::Postgres { nodes: 1 } => Self::Orange,
            Setup::Postgres { nodes: 2 } => Self::Green,
            Setup::Postgres { .. } => Self::Violet,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Orange => "orange",
            Self::Green => "green",
            Self::Violet => "violet",
            Self::Grey => "grey",
        }
    }
}
