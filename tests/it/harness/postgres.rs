//! A PostgreSQL of the tests' own, started when the first test needs it, and a database of its own for each test.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use leadgate::store::{self, DatabaseUrl};

use super::postgres_server::{Server, apart, connect};

/// What each test's database is a copy of: an empty one, migrated.
const TEMPLATE: &str = "leadgate_template";

/// Many small databases, and nothing that must survive.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "max_connections=300",
    "shared_buffers=64MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
];

/// The server that all tests of this process share.
struct Cluster {
    server: Server,
    databases: AtomicUsize,
}

/// A test's own database; gone when this is dropped.
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    /// A fresh one, migrated.
    pub fn new() -> Self {
        Self::create(&format!("TEMPLATE {TEMPLATE}"))
    }

    /// A fresh one, without tables.
    pub fn empty() -> Self {
        Self::create("")
    }

    fn create(how: &str) -> Self {
        let cluster = cluster();
        let name = format!("leadgate_{}", cluster.databases.fetch_add(1, Ordering::Relaxed));
        cluster.server.run("postgres", &format!("CREATE DATABASE {name} {how}"));
        Self { url: cluster.server.url(&name), name }
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

    /// The number that a query returns.
    pub fn number(&self, sql: &str) -> i64 {
        cluster().server.number(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        cluster().server.run("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// The server, started by whoever asks first.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let server = Server::start(&SETTINGS);
        server.run("postgres", &format!("CREATE DATABASE {TEMPLATE}"));
        let url: DatabaseUrl = server.url(TEMPLATE).parse().unwrap();
        apart(async move { store::migrate(&url).await.unwrap() });
        Cluster { server, databases: AtomicUsize::new(0) }
    })
}
