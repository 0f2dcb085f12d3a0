//! The PostgreSQL that most tests share, and each test's own database on it. It is started when the first test needs it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use leadgate::store::{self, DatabaseUrl};

use super::keeper::{Keeper, free_port};

/// What each test's database is a copy of: an empty one, migrated.
const TEMPLATE: &str = "leadgate_template";

/// Keeps one server, on port `$2`.
const ONE: &str = r#"
make db && start db "$2" -c max_connections=300 -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=256MB || give_up
echo ready
cat >/dev/null
"#;

/// The server that all tests of this process share.
struct Cluster {
    port: u16,
    databases: AtomicUsize,
    _keeper: Keeper,
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
        cluster.run("postgres", &format!("CREATE DATABASE {name} {how}"));
        Self { url: cluster.url(&name), name }
    }

    /// Its `database_url`.
    pub fn url(&self) -> DatabaseUrl {
        self.url.parse().unwrap()
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, cluster().port).into()
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
        cluster().run(&self.name, sql);
    }

    /// Whether a row of any table holds these words, as text or as bytes.
    pub fn holds(&self, words: &str) -> bool {
        let (database, url, bytes) = (self.name.clone(), self.url.clone(), hex::encode(words));
        let tables = "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = 'public'";
        let tables = apart(async move { connect(&url).await.query(tables, &[]).await.unwrap() });
        assert!(!tables.is_empty());
        tables.iter().map(|row| row.get::<_, String>(0)).any(|table| {
            let found = format!("row::TEXT LIKE '%{words}%' OR row::TEXT LIKE '%{bytes}%'");
            cluster().number(&database, &format!("SELECT count(*) FROM {table} AS row WHERE {found}")) > 0
        })
    }

    /// The number that a query returns.
    pub fn number(&self, sql: &str) -> i64 {
        cluster().number(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        cluster().run("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// The server, started by whoever asks first.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start();
        cluster.run("postgres", &format!("CREATE DATABASE {TEMPLATE}"));
        let url: DatabaseUrl = cluster.url(TEMPLATE).parse().unwrap();
        apart(async move { store::migrate(&url).await.unwrap() });
        cluster
    })
}

impl Cluster {
    fn start() -> Self {
        let port = free_port();
        let keeper = Keeper::start(ONE, &[port]);
        Self { port, databases: AtomicUsize::new(0), _keeper: keeper }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://leadgate@127.0.0.1:{}/{database}", self.port)
    }

    fn run(&self, database: &str, sql: &str) {
        let (url, sql) = (self.url(database), sql.to_owned());
        apart(async move { connect(&url).await.batch_execute(&sql).await.unwrap() });
    }

    fn number(&self, database: &str, sql: &str) -> i64 {
        let (url, sql) = (self.url(database), sql.to_owned());
        apart(async move { connect(&url).await.query_one(&sql, &[]).await.unwrap().get(0) })
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs a future to its end on a thread and runtime of its own: whoever asks may be inside of one already.
fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    };
    std::thread::spawn(run).join().expect("the tests' PostgreSQL does what it is told")
}
