//! A PostgreSQL of the tests' own, started when the first test needs it, and a database of its own for each test.
//!
//! Databases are made ahead and removed behind the tests' backs: each takes longer than many a test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use leadgate::store::{self, DatabaseUrl};

use super::postgres_server::{Server, apart, connect};

/// What each test's database is a copy of: an empty one, migrated.
const TEMPLATE: &str = "leadgate_template";

/// Many small databases, and nothing that must survive.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "max_connections=500",
    "shared_buffers=64MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
];

/// So many databases lie ready for the next tests.
const AHEAD: usize = 2;

/// So many databases may wait to be removed: each takes its place on the disk.
const BEHIND: usize = 8;

/// The server that all tests of this process share.
struct Cluster {
    server: Arc<Server>,
    /// Migrated databases that nobody has used.
    ready: Mutex<Receiver<String>>,
    /// Databases that nobody uses any more.
    done: SyncSender<String>,
    /// How many databases without tables there were.
    empties: AtomicUsize,
}

/// A test's own database; gone when this is dropped.
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// A fresh one, migrated.
    pub fn new() -> Self {
        let ready = cluster().ready.lock().expect("nobody fails while taking one");
        Self::called(ready.recv().expect("databases are made"))
    }

    /// A fresh one, without tables.
    pub fn empty() -> Self {
        let name = format!("leadgate_empty_{}", cluster().empties.fetch_add(1, Ordering::Relaxed));
        cluster().server.run("postgres", &format!("CREATE DATABASE {name}"));
        Self::called(name)
    }

    fn called(name: String) -> Self {
        Self { url: cluster().server.url(&name), name }
    }

    /// Its `database_url`.
    pub fn url(&self) -> DatabaseUrl {
        self.url.parse().unwrap()
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        cluster().server.address()
    }

    /// What it is called on its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `database_url`, as text.
    pub fn url_text(&self) -> &str {
        &self.url
    }

    /// Runs SQL behind the gateway's back.
    pub fn sql(&self, sql: &str) {
        cluster().server.run(&self.name, sql);
    }

    /// A session behind the gateway's back, for as long as it is held.
    pub async fn session(&self) -> tokio_postgres::Client {
        connect(&self.url).await
    }

    /// Whether a row of any table holds these words, as text or as bytes.
    pub fn holds(&self, words: &str) -> bool {
        let bytes = hex::encode(words);
        let tables = self.texts("SELECT tablename::TEXT FROM pg_tables WHERE schemaname = 'public'");
        assert!(!tables.is_empty());
        tables.iter().any(|table| {
            let found = format!("row::TEXT LIKE '%{words}%' OR row::TEXT LIKE '%{bytes}%'");
            self.number(&format!("SELECT count(*) FROM {table} AS row WHERE {found}")) > 0
        })
    }

    /// The texts that a query returns.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let (url, sql) = (self.url.clone(), sql.to_owned());
        let rows = apart(async move { connect(&url).await.query(&sql, &[]).await.unwrap() });
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// What its server has written into its log, about other databases, too.
    pub fn log(&self) -> String {
        cluster().server.log()
    }

    /// Has whoever writes a lead wait until the session is dropped; only if the row is `NEW` as the condition says.
    pub async fn hold_leads_back(&self, condition: &str) -> tokio_postgres::Client {
        self.sql(&format!(
            "CREATE FUNCTION wait() RETURNS TRIGGER LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END';
             CREATE TRIGGER gate BEFORE INSERT ON leads FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION wait();"
        ));
        let holder = self.session().await;
        holder.execute("SELECT pg_advisory_lock(42)", &[]).await.unwrap();
        holder
    }

    /// Whether somebody waits for an advisory lock.
    pub fn has_a_waiter(&self) -> bool {
        let sql = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
             WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
        self.number(sql) > 0
    }

    /// The number that a query returns.
    pub fn number(&self, sql: &str) -> i64 {
        cluster().server.number(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Fails only when that thread has: then all is removed with the server.
        let _ = cluster().done.send(std::mem::take(&mut self.name));
    }
}

/// The server, started by whoever asks first.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let server = Arc::new(Server::start(&SETTINGS));
        server.run("postgres", &format!("CREATE DATABASE {TEMPLATE}"));
        let url: DatabaseUrl = server.url(TEMPLATE).parse().unwrap();
        apart(async move { store::migrate(&url).await.unwrap() });
        let (ready, done) = (make_ahead(server.clone()), remove_behind(server.clone()));
        Cluster { server, ready: Mutex::new(ready), done, empties: AtomicUsize::new(0) }
    })
}

fn make_ahead(server: Arc<Server>) -> Receiver<String> {
    let (made, ready) = sync_channel(AHEAD);
    // The other way, the default since version 15, writes each page to the log, too.
    let since_15 = server.number("postgres", "SELECT current_setting('server_version_num')::BIGINT") >= 150_000;
    let how = if since_15 { "STRATEGY FILE_COPY" } else { "" };
    let make = move |number| {
        let name = format!("leadgate_{number}");
        server.run("postgres", &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} {how}"));
        name
    };
    thread::spawn(move || (0_u64..).map(make).try_for_each(|name| made.send(name)));
    ready
}

fn remove_behind(server: Arc<Server>) -> SyncSender<String> {
    let (done, over) = sync_channel::<String>(BEHIND);
    let remove = move |name| server.run("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    thread::spawn(move || over.into_iter().for_each(remove));
    done
}
