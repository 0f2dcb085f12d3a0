//! Strangers that open more connections than a small machine has file descriptors, and do nothing with them.

use std::net::SocketAddr;

use nix::unistd::Pid;

use super::wire::Wire;
use crate::harness::on_every_engine;
use crate::harness::process::{Home, Running};

on_every_engine!(
    oauth_119_idle_connections_of_many_keep_nobody_from_an_answer,
    oauth_119_one_peer_cannot_send_others_away,
);

/// So few that a test can exhaust them.
const DESCRIPTORS: usize = 400;

/// More connections than that.
const CROWD: u8 = 200;
const EACH: usize = 5;

/// A gateway that may open [`DESCRIPTORS`] files, and where it listens.
fn small_gateway(home: &Home) -> (Running, SocketAddr) {
    let mut gateway = Running::new(home.limited_to(DESCRIPTORS, "serve").spawn().unwrap());
    let line = gateway.reports("address=");
    let address = line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
    gateway.let_talk();
    (gateway, address)
}

fn descriptors(process: Pid) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

/// Asks for something that needs the database.
async fn is_ready(wire: &mut Wire) -> bool {
    wire.send("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    wire.answer().await.0 == 200
}

async fn oauth_119_idle_connections_of_many_keep_nobody_from_an_answer() {
    let home = Home::of_case().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let (gateway, address) = small_gateway(&home);
    let mut crowd = Vec::new();
    for n in 0..CROWD {
        for beginning in
            ["", "G", "GET /healthz HTTP/1.1\r\n", "POST /nowhere HTTP/1.1\r\ncontent-length: 9\r\n\r\n", "\r\n"]
        {
            let mut wire = Wire::from([127, 0, 1, n], address).await;
            wire.send(beginning).await;
            crowd.push(wire);
        }
        if n % 20 == 0 {
            assert!(is_ready(&mut Wire::to(address).await).await);
        }
    }
    assert_eq!(crowd.len(), usize::from(CROWD) * EACH);
    assert!(is_ready(&mut Wire::to(address).await).await);
    assert!(descriptors(gateway.pid()) < DESCRIPTORS);
    gateway.kill();
}

async fn oauth_119_one_peer_cannot_send_others_away() {
    let home = Home::of_case().with("LEADGATE_LISTEN", "127.0.0.1:0");
    let (gateway, address) = small_gateway(&home);
    let mut other = Wire::from([127, 0, 0, 2], address).await;
    assert!(is_ready(&mut other).await);
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(Wire::from([127, 0, 0, 3], address).await);
    }
    assert!(is_ready(&mut other).await, "its connection, older than all of theirs, is still there");
    gateway.kill();
}
