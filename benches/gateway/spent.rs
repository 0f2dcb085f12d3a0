//! CPU time, by who spent it.

use std::time::Duration;

use crate::gateway::Nodes;
use crate::setup::Setup;
use crate::{machine, postgres};

/// CPU seconds.
#[derive(Clone, Copy)]
pub struct Spent {
    pub gateways: f64,
    pub database: f64,
    /// By callers and receiver: this process.
    pub load: f64,
}

impl Spent {
    /// So far.
    pub fn by_now(setup: Setup, nodes: &Nodes) -> Self {
        let database = match setup {
            // It has no process of its own: what it uses is the gateway's.
            Setup::Sqlite => Duration::ZERO,
            Setup::Postgres { .. } => postgres::cpu(),
        };
        let load = machine::cpu_of(std::process::id()).expect("it runs");
        Self { gateways: nodes.cpu().as_secs_f64(), database: database.as_secs_f64(), load: load.as_secs_f64() }
    }

    /// What was spent since then.
    pub fn since(self, before: Self) -> Self {
        Self {
            gateways: self.gateways - before.gateways,
            database: self.database - before.database,
            load: self.load - before.load,
        }
    }

    /// For each thousand of so many things that were done.
    pub fn per_thousand(self, done: usize) -> Self {
        let share = 1000.0 / done as f64;
        Self { gateways: self.gateways * share, database: self.database * share, load: self.load * share }
    }
}
