//! The engines that a gateway can stand on, and tests that are stamped over all of them.

use std::sync::Arc;

use tempfile::TempDir;

use super::postgres::Database;

/// An engine of the store.
#[derive(Debug, Clone, Copy)]
pub enum Engine {
    Sqlite,
    Postgres,
}

tokio::task_local! {
    /// The engine of the test that runs in this task. So a case says what it is about, and not on what.
    static ENGINE: Engine;
}

impl Engine {
    /// Runs a case on this engine.
    pub async fn run(self, case: impl Future<Output = ()>) {
        ENGINE.scope(self, Box::pin(case)).await;
    }

    /// The engine of the case that runs; SQLite for one that is about processes, and not stamped.
    fn current() -> Self {
        ENGINE.try_with(|engine| *engine).unwrap_or(Engine::Sqlite)
    }
}

/// Stamps cases over every engine: each becomes a test under the engine's name. A case that is not listed is dead code,
/// and so a warning. Cases that block their thread while the gateway works say before the list what kind of test they are.
macro_rules! on_every_engine {
    (#[$test:meta] $($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[$test]
                async fn $case() {
                    $crate::harness::engine::Engine::Sqlite.run(super::$case()).await;
                }
            )*
        }

        mod postgres {
            $(
                #[$test]
                async fn $case() {
                    $crate::harness::engine::Engine::Postgres.run(super::$case()).await;
                }
            )*
        }
    };
    ($($case:ident),* $(,)?) => {
        $crate::harness::on_every_engine!(#[tokio::test] $($case),*);
    };
}
pub(crate) use on_every_engine;

/// Where gateways keep their data; gone when the last that shares it is dropped.
#[derive(Clone)]
pub enum Data {
    Sqlite(Arc<TempDir>),
    Postgres(Arc<Database>),
}

impl Data {
    /// A fresh place, on the engine of the case that runs.
    pub fn new() -> Self {
        match Engine::current() {
            Engine::Sqlite => Self::Sqlite(Arc::new(tempfile::tempdir().unwrap())),
            Engine::Postgres => Self::Postgres(Arc::new(Database::new())),
        }
    }

    /// Its `database_url`.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("leadgate.db").display()),
            Self::Postgres(database) => database.url_text().to_owned(),
        }
    }

    /// Whether leases hold although their holder has ended: others may share the data.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Runs SQL behind the gateway's back.
    pub fn sql(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => file(folder).execute_batch(sql).unwrap(),
            Self::Postgres(database) => database.sql(sql),
        }
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        match self {
            Self::Sqlite(folder) => file(folder).query_row(&sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(database) => database.number(&sql),
        }
    }

    /// Whether these words lie there anywhere in the clear.
    pub fn holds(&self, words: &str) -> bool {
        match self {
            Self::Sqlite(folder) => std::fs::read_dir(folder.path()).unwrap().any(|entry| {
                let bytes = std::fs::read(entry.unwrap().path()).unwrap();
                bytes.windows(words.len()).any(|window| window == words.as_bytes())
            }),
            Self::Postgres(database) => database.holds(words),
        }
    }
}

fn file(folder: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("leadgate.db")).unwrap()
}
