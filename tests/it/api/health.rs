//! What load balancers and supervisors are told.

use std::time::Duration;

use leadgate::domain::health::{LATE, STUCK};
use reqwest::Method;
use serde_json::json;

use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{Gate, JsonBody, answer, on_every_engine};

on_every_engine!(a_gateway_whose_deliveries_are_late_is_not_ready, a_gateway_whose_deliveries_go_out_is_ready);

/// A lead on its way to a subscription's receiver.
async fn lead(gate: &Gate, receiver: &Receiver) {
    let cast = gate.cast().await;
    let subscription = json!({"url": receiver.url("/"), "secret": "s3cret"});
    let put = gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token).json_body(&subscription);
    assert_eq!(answer(put).await.status, 200);
    let (username, password) = &cast.source;
    let lead = json!({"source": "Zillow", "email": "a@b.com"});
    let post = gate.post(&cast.rest("/leads")).basic_auth(username, Some(password)).json_body(&lead);
    assert_eq!(answer(post).await.status, 201);
}

async fn a_gateway_whose_deliveries_are_late_is_not_ready() {
    // There is no room for anything: an engine that is stuck.
    let (gate, mut receiver) =
        (Gate::start_with(|settings| settings.delivery.memory = 0).await, Receiver::start().await);
    lead(&gate, &receiver).await;
    let ready = answer(gate.get("/readyz")).await;
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "oldest_due_seconds": 0})));

    gate.clock.advance(LATE + Duration::from_secs(15));

    let late = answer(gate.get("/readyz")).await;
    let expected = json!({"ready": false, "error": "deliveries that could be sent are late", "oldest_due_seconds": 75});
    assert_eq!((late.status, late.json()), (503, expected));
    // It makes its rounds: a restart would not help.
    let alive = answer(gate.get("/healthz")).await;
    assert_eq!((alive.status, alive.text.as_str()), (200, "ok\n"));
    receiver.assert_quiet();
}

async fn a_gateway_whose_deliveries_go_out_is_ready() {
    let (gate, mut receiver) = (Gate::start().await, Receiver::start().await);
    lead(&gate, &receiver).await;
    receiver.answer(Reply::status(200)).await;
    let now = gate.clock.advance(STUCK);
    // The driver has made a round since.
    gate.clock.awaited(leadgate::model::time::after(now, Duration::from_secs(1))).await;
    for path in ["/readyz", "/healthz"] {
        assert_eq!(answer(gate.get(path)).await.status, 200, "{path}");
    }
}
