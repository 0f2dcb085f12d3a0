//! What is measured side by side: an engine, and how many gateways share its database.

use std::fmt;

use clap::ValueEnum;

/// An engine of the store.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A column of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// One gateway on a file.
    Sqlite,
    /// So many gateways on one PostgreSQL.
    Postgres { nodes: usize },
}

impl Setup {
    /// What they keep their data in.
    pub fn engine(self) -> Engine {
        match self {
            Self::Sqlite => Engine::Sqlite,
            Self::Postgres { .. } => Engine::Postgres,
        }
    }

    /// How many gateways run.
    pub fn nodes(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres { nodes } => nodes,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite => f.write_str("SQLite"),
            Self::Postgres { nodes: 1 } => f.write_str("PostgreSQL"),
            Self::Postgres { nodes } => write!(f, "PostgreSQL, {nodes} nodes"),
        }
    }
}
