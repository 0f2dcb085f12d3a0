//! The gateway as its operator runs it: the real binary, in a process of its own.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cast::Cast;

pub struct Process {
    child: Child,
    pub address: String,
}

impl Process {
    /// Starts it on the database of `cast`; it answers when this returns.
    pub async fn start(cast: &Cast) -> Self {
        let address = free_address();
        let child = Command::new(env!("CARGO_BIN_EXE_leadgate"))
            .arg("serve")
            .env("LEADGATE_DATABASE_URL", cast.database_url())
            .env("LEADGATE_LISTEN", &address)
            .env("LEADGATE_SECRET_KEY", &cast.key)
            .env("LEADGATE_DELIVERY_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("LEADGATE_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the gateway starts");
        let process = Self { child, address };
        process.answers().await;
        process
    }

    /// CPU time that it has used so far.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    /// Resident memory now, in MiB.
    pub fn memory(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most that it ever had, in MiB.
    pub fn peak_memory(&self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("Linux tells");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024.0
    }

    async fn answers(&self) {
        for _ in 0..500 {
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

/// User and system time of a process.
pub fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // Fields are counted behind the name, which may hold anything: state is the first, utime the 12th.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks: u64 = [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
    // Linux reports in units of 10 ms everywhere (USER_HZ = 100).
    Duration::from_millis(ticks * 10)
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}
