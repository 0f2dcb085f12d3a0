//! Running the program: to its end, or for as long as a test needs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use leadgate::store::{self, Purpose, SharedStore};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::engine::Data;

/// A directory to run the program in. With the default settings the database lies there.
pub struct Home {
    folder: TempDir,
    environment: Vec<(String, String)>,
    /// Where the data are, if not where the program puts them by itself.
    data: Option<Data>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new(), data: None }
    }

    /// One whose data are on the engine of the case that runs.
    pub fn of_case() -> Self {
        let data = Data::new();
        let home = Self::new().with("LEADGATE_DATABASE_URL", data.url());
        // Gateways that share their data need a key that they share, too.
        let home = if data.is_shared() { home.with("LEADGATE_SECRET_KEY", "5e".repeat(32)) } else { home };
        Self { data: Some(data), ..home }
    }

    /// Opens the data of the case that runs, beside the program.
    pub async fn store(&self) -> SharedStore {
        let data = self.data.as_ref().expect("a home of a case");
        store::open(&data.url().parse().unwrap(), Purpose::Command).await.unwrap()
    }

    /// The same with a variable set.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with these arguments, separated by white space.
    pub fn command(&self, arguments: &str) -> Command {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_leadgate")), arguments)
    }

    /// The same, which may have only so many files and connections open.
    pub fn limited_to(&self, descriptors: usize, arguments: &str) -> Command {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_leadgate")]);
        self.prepare(shell, arguments)
    }

    fn prepare(&self, mut command: Command, arguments: &str) -> Command {
        let ours = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("LEADGATE_"));
        ours.for_each(|name| {
            command.env_remove(name);
        });
        command.env_remove("RUST_LOG").envs(self.environment.iter().cloned());
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &str) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs a command to its end, with something on stdin.
    pub fn run_with_input(&self, arguments: &str, input: &str) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A command that fails before it reads closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::from(child.wait_with_output().unwrap())
    }

    /// Runs a command that has to succeed; what it says to people.
    pub fn says(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments}");
        ran.stdout
    }

    /// Runs a command with `--json` that has to succeed; its one document.
    pub fn document(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.says(&format!("{arguments} --json"))).unwrap()
    }

    /// Runs a command that has to fail, with exit code 1, nothing on stdout, and one line on stderr; that line.
    pub fn complains(&self, arguments: &str) -> String {
        self.run(arguments).complaint(1)
    }

    /// Starts a gateway that has to refuse; the one line that it says. One that serves after all fails the test, and
    /// is stopped.
    pub fn refuses_to_serve(&self) -> String {
        let mut gateway = self.start("serve");
        let line = gateway.reports("");
        let complaint = line.strip_prefix("error: ").unwrap_or_else(|| panic!("{line}")).to_owned();
        let rest = std::io::read_to_string(&mut gateway.stderr).unwrap()
            + &std::io::read_to_string(&mut gateway.stdout).unwrap();
        assert_eq!((rest.as_str(), gateway.end()), ("", Some(1)), "{line}");
        complaint
    }

    /// Adds a person.
    pub fn add_user(&self, email: &str) -> Value {
        let ran = self.run_with_input(&format!("user add {email} --password-stdin --json"), "correct horse battery\n");
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Starts a command that goes on until it is stopped.
    pub fn start(&self, arguments: &str) -> Running {
        Running::new(self.command(arguments).spawn().unwrap())
    }
}

impl Ran {
    /// The one line on stderr of a command that failed with this exit code.
    pub fn complaint(&self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str(), self.stderr.lines().count()), (code, "", 1), "{self:?}");
        let line = self.stderr.trim_end().to_owned();
        line.strip_prefix("error: ").unwrap_or_else(|| panic!("{line}")).to_owned()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        // No code: a signal ended it, which no test wants.
        Self { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A command that goes on. It is killed when this is dropped.
pub struct Running {
    child: Child,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: BufReader<Box<dyn Read + Send>>,
}

impl Running {
    pub fn new(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(Box::new(child.stderr.take().unwrap()) as Box<dyn Read + Send>);
        Self { child, stdout, stderr }
    }

    /// Waits for the line of stderr that contains `sign`.
    pub fn reports(&mut self, sign: &str) -> String {
        line_with(&mut self.stderr, sign)
    }

    /// Waits for the line of stdout that contains `sign`.
    pub fn prints(&mut self, sign: &str) -> String {
        line_with(&mut self.stdout, sign)
    }

    /// Reads what it logs from now on, so that it never waits for a reader; a test that fails shows it.
    pub fn let_talk(&mut self) {
        let rest = self.take_stderr();
        let process = self.pid();
        std::thread::spawn(move || rest.lines().map_while(Result::ok).for_each(|line| println!("{process}: {line}")));
    }

    /// What it logs from now on, for somebody else to read.
    pub fn take_stderr(&mut self) -> BufReader<Box<dyn Read + Send>> {
        std::mem::replace(&mut self.stderr, BufReader::new(Box::new(std::io::empty())))
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        pid(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    /// Sends SIGTERM, and waits for the end; the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// Kills it with SIGKILL, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end; the exit code.
    pub fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn line_with(lines: &mut impl BufRead, sign: &str) -> String {
    let mut seen = String::new();
    loop {
        let start = seen.len();
        assert!(lines.read_line(&mut seen).unwrap() > 0, "no line with {sign:?} in:\n{seen}");
        if seen[start..].contains(sign) {
            return seen[start..].trim_end().to_owned();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child's process id.
pub fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("process ids are small"))
}
