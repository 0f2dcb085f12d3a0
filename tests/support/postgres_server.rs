//! A PostgreSQL of this process's own, for the tests and for the benchmark: gone with the process, however that ends.

mod keeper;

use std::net::{Ipv4Addr, SocketAddr};

pub use keeper::{Keeper, free_port};

/// One server, on port `$2`, with the options that follow.
const ONE: &str = r#"
port=$2
shift 2
make db && start db "$port" "$@" || give_up
echo ready
cat >/dev/null
"#;

/// A server with the superuser `leadgate`, who needs no password.
pub struct Server {
    port: u16,
    _keeper: Keeper,
}

impl Server {
    /// Starts one with these settings, each `name=value`. It answers when this returns.
    pub fn start(settings: &[&str]) -> Self {
        let port = free_port();
        let options = settings.iter().map(|setting| format!("-c {setting}"));
        let arguments: Vec<_> = std::iter::once(port.to_string()).chain(options).collect();
        Self { port, _keeper: Keeper::start(ONE, &arguments) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The `database_url` of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://leadgate@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL.
    pub fn run(&self, database: &str, sql: &str) {
        let (url, sql) = (self.url(database), sql.to_owned());
        apart(async move { connect(&url).await.batch_execute(&sql).await.unwrap() });
    }

    /// What it has written into its log.
    pub fn log(&self) -> String {
        let url = self.url("postgres");
        let sql = "SELECT pg_read_binary_file(current_setting('data_directory') || '/../log')";
        let log: Vec<u8> = apart(async move { connect(&url).await.query_one(sql, &[]).await.unwrap().get(0) });
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The number that a query returns.
    pub fn number(&self, database: &str, sql: &str) -> i64 {
        let (url, sql) = (self.url(database), sql.to_owned());
        apart(async move { connect(&url).await.query_one(&sql, &[]).await.unwrap().get(0) })
    }
}

/// A connection to a database, by its URL.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs a future to its end on a thread and runtime of its own: whoever asks may be inside of one already.
pub fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work)
    };
    std::thread::spawn(run).join().expect("the private PostgreSQL does what it is told")
}
