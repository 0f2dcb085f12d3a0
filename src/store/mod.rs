//! The store: what must survive. Operation-shaped: a method is one atomic business fact, committed when it returns.
//!
//! No method waits for anything but the database, and none reads a clock or draws randomness: `now`, ids and hashes come
//! in. Refusals that are part of the business (a code that was used, a site that does not exist) are values; an `Err`
//! is a fault of the store itself.

mod courier;
mod deliveries;
mod directory;
mod leads;
mod oauth;
mod passwords;
pub mod postgres;
pub(crate) mod queue;
mod recalling;
mod secrets;
mod sessions;
pub mod signals;
pub mod sqlite;
mod story;
mod subscriptions;
mod throttle;
pub mod transfer;

use std::sync::Arc;

use async_trait::async_trait;

pub use courier::{Courier, Room};
pub use deliveries::Deliveries;
pub use directory::{AddSource, AddUser, Directory, NewPartner, NewSite, Removed};
pub use leads::Leads;
pub use oauth::OAuth;
pub use passwords::Passwords;
pub use recalling::{Outstanding, Recalling};
pub use secrets::{Resealed, SealedSecret, Secrets};
pub use sessions::Sessions;
pub use signals::{Signal, Signals};
pub use subscriptions::{Found, Held, NewSubscription, Replaced, Subscriptions, Target};
pub use throttle::Throttle;

use crate::model::Timestamp;

/// The whole store, as one engine offers it.
#[async_trait]
pub trait Store:
    Directory
    + Passwords
    + Sessions
    + OAuth
    + Subscriptions
    + Leads
    + Deliveries
    + Throttle
    + Secrets
    + std::fmt::Debug
    + 'static
{
    /// What the engine tells the rest of this process about commits.
    fn signals(&self) -> &Signals;

    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Deletes at most about `limit` rows of what is over: expired codes, tokens and sessions, `Idempotency-Key`s, buckets
    /// of guesses that are full,
    /// deliveries that finished before `finished_before`, and what removed sites left. An engine may delete deliveries
    /// by the day, and so up to a day later (or a sixtieth of the time that they are kept, if that is longer); a day counts
    /// as one row. Returns how many; callers repeat until it is 0, so that each transaction stays short.
    async fn purge(&self, now: Timestamp, finished_before: Timestamp, limit: usize) -> Result<usize>;

    /// Finishes what was accepted and closes the database. Later calls fail with [`StoreError::Unavailable`].
    async fn close(&self);
}

/// A shared store.
pub type SharedStore = Arc<dyn Store>;

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or is closing: worth trying again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// What the database holds makes no sense to this program.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    /// Anything else, with the engine's own words.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// A database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is of no known kind.
    #[error("database_url must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE, not {0:?}")]
    Url(String),
    /// There is no such file, and none was to be made.
    #[error("{0} does not exist: `leadgate serve` or `leadgate migrate` creates it")]
    Missing(String),
    /// The file is there, but it is no database of ours.
    #[error("{0} is not a Leadgate database")]
    NotADatabase(String),
    /// A newer program wrote it.
    #[error("{path} was written by a newer version of Leadgate (schema {found}; this program knows {known})")]
    Newer {
        /// The database file.
        path: String,
        /// Its schema version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// An older program wrote it, and it has not been migrated.
    #[error("{path} has schema {found}, this program needs {known}: run `leadgate migrate`")]
    Older {
        /// The database file.
        path: String,
        /// Its schema version.
        found: u32,
        /// The version that this program needs.
        known: u32,
    },
    /// It cannot be created or written.
    #[error("cannot open {path} for writing: {cause}")]
    NotWritable {
        /// The database file.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// A gateway is being copied into it, or was not to the end.
    #[error("{0} holds an unfinished copy of a gateway: run the same `leadgate copy` again to finish it")]
    Unfinished(String),
    /// Another process serves it.
    #[error("another leadgate process is serving {0}")]
    InUse(String),
    /// The engine failed.
    #[error("cannot open {path}: {cause}")]
    Failed {
        /// The database file.
        path: String,
        /// The engine's words.
        cause: String,
    },
}

/// Where a gateway's data lies: `database_url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`.
    Sqlite(std::path::PathBuf),
    /// `postgres://…`, or `postgresql://…`.
    Postgres(Box<postgres::Server>),
}

impl std::str::FromStr for DatabaseUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> std::result::Result<Self, OpenError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Box::new(text.parse()?)));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(OpenError::Url(without_password(text))),
        }
    }
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve. An embedded database is created and migrated, and every other server is kept out of it; deliveries that
    /// a dead server left leased are free again. A shared one must be up to date, and leases of others hold.
    Serve,
    /// To run one command beside a server that may be running. An embedded database is created and migrated if need be.
    Command,
    /// To look at it only: nothing is created or migrated.
    Check,
}

/// Opens the database, as its URL says.
pub async fn open(url: &DatabaseUrl, purpose: Purpose) -> std::result::Result<SharedStore, OpenError> {
    match url {
        DatabaseUrl::Sqlite(path) => Ok(Arc::new(sqlite::SqliteStore::open(path, purpose).await?)),
        DatabaseUrl::Postgres(server) => Ok(Arc::new(postgres::PostgresStore::open(server, purpose).await?)),
    }
}

/// Brings the database up to date. Returns the names of the migrations that were applied, in order.
pub async fn migrate(url: &DatabaseUrl) -> std::result::Result<Vec<String>, OpenError> {
    match url {
        DatabaseUrl::Sqlite(path) => sqlite::migrate(path).await,
        DatabaseUrl::Postgres(server) => postgres::migrate(server).await,
    }
}

fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Fails only for URLs that cannot have a password.
            let _ = parsed.set_password(Some("…"));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}
