//! Where the gateways of a cast keep their data.

use leadgate::store::{self, DatabaseUrl};
use tempfile::TempDir;

use crate::postgres::Database;
use crate::setup::Engine;

/// A database; gone when this is dropped.
pub enum Data {
    Sqlite(TempDir),
    Postgres(Database),
}

impl Data {
    /// A fresh one, migrated.
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::Postgres(Database::new().await),
            Engine::Sqlite => {
                let data = Self::Sqlite(tempfile::tempdir().expect("a temporary folder"));
                let url: DatabaseUrl = data.url().parse().expect("a database URL");
                store::migrate(&url).await.expect("a fresh database");
                data
            }
        }
    }

    /// Its `database_url`.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("leadgate.db").display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// Brings everything from the log into the tables, and to the disk, with all else that waits to be written there.
    pub fn checkpoint(&self) {
        self.run(match self {
            Self::Sqlite(_) => "PRAGMA wal_checkpoint(TRUNCATE)",
            Self::Postgres(_) => "CHECKPOINT",
        });
        let synced = std::process::Command::new("sync").status().expect("there is a sync");
        assert!(synced.success(), "sync: {synced}");
    }

    /// Runs SQL behind the gateway's back.
    pub fn run(&self, sql: &str) {
        match self {
            Self::Postgres(database) => database.run(sql),
            Self::Sqlite(folder) => {
                let database = rusqlite::Connection::open(folder.path().join("leadgate.db")).expect("it is there");
                // A gateway may be writing at the same time.
                database.busy_timeout(std::time::Duration::from_secs(60)).expect("any time will do");
                database.execute_batch(sql).expect("SQL");
            }
        }
    }
}
