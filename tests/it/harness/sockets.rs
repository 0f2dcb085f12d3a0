//! Which process a connection on this machine belongs to. Linux tells.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use nix::unistd::Pid;

/// Whether the process holds the end of a TCP connection that has this address.
pub fn is_held_by(end: SocketAddr, process: Pid) -> bool {
    let Some(inode) = inode(end) else { return false };
    let name = format!("socket:[{inode}]");
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    // One that is closed meanwhile cannot be read.
    open.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target.as_os_str() == name.as_str())
}

/// The number of the socket at this end of a connection, if it is still open.
fn inode(end: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = end.ip() else { panic!("tests listen on 127.0.0.1") };
    let address = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), end.port());
    // Each line: number, local address, remote address, state, three more, user, time-out, inode.
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|columns| columns.get(1) == Some(&address.as_str()))?;
    line.get(9).map(|&inode| inode.to_owned())
}
