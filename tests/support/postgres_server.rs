//! A PostgreSQL of this process's own, for the tests and for the benchmark: gone with the process, however that ends.
//!
//! A shell holds it. The shell waits on a pipe that only this process writes to; when the pipe closes, because the
//! process has ended or was killed, the shell stops the server and deletes its data.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Starts the server `$1/postgres` on port `$2` with the options `$3`, says that it is ready, and waits for its end.
const KEEPER: &str = r#"
trap '' INT TERM HUP
data=$(mktemp -d "${TMPDIR:-/tmp}/leadgate-postgres.XXXXXX") || exit 1
cd "$data"
if "$1/initdb" --pgdata db --username leadgate --auth trust --encoding UTF8 --no-locale --no-sync >log 2>&1 &&
   "$1/pg_ctl" --pgdata db --silent --wait --log log start >>log 2>&1 --options "-c listen_addresses=127.0.0.1 -c port=$2 \
       -c unix_socket_directories='$data' $3"
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

/// A server with the superuser `leadgate`, who needs no password.
pub struct Server {
    port: u16,
    /// Its standard input is the pipe that the shell waits on.
    _keeper: Child,
}

impl Server {
    /// Starts one with these settings, each `name=value`. It answers when this returns.
    pub fn start(settings: &[&str]) -> Self {
        let port = free_port();
        let options: Vec<_> = settings.iter().map(|setting| format!("-c {setting}")).collect();
        let mut keeper = shell()
            .args(["-c", KEEPER, "keeper"])
            .arg(programs())
            .arg(port.to_string())
            .arg(options.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // So that Ctrl-C ends this process, and only through it the server.
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let mut lines = BufReader::new(keeper.stdout.take().expect("it was piped")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        if first != "ready" {
            let rest: Vec<_> = lines.map_while(Result::ok).collect();
            panic!("the private PostgreSQL does not start: {first}\n{}", rest.join("\n"));
        }
        Self { port, _keeper: keeper }
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

/// A shell, as somebody as whom PostgreSQL runs: it refuses to run as root, and its package made a user for it.
fn shell() -> Command {
    if !is_root() {
        return Command::new("sh");
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--", "sh"]);
    command
}

/// Where `initdb` and the others are: Debian keeps them apart by version, and out of the path.
fn programs() -> PathBuf {
    let by_version = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = by_version.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.into_iter().rev().find(|folder| folder.join("initdb").is_file());
    found.expect("PostgreSQL is not installed: scripts/test installs it")
}

/// A port below those that the system hands out by itself, so that nobody else is given it meanwhile.
fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (first..first + 1000).find(free).expect("one of a thousand ports is free")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
