//! The machine that the numbers are of, and what it says of processes.

use std::fs;
use std::time::Duration;

/// Processor, number of cores, memory, and kernel.
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let memory: f64 = memory.map_or(0.0, |kib| kib.parse().expect("a number"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, {:.0} GiB, Linux {}", memory / 1024.0 / 1024.0, kernel.trim())
}

/// User and system time of a process; `None` when it has ended.
pub fn cpu_of(pid: u32) -> Option<Duration> {
    ticks(pid).map(|[user, system, ..]| duration(user + system))
}

/// User and system time of a process, and of those of its children that have ended; `None` when it has ended itself.
pub fn cpu_with_ended_children_of(pid: u32) -> Option<Duration> {
    ticks(pid).map(|all| duration(all.iter().sum()))
}

/// utime, stime, cutime and cstime.
fn ticks(pid: u32) -> Option<[u64; 4]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields are counted behind the name, which may hold anything: state is the first, utime the 12th.
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    Some([11, 12, 13, 14].map(|field| fields[field].parse().expect("ticks")))
}

/// Linux reports in units of 10 ms everywhere (USER_HZ = 100).
fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

/// A line of a process's memory report, in MiB: `VmRSS`, `VmHWM` …
pub fn memory_of(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).expect("Linux tells");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024.0
}
