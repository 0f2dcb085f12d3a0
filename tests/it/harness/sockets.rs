//! Which process a connection on this machine belongs to. Linux tells.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;

use nix::unistd::Pid;

/// The addresses of the IPv4 sockets that these processes hold and that lead to `peer`: sockets that lead elsewhere may have the
/// same addresses.
pub fn held_to(peer: SocketAddr, processes: &[Pid]) -> HashSet<SocketAddr> {
    let files = processes.iter().flat_map(|process| fs::read_dir(format!("/proc/{process}/fd"))).flatten().flatten();
    // One that is closed meanwhile cannot be read.
    let targets: HashSet<_> = files.filter_map(|file| fs::read_link(file.path()).ok()).collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let sockets = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Each line: number, local address, remote address, state, three more, user, time-out, inode.
    let held = sockets.filter(|line| targets.contains(format!("socket:[{}]", line[9]).as_ref() as &std::path::Path));
    held.filter(|line| address(line[2]) == peer).map(|line| address(line[1])).collect()
}

/// Reads `0100007F:1F90`, which is 127.0.0.1:8080: the address as it lies in memory.
fn address(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(':').unwrap();
    let ip = u32::from_str_radix(ip, 16).unwrap().to_ne_bytes();
    (ip, u16::from_str_radix(port, 16).unwrap()).into()
}
