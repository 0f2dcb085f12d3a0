//! What to measure: the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::setup::{Engine, Setup};

/// Nodes that a PostgreSQL is measured with.
const NODES: [usize; 3] = [1, 2, 3];

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Leads accepted per second.
    Intake,
    /// Leads created and delivered per second, and what they cost.
    Through,
    /// Leads created and updated at once: whether each lead's changes arrive, and in order.
    Order,
    /// GET subscription, and a handler that returns a constant.
    Subscription,
    /// Refreshes and introspections.
    Tokens,
    /// GET subscription beside many logins.
    Logins,
    /// Deliveries per second, and what they cost.
    Backlog,
    /// The same rate at three depths: with 1,000, 20,000 and 1,000,000 waiting.
    Depth,
    /// From request to receiver at a calm pace, and memory at rest.
    Latency,
    /// The plans of all hot statements on ten million deliveries. Takes long: only when it is named.
    Plans,
}

/// Measures the gateway.
#[derive(Parser)]
#[command(name = "cargo bench --bench gateway --")]
pub struct Options {
    /// Measure only this; may be repeated. Default: everything but the plans.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Only this engine. Default: both.
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Only this many nodes on PostgreSQL. Default: 1, 2 and 3.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    nodes: Option<u8>,
    /// How often each figure is measured; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// A folder where `npm install oidc-provider` was done: tokens are measured there, too.
    #[arg(long, value_name = "DIR")]
    pub oidc_provider: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether this part is wanted.
    pub fn wants(&self, part: Part) -> bool {
        self.parts.contains(&part) || (self.parts.is_empty() && part != Part::Plans)
    }

    /// The columns of the table.
    pub fn setups(&self) -> Vec<Setup> {
        let nodes = self.nodes.map_or(NODES.to_vec(), |nodes| vec![usize::from(nodes)]);
        let sqlite = (self.engine != Some(Engine::Postgres)).then_some(Setup::Sqlite);
        let postgres = (self.engine != Some(Engine::Sqlite)).then_some(nodes).into_iter().flatten();
        sqlite.into_iter().chain(postgres.map(|nodes| Setup::Postgres { nodes })).collect()
    }

    /// How often each figure is measured.
    pub fn rounds(&self) -> usize {
        self.rounds.into()
    }
}
