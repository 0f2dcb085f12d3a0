//! What the gateway must reach on two cores that it shares with database, callers and receiver; and whether it does.

use super::figure::{Figure, number};
use crate::setup::{Engine, Setup};

/// A bound of one figure.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};

/// Something to reach.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    Rate,
    Cpu,
    Latency,
    AgainstRawLoop,
    Depth,
    Order,
    MemoryAtRest,
    MemoryUnderLoad,
    MemoryWithAMillion,
    Subscriptions,
    Neighbours,
    Unruly,
    Recovery,
}

/// In the order of the table.
pub const GOALS: [Goal; 13] = [
    Goal::Rate,
    Goal::Cpu,
    Goal::Latency,
    Goal::AgainstRawLoop,
    Goal::Depth,
    Goal::Order,
    Goal::MemoryAtRest,
    Goal::MemoryUnderLoad,
    Goal::MemoryWithAMillion,
    Goal::Subscriptions,
    Goal::Neighbours,
    Goal::Unruly,
    Goal::Recovery,
];

impl Goal {
    /// What is measured, and the digits behind the point.
    fn what(self) -> (&'static str, usize) {
        match self {
            Self::Rate => ("created and delivered per second, 32 callers", 0),
            Self::Cpu => ("CPU seconds per 1,000 of these, gateway and database together", 3),
            Self::Latency => ("accepted to receiver at 200 per second, p50; p99, ms", 1),
            Self::AgainstRawLoop => ("deliveries per second against the raw loop, %", 0),
            Self::Depth => ("rate with 10^6 waiting against 10^3, %", 0),
            Self::Order => ("out of order within a lead; lost", 0),
            Self::MemoryAtRest => ("memory at rest, MiB", 0),
            Self::MemoryUnderLoad => ("memory under full load, MiB", 0),
            Self::MemoryWithAMillion => ("memory with a million waiting, MiB", 0),
            Self::Subscriptions => ("rate with 100,000 subscriptions against one, %", 0),
            Self::Neighbours => ("how much the worst neighbour moves the others' p99, %", 0),
            Self::Unruly => ("how much dead and slow ones in a crowd move the others' p99, %", 0),
            Self::Recovery => ("a receiver's recovery: time against the optimum; refused, %", 2),
        }
    }

    /// One for each figure of it.
    fn bounds(self, engine: Engine) -> Vec<Bound> {
        match (self, engine) {
            (Self::Rate, Engine::Sqlite) => vec![AtLeast(6000.0)],
            (Self::Rate, Engine::Postgres) => vec![AtLeast(3000.0)],
            (Self::Cpu, Engine::Sqlite) => vec![AtMost(0.25)],
            (Self::Cpu, Engine::Postgres) => vec![AtMost(0.7)],
            (Self::Latency, Engine::Sqlite) => vec![AtMost(2.0), AtMost(8.0)],
            (Self::Latency, Engine::Postgres) => vec![AtMost(3.0), AtMost(9.0)],
            (Self::AgainstRawLoop, Engine::Sqlite) => vec![AtLeast(60.0)],
            (Self::AgainstRawLoop, Engine::Postgres) => vec![AtLeast(35.0)],
            (Self::Depth | Self::Subscriptions, _) => vec![AtLeast(90.0)],
            (Self::Order, _) => vec![AtMost(0.0), AtMost(0.0)],
            (Self::MemoryAtRest, _) => vec![AtMost(30.0)],
            (Self::MemoryUnderLoad, _) => vec![AtMost(150.0)],
            (Self::MemoryWithAMillion, _) => vec![AtMost(200.0)],
            (Self::Neighbours | Self::Unruly, _) => vec![AtMost(10.0)],
            (Self::Recovery, _) => vec![AtMost(1.2), AtMost(1.0)],
        }
    }
}

impl Bound {
    fn is_met(self, figure: f64) -> bool {
        match self {
            AtLeast(bound) => figure >= bound,
            AtMost(bound) => figure <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            AtMost(0.0) => "0".to_owned(),
            AtLeast(bound) => format!("≥ {}", number(bound, 0)),
            AtMost(bound) => {
                format!("≤ {}", number(bound, usize::from(bound.fract() > 0.0) + usize::from(bound < 1.0)))
            }
        }
    }
}

/// What one setup reached: a figure for each bound.
pub struct Reached {
    pub goal: Goal,
    pub setup: Setup,
    pub figures: Vec<Figure>,
}

/// The whole table: asked, measured and reached, for each setup.
pub fn table(setups: &[Setup], reached: &[Reached]) -> String {
    let mut text = String::from("| |");
    for setup in setups {
        text += &format!(" {setup}: asked | measured | reached |");
    }
    text += &format!("\n|---|{}\n", "---:|---:|:---:|".repeat(setups.len()));
    for goal in GOALS {
        text += &format!("| {} |", goal.what().0);
        for setup in setups {
            let found = reached.iter().find(|reached| reached.goal == goal && reached.setup == *setup);
            text += &cells(goal, *setup, found);
        }
        text.push('\n');
    }
    text
}

fn cells(goal: Goal, setup: Setup, reached: Option<&Reached>) -> String {
    let bounds = goal.bounds(setup.engine());
    let asked = bounds.iter().map(|bound| bound.text()).collect::<Vec<_>>().join("; ");
    let Some(reached) = reached else { return format!(" {asked} | – | – |") };
    let medians: Vec<_> = reached.figures.iter().map(Figure::median).collect();
    let digits = goal.what().1;
    let measured = medians.iter().map(|figure| number(*figure, digits)).collect::<Vec<_>>().join("; ");
    let met = bounds.iter().zip(&medians).all(|(bound, figure)| bound.is_met(*figure));
    format!(" {asked} | {measured} | {} |", if met { "yes" } else { "**no**" })
}
