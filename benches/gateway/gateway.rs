//! The gateways as their operator runs them: the real binary, each in a process of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cast::Cast;
use crate::machine;
use crate::setup::Setup;

/// All gateways that share one database.
pub struct Nodes(Vec<Process>);

/// One gateway.
struct Process {
    child: Child,
    address: String,
}

impl Nodes {
    /// Starts those of a setup on the database of `cast`; all answer when this returns.
    pub async fn start(cast: &Cast, setup: Setup) -> Self {
        Self::start_with(cast, setup, &[]).await
    }

    /// The same, with more variables in their environment.
    pub async fn start_with(cast: &Cast, setup: Setup, settings: &[(&str, &str)]) -> Self {
        let nodes = Self((0..setup.nodes()).map(|_| Process::start(cast, settings)).collect());
        for node in &nodes.0 {
            node.answers().await;
        }
        nodes
    }

    /// The URL of each node with this path.
    pub fn urls(&self, path: &str) -> Vec<String> {
        self.0.iter().map(|node| format!("http://{}{path}", node.address)).collect()
    }

    /// The address of each node.
    pub fn addresses(&self) -> Vec<String> {
        self.0.iter().map(|node| node.address.clone()).collect()
    }

    /// CPU time that they have used so far, all together.
    pub fn cpu(&self) -> Duration {
        self.0.iter().map(|node| machine::cpu_of(node.child.id()).expect("it runs")).sum()
    }

    /// Resident memory now, in MiB, of the largest.
    pub fn memory(&self) -> f64 {
        self.largest("VmRSS")
    }

    /// The most that one of them ever had, in MiB.
    pub fn peak_memory(&self) -> f64 {
        self.largest("VmHWM")
    }

    fn largest(&self, key: &str) -> f64 {
        self.0.iter().map(|node| machine::memory_of(node.child.id(), key)).fold(0.0, f64::max)
    }
}

impl Process {
    fn start(cast: &Cast, settings: &[(&str, &str)]) -> Self {
        let address = free_address();
        let child = Command::new(env!("CARGO_BIN_EXE_leadgate"))
            .arg("serve")
            .env("LEADGATE_DATABASE_URL", cast.data.url())
            .env("LEADGATE_LISTEN", &address)
            .env("LEADGATE_SECRET_KEY", &cast.key)
            .env("LEADGATE_DELIVERY_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("LEADGATE_LOG", "warn")
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .expect("the gateway starts");
        Self { child, address }
    }

    async fn answers(&self) {
        for _ in 0..1000 {
            let answer = reqwest::get(format!("http://{}/readyz", self.address)).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the gateway does not answer");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}
