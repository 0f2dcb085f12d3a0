//! Callers that are slow, endless or too many-worded.

use std::time::Duration;

use leadgate::model::time::after;

use super::wire::Wire;
use crate::harness::{Cast, Gate, on_every_engine};

on_every_engine!(
    oauth_119_a_head_that_trickles_times_out,
    oauth_119_a_body_that_trickles_times_out,
    oauth_119_a_strangers_body_is_not_waited_for,
    oauth_119_a_connection_that_asks_for_nothing_more_is_closed,
    oauth_119_heads_have_a_size_and_headers_a_number,
);

/// How long a head may take, and a body.
const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);

async fn oauth_119_a_head_that_trickles_times_out() {
    let gate = Gate::start().await;
    let mut wire = Wire::to(gate.address).await;
    wire.send("GET /healthz HTTP/1.1\r\nHo").await;
    gate.clock.awaited(after(gate.now(), HEAD)).await;
    gate.clock.advance(HEAD - Duration::from_millis(1));
    wire.send("st: x\r\nX").await;
    gate.clock.advance(Duration::from_millis(1));
    assert_eq!(wire.rest().await, "");
}

/// The head of a lead that says it is `length` bytes long.
fn head(cast: &Cast, length: usize) -> String {
    let path = cast.rest("/leads");
    let token = &cast.token;
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n")
}

async fn oauth_119_a_body_that_trickles_times_out() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let mut wire = Wire::to(gate.address).await;
    wire.send(head(&cast, 100)).await;
    wire.send("{\"source\":").await;
    gate.clock.awaited(after(gate.now(), BODY)).await;
    gate.clock.advance(BODY - Duration::from_millis(1));
    wire.send("\"x\"").await;
    gate.clock.advance(Duration::from_millis(1));
    assert_eq!(wire.status().await, 408);
    assert!(wire.rest().await.ends_with(r#"{"error": "Request body did not arrive in time"}"#));
    assert_eq!(gate.count("leads"), 0);
}

async fn oauth_119_a_strangers_body_is_not_waited_for() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let mut wire = Wire::to(gate.address).await;
    wire.send(head(&cast, 100).replace(&cast.token, "stolen")).await;
    assert_eq!(wire.status().await, 401);
    wire.rest().await;
}

async fn oauth_119_a_connection_that_asks_for_nothing_more_is_closed() {
    let gate = Gate::start().await;
    let mut wire = Wire::to(gate.address).await;
    gate.clock.awaited(after(gate.now(), HEAD)).await;
    gate.clock.advance(Duration::from_secs(1));
    wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(wire.answer().await.0, 200);
    gate.clock.awaited(after(gate.now(), HEAD)).await;
    gate.clock.advance(HEAD);
    assert_eq!(wire.rest().await, "");
}

async fn oauth_119_heads_have_a_size_and_headers_a_number() {
    let gate = Gate::start().await;
    let many = "x: y\r\n".repeat(101);
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    for headers in [many, long] {
        let mut wire = Wire::to(gate.address).await;
        wire.send(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await;
        assert_eq!(wire.status().await, 431);
    }
}
