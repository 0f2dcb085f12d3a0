//! The benchmark's own PostgreSQL: set up like one that must not lose anything, on the same disk as the SQLite files.

// The tests use all of it.
#[allow(dead_code)]
#[path = "../../tests/support/postgres_server.rs"]
mod server;

use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leadgate::store::{self, DatabaseUrl};

use self::server::{Server, apart, connect};
use crate::machine;

/// Everything else is as PostgreSQL is delivered; with this much room for the log, checkpoints come each five minutes.
pub const SETTINGS: [&str; 5] =
    ["fsync=on", "synchronous_commit=on", "shared_buffers=256MB", "min_wal_size=1GB", "max_wal_size=8GB"];

/// How many files of its log, of 16 MB each, there are before anything is measured. A server that has run for a while writes over
/// old ones, and keeps `min_wal_size` of them for that; a new one would have to make each, and everybody waits for the disk then.
const LOG_FILES: usize = 48;

/// Writes something into the log, and goes on in a new file of it.
const ONE_FILE: &str = "PERFORM pg_logical_emit_message(FALSE, '', ''); PERFORM pg_switch_wal();";

/// A database; gone when this is dropped.
pub struct Database {
    name: String,
}

impl Database {
    /// A fresh one, migrated.
    pub async fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("leadgate_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server().run("postgres", &format!("CREATE DATABASE {name}"));
        let database = Self { name };
        let url: DatabaseUrl = database.url().parse().expect("a database URL");
        store::migrate(&url).await.expect("a fresh database");
        database
    }

    /// Its `database_url`.
    pub fn url(&self) -> String {
        server().url(&self.name)
    }

    /// What it is called on its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The texts that a query returns.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let (url, sql) = (self.url(), sql.to_owned());
        let rows = apart(async move { connect(&url).await.query(&sql, &[]).await.expect("rows") });
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Runs SQL behind the gateway's back.
    pub fn run(&self, sql: &str) {
        server().run(&self.name, sql);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        server().run("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// CPU time that the server's processes have used so far, those that have ended included.
pub fn cpu() -> Duration {
    let postmaster = postmaster();
    let children = format!("/proc/{postmaster}/task/{postmaster}/children");
    let children = fs::read_to_string(children).expect("Linux tells");
    let living = children.split_whitespace().filter_map(|pid| machine::cpu_of(pid.parse().ok()?));
    let own = machine::cpu_with_ended_children_of(postmaster).expect("it runs");
    own + living.sum::<Duration>()
}

/// What the server has written into its log.
pub fn log() -> String {
    server().log()
}

/// The process whose children serve the connections.
fn postmaster() -> u32 {
    static POSTMASTER: OnceLock<u32> = OnceLock::new();
    *POSTMASTER.get_or_init(|| {
        let first_line = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::BIGINT";
        u32::try_from(server().number("postgres", first_line)).expect("a process id")
    })
}

/// The server, started by whoever asks first.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Server::start(&SETTINGS);
        server.run("postgres", &format!("DO $$ BEGIN FOR file IN 1..{LOG_FILES} LOOP {ONE_FILE} END LOOP; END $$"));
        server.run("postgres", "CHECKPOINT");
        server
    })
}
