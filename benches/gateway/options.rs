//! What to measure: the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::setup::{Engine, Setup};

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Leads accepted per second.
    Intake,
    /// Leads created and delivered per second, and what they cost.
    Through,
    /// Leads created and updated at once: whether each lead's changes arrive, and in order.
    Order,
    /// Deliveries per second from a backlog, what they cost, and the raw loop.
    Backlog,
    /// From request to receiver, at a calm pace and up to saturation; memory at rest.
    Latency,
    /// Deliveries per second with 1,000 to 1,000,000 waiting.
    Depth,
    /// Leads created and delivered, with 1 to 100,000 subscriptions.
    Subscriptions,
    /// What others notice of one bad receiver.
    Neighbours,
    /// What others notice of some dead and some slow ones in a large crowd.
    Unruly,
    /// A receiver that comes back to its backlog.
    Recovery,
    /// GET subscription, and a handler that returns a constant. Not part of a whole run.
    Subscription,
    /// Refreshes and introspections. Not part of a whole run.
    Tokens,
    /// GET subscription beside many logins. Not part of a whole run.
    Logins,
    /// The plans of all hot statements on ten million deliveries. Takes long. Not part of a whole run.
    Plans,
}

impl Part {
    /// Whether it is measured when no part is named.
    fn is_of_the_whole(self) -> bool {
        !matches!(self, Self::Subscription | Self::Tokens | Self::Logins | Self::Plans)
    }
}

/// Measures the gateway, prints what was measured, and, if that was everything, writes docs/benchmarks.md.
#[derive(Parser)]
#[command(name = "cargo bench --bench gateway --")]
pub struct Options {
    /// Measure only this; may be repeated. Default: everything that docs/benchmarks.md tells.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Only this engine. Default: both.
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// With so many gateways on PostgreSQL; may be repeated, for a column each.
    #[arg(long, default_values_t = [1], value_parser = clap::value_parser!(u8).range(1..=4))]
    nodes: Vec<u8>,
    /// How often each figure is measured; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// Large counts everywhere: takes about half an hour.
    #[arg(long)]
    pub full: bool,
    /// Write docs/benchmarks.md also if this is not the whole run.
    #[arg(long)]
    write: bool,
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
        self.parts.contains(&part) || (self.parts.is_empty() && part.is_of_the_whole())
    }

    /// Whether the page of benchmarks is to be written.
    pub fn writes(&self) -> bool {
        self.write || (self.parts.is_empty() && self.engine.is_none() && self.nodes == [1])
    }

    /// The columns of the table.
    pub fn setups(&self) -> Vec<Setup> {
        let nodes = self.nodes.iter().map(|nodes| Setup::Postgres { nodes: (*nodes).into() });
        let sqlite = (self.engine != Some(Engine::Postgres)).then_some(Setup::Sqlite);
        let postgres = (self.engine != Some(Engine::Sqlite)).then_some(nodes).into_iter().flatten();
        sqlite.into_iter().chain(postgres).collect()
    }

    /// How often each figure is measured.
    pub fn rounds(&self) -> usize {
        self.rounds.into()
    }
}
