//! Requests that two servers could read in two ways. Whatever the gateway makes of them, what follows is not taken for a
//! request of its own: behind a proxy, that would be somebody else's.

use super::wire::{Wire, statuses};
use crate::harness::{Cast, Gate, on_every_engine};

on_every_engine!(
    a_head_that_can_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read,
    a_body_ends_where_its_length_says,
    requests_in_one_packet_are_answered_one_after_the_other,
    odd_methods_and_targets_do_nothing,
    another_protocol_is_not_spoken,
);

/// A request that must never be carried out.
const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

async fn a_head_that_can_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read() {
    let gate = Gate::start().await;
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for (headers, body) in [
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", chunks),
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n", chunks),
        ("content-length: 5\r\ncontent-length: 6\r\n", "hello"),
        ("content-length: 5, 6\r\n", "hello"),
        ("content-length: +5\r\n", "hello"),
        ("content-length: -5\r\n", "hello"),
        ("content-length: 0x5\r\n", "hello"),
        ("content-length: 99999999999999999999\r\n", "hello"),
        ("content-length : 5\r\n", "hello"),
        ("transfer-encoding: identity\r\n", "hello"),
        ("transfer-encoding: chunked, gzip\r\n", chunks),
        ("transfer-encoding: xchunked\r\n", chunks),
        ("transfer-encoding : chunked\r\n", chunks),
        ("transfer-encoding:\r\n chunked\r\n", chunks),
        ("x: y\r\n folded\r\n", ""),
        ("x: a\0b\r\n", ""),
        ("x: a\rb\r\n", ""),
        ("x\0: a\r\n", ""),
        ("x y: a\r\n", ""),
        (": a\r\n", ""),
        ("no colon\r\n", ""),
    ] {
        let mut wire = Wire::to(gate.address).await;
        wire.send(format!("POST /nowhere HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}{SMUGGLED}")).await;
        wire.finish().await;
        let answers = wire.rest().await;
        assert!(matches!(statuses(&answers)[..], [400 | 404 | 431 | 501]), "{headers:?}: {answers}");
        assert!(!answers.contains("200 OK"), "{headers:?}: {answers}");
    }
}

/// A chunked lead of the cast, with these chunks.
fn chunked(cast: &Cast, chunks: &str) -> String {
    let (path, token) = (cast.rest("/leads"), &cast.token);
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n");
    format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}{SMUGGLED}")
}

async fn a_body_ends_where_its_length_says() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000));
    for bad in [
        "5 \rhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\nhello\n0\n\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        &long,
    ] {
        let mut wire = Wire::to(gate.address).await;
        wire.send(chunked(&cast, bad)).await;
        wire.finish().await;
        let answers = wire.rest().await;
        assert!(matches!(statuses(&answers)[..], [400] | []), "{:?}: {answers}", &bad[..bad.len().min(40)]);
    }
    assert_eq!(gate.count("leads"), 0);
}

async fn requests_in_one_packet_are_answered_one_after_the_other() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let body = r#"{"source":"x","phone":"1"}"#;
    let (path, token, length) = (cast.rest("/leads"), &cast.token, body.len());
    let post = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut wire = Wire::to(gate.address).await;
    wire.send(format!("{SMUGGLED}{post}{SMUGGLED}")).await;
    assert_eq!(wire.answer().await.0, 200);
    assert_eq!(wire.answer().await, (201, "{}".to_owned()));
    assert_eq!(wire.answer().await.0, 200);
    assert_eq!(gate.count("leads"), 1);
}

async fn odd_methods_and_targets_do_nothing() {
    let gate = Gate::start().await;
    for (line, status) in [
        ("TRACE /healthz HTTP/1.1", 405),
        ("CONNECT 127.0.0.1:22 HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("OPTIONS /healthz HTTP/1.1", 405),
        ("PRI /healthz HTTP/1.1", 405),
        ("GET http://elsewhere.example/healthz HTTP/1.1", 200),
        ("GET //elsewhere.example/ HTTP/1.1", 404),
        ("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", 404),
        ("GET /assets/../../etc/passwd HTTP/1.1", 404),
        ("GET healthz HTTP/1.1", 404),
        ("GET /healthz HTTP/3.0", 400),
        ("GET /healthz", 400),
        ("GET  /healthz HTTP/1.1", 400),
        ("GET /health z HTTP/1.1", 400),
        ("GET /health\0z HTTP/1.1", 400),
    ] {
        let mut wire = Wire::to(gate.address).await;
        wire.send(format!("{line}\r\nhost: x\r\n\r\n")).await;
        wire.finish().await;
        let answers = wire.rest().await;
        assert_eq!(statuses(&answers), [status], "{line}: {answers}");
        let lower = answers.to_lowercase();
        assert!(!lower.contains("elsewhere") && !lower.contains("access-control"), "{line}: {answers}");
    }
}

async fn another_protocol_is_not_spoken() {
    let gate = Gate::start().await;
    for beginning in
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", b"\0\0\0\0\r\n\r\n"]
    {
        let mut wire = Wire::to(gate.address).await;
        wire.send(beginning).await;
        wire.finish().await;
        let answers = wire.rest().await;
        assert!(matches!(statuses(&answers)[..], [400] | []), "{answers}");
    }
    let mut wire = Wire::to(gate.address).await;
    wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n").await;
    assert_eq!(wire.answer().await.0, 200);
}
