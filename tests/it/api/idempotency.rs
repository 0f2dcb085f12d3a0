//! `Idempotency-Key` makes any POST safe to repeat for 24 h (`docs/api.md`, section 4).

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Cast, Gate, JsonBody, answer, on_every_engine};

on_every_engine!(
    the_same_key_gets_the_same_answer_and_has_one_effect,
    the_same_key_with_another_body_or_path_is_422,
    a_key_is_free_again_after_a_day_and_belongs_to_its_caller,
    activities_are_safe_to_repeat_too_and_a_refused_request_does_not_burn_its_key,
    a_key_that_cannot_be_one_is_400,
    without_a_key_the_same_nameless_lead_twice_is_one_lead,
);

async fn post(gate: &Gate, cast: &Cast, path: &str, key: &str, body: &Value) -> Answer {
    let (username, password) = &cast.source;
    let request = gate.post(path).basic_auth(username, Some(password)).header("idempotency-key", key);
    answer(request.json_body(body)).await
}

fn result(answer: &Answer) -> (u16, &str, &str) {
    (answer.status, answer.header("x-leadgate-result"), answer.header("location"))
}

async fn the_same_key_gets_the_same_answer_and_has_one_effect() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let path = cast.rest("/leads");
    // Without e-mail or id, a POST under another key is another lead.
    let body = json!({"source": "x", "phone": "555"});
    let first = post(&gate, &cast, &path, "k1", &body).await;
    let again = post(&gate, &cast, &path, "k1", &body).await;
    assert_eq!(result(&first).1, "created");
    assert_eq!(result(&first), result(&again));
    let other = post(&gate, &cast, &path, "k2", &body).await;
    assert_ne!(result(&first).2, result(&other).2);
}

async fn the_same_key_with_another_body_or_path_is_422() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let body = json!({"source": "x", "phone": "555"});
    post(&gate, &cast, &cast.rest("/leads"), "k", &body).await;
    let other_body = post(&gate, &cast, &cast.rest("/leads"), "k", &json!({"source": "x", "phone": "556"})).await;
    let other_path = post(&gate, &cast, &cast.rest("/potential-seller-leads"), "k", &body).await;
    for refused in [other_body, other_path] {
        assert_eq!(refused.status, 422);
        assert_eq!(refused.text, r#"{"error": "Idempotency-Key was used with another request"}"#);
    }
}

async fn a_key_is_free_again_after_a_day_and_belongs_to_its_caller() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let path = cast.rest("/leads");
    let body = json!({"source": "x", "phone": "555"});
    let first = post(&gate, &cast, &path, "k", &body).await;
    let by_partner = gate.post(&path).bearer_auth(&cast.token).header("idempotency-key", "k").json_body(&body);
    assert_ne!(result(&answer(by_partner).await).2, result(&first).2);
    gate.clock.advance(Duration::from_secs(24 * 60 * 60));
    let next_day = post(&gate, &cast, &path, "k", &body).await;
    assert_ne!(result(&next_day).2, result(&first).2);
}

async fn activities_are_safe_to_repeat_too_and_a_refused_request_does_not_burn_its_key() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let created = post(&gate, &cast, &cast.rest("/leads"), "k", &json!({"source": "x", "phone": "1"})).await;
    let path = format!("{}/activities", created.header("location"));
    let good = json!([{"type": "t", "source": "s", "description": "d"}]);
    assert_eq!(post(&gate, &cast, &path, "a", &json!([{"type": "t"}])).await.status, 422);
    assert_eq!(result(&post(&gate, &cast, &path, "a", &good).await).1, "updated");
    assert_eq!(result(&post(&gate, &cast, &path, "a", &good).await).1, "updated");
}

async fn a_key_that_cannot_be_one_is_400() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let body = json!({"source": "x", "phone": "555"});
    for key in ["", &"k".repeat(256)] {
        assert_eq!(post(&gate, &cast, &cast.rest("/leads"), key, &body).await.status, 400);
    }
    assert_eq!(post(&gate, &cast, &cast.rest("/leads"), &"k".repeat(255), &body).await.status, 201);
}

async fn without_a_key_the_same_nameless_lead_twice_is_one_lead() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let (username, password) = &cast.source;
    let post =
        |body: Value| answer(gate.post(&cast.rest("/leads")).basic_auth(username, Some(password)).json_body(&body));
    let first = post(json!({"source": "x", "phone": "555"})).await;
    let again = post(json!({"source": "x", "phone": "555"})).await;
    assert_eq!((first.status, first.header("location")), (201, again.header("location")));
    let other = post(json!({"source": "x", "phone": "556"})).await;
    assert_ne!(first.header("location"), other.header("location"));
    assert_eq!(gate.count("leads"), 2);
}
