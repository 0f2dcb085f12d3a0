//! What a guesser learns from an answer that it must not learn.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::Wire;
use crate::harness::{Gate, JsonBody, answer, on_every_engine};

on_every_engine!(a_throttled_guess_is_answered_alike_and_at_once_whether_it_is_right_or_not);

async fn a_throttled_guess_is_answered_alike_and_at_once_whether_it_is_right_or_not() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let (username, password) = &cast.source;
    let path = cast.rest("/leads");
    let lead = serde_json::json!({"source": "test", "first_name": "Ann"});
    let sent = async |password: &str| {
        answer(gate.post(&path).basic_auth(username, Some(password)).json_body(&lead)).await.status
    };
    assert_eq!(sent(password).await, 201, "so the gateway knows it");
    while sent("wrong").await != 429 {}
    let mut answers = Vec::new();
    for password in [password, "wrong"] {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        let mut wire = Wire::to(gate.address).await;
        // The body is kept back.
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {pair}\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n"
        ))
        .await;
        answers.push(wire.status().await);
    }
    assert_eq!(answers, [429, 429]);
}
