//! PostgreSQL servers of this process's own: gone with the process, however that ends.
//!
//! A shell holds them. It waits on a pipe that only this process writes to; when the pipe closes, because the process has
//! ended or was killed, the shell stops the servers and deletes their data.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// What every script can use. `$1` is where PostgreSQL's programs are.
const PRELUDE: &str = r#"
trap '' INT TERM HUP
bin=$1
data=$(mktemp -d "${TMPDIR:-/tmp}/leadgate-postgres.XXXXXX") || exit 1
cd "$data"

# The empty server $1.
make() {
    "$bin/initdb" --pgdata "$1" --username leadgate --auth trust --encoding UTF8 --no-locale --no-sync >>log 2>&1
}

# Starts the server $1 on port $2, with more options.
start() {
    name=$1 port=$2
    shift 2
    "$bin/pg_ctl" --pgdata "$name" --silent --wait --log log start >>log 2>&1 --options "-c listen_addresses=127.0.0.1 \
        -c port=$port -c unix_socket_directories='$data' $*"
}

# Stops the server $1 as a crash would.
crash() {
    "$bin/pg_ctl" --pgdata "$1" --silent --mode immediate stop >>log 2>&1
}

# Says what went wrong.
give_up() {
    cat log
    exit 1
}

trap 'for server in *; do [ ! -f "$server/postmaster.pid" ] || crash "$server"; done; cd /; rm -rf "$data"' EXIT
"#;

/// The programs that scripts call.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "pg_basebackup", "createdb"];

/// The shell.
pub struct Keeper {
    /// Its standard input is the pipe that it waits on.
    shell: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Keeper {
    /// Runs a script with these arguments as `$2` and so on, until it says that it is ready.
    pub fn start(script: &str, arguments: &[String]) -> Self {
        let mut shell = shell()
            .args(["-c", &format!("{PRELUDE}{script}"), "keeper"])
            .arg(programs())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // So that Ctrl-C ends this process, and only through it the servers.
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let said = BufReader::new(shell.stdout.take().expect("it was piped")).lines();
        let mut keeper = Self { shell, said };
        keeper.expect("ready");
        keeper
    }

    /// Has the script do what it reads, and waits until that is done.
    pub fn tell(&mut self, command: &str) {
        writeln!(self.shell.stdin.as_mut().expect("it was piped"), "{command}").expect("the shell reads");
        self.expect("done");
    }

    fn expect(&mut self, word: &str) {
        let first = self.said.next().and_then(Result::ok).unwrap_or_default();
        if first != word {
            let rest: Vec<_> = self.said.by_ref().map_while(Result::ok).collect();
            panic!("the private PostgreSQL fails: {first}\n{}", rest.join("\n"));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The pipe closes. Waiting makes sure that nothing is left when the test has ended.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
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

/// Where PostgreSQL's programs are: Debian keeps them apart by version, and out of the path.
fn programs() -> PathBuf {
    let by_version = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = by_version.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let has_all = |folder: &PathBuf| PROGRAMS.iter().all(|program| folder.join(program).is_file());
    let found = folders.into_iter().rev().find(has_all);
    found.expect("PostgreSQL is not installed: scripts/test installs it")
}

/// A port below those that the system hands out by itself, so that nobody else is given it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.by_ref().take(1000).find(free).expect("one of a thousand ports is free")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
