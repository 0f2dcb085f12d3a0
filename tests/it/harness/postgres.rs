//! A PostgreSQL of the tests' own: started when the first test needs it, gone with the process, however that ends.
//!
//! A shell holds it. The shell waits on a pipe that only this process writes to; when the pipe closes, because the
//! process has ended or was killed, the shell stops the server and deletes its data.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use leadgate::store::{self, DatabaseUrl};

/// What each test's database is a copy of: an empty one, migrated.
const TEMPLATE: &str = "leadgate_template";

/// Starts the server `$1/postgres` on port `$2`, says where its data lies, and waits for its end.
const KEEPER: &str = r#"
trap '' INT TERM HUP
data=$(mktemp -d "${TMPDIR:-/tmp}/leadgate-postgres.XXXXXX") || exit 1
cd "$data"
if "$1/initdb" --pgdata db --username leadgate --auth trust --encoding UTF8 --no-locale --no-sync >log 2>&1 &&
   "$1/pg_ctl" --pgdata db --silent --wait --log log start >>log 2>&1 --options "-c listen_addresses=127.0.0.1 -c port=$2 \
       -c unix_socket_directories='$data' -c fsync=off -c max_connections=300 -c shared_buffers=64MB -c wal_level=minimal \
       -c max_wal_senders=0 -c max_wal_size=256MB"
then
    echo ready
    cat >/dev/null
    "$1/pg_ctl" --pgdata db --silent --mode immediate stop
else
    cat log
fi
cd /
rm -rf "$data"
"#;

/// The server that all tests of this process share.
struct Cluster {
    port: u16,
    databases: AtomicUsize,
    /// Its standard input is the pipe that the shell waits on.
    _keeper: Child,
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
        let programs = programs();
        let port = free_port();
        let mut command = match is_root() {
            // PostgreSQL refuses to run as root; its package made a user for it.
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--", "sh"]);
                command
            }
            false => Command::new("sh"),
        };
        let mut keeper = command
            .args(["-c", KEEPER, "keeper"])
            .arg(&programs)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // So that Ctrl-C ends the tests, and only through them the server.
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let mut lines = BufReader::new(keeper.stdout.take().expect("it was piped")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        if first != "ready" {
            let rest: Vec<_> = lines.map_while(Result::ok).collect();
            panic!("the tests' PostgreSQL does not start: {first}\n{}", rest.join("\n"));
        }
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

/// Where `initdb` and the others are: Debian keeps them apart by version, and out of the path.
fn programs() -> PathBuf {
    let by_version = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = by_version.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.into_iter().rev().find(|folder| folder.join("initdb").is_file());
    found.expect("PostgreSQL is not installed: run the tests with scripts/test, which installs it")
}

/// A port below those that the system hands out by itself, so that no other test is given it meanwhile.
fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (first..first + 1000).find(free).expect("one of a thousand ports is free")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
