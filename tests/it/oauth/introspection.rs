//! Introspection (checklist 110 to 114).

use std::time::Duration;

use leadgate::model::time;
use reqwest::Method;
use serde_json::{Value, json};

use super::door::{Door, assert_refused, pair};
use crate::harness::{JsonBody, answer, on_every_engine};

on_every_engine!(
    oauth_110_the_caller_must_authenticate_and_send_a_form,
    oauth_111_wrong_credentials_are_401_and_no_answer,
    oauth_112_of_what_is_not_live_nothing_is_told,
    oauth_113_a_live_access_token_is_described,
    oauth_113_a_live_refresh_token_is_described_and_is_no_bearer_token,
    oauth_114_a_refresh_token_is_judged_by_its_own_life,
    oauth_114_a_replaced_refresh_token_is_live_while_it_would_be_honoured,
);

async fn oauth_110_the_caller_must_authenticate_and_send_a_form() {
    let door = Door::open().await;
    let (access, _) = door.tokens().await;
    let form = [("token", access.as_str())];
    for path in ["/piesync/oauth/introspect/", "/piesync/oauth/introspect"] {
        assert_refused(&answer(door.form_request(path, &form)).await, 401, "invalid_client");
        assert_refused(&answer(door.form_request(path, &form).bearer_auth(&access)).await, 401, "invalid_client");
        let json = door.as_partner(door.gate.post(path)).json_body(&json!({"token": access}));
        assert_refused(&answer(json).await, 400, "invalid_request");
        assert_refused(&answer(door.as_partner(door.form_request(path, &[]))).await, 400, "invalid_request");
        let query = door.as_partner(door.form_request(&format!("{path}?token={access}"), &[]));
        assert_refused(&answer(query).await, 400, "invalid_request");
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let other = answer(door.gate.request(method, path)).await;
            assert_eq!((other.status, other.header("allow")), (405, "POST"));
        }
        assert_eq!(answer(door.as_partner(door.form_request(path, &form))).await.json()["active"], true);
    }
    assert_refused(&door.introspection(&[form[0], form[0]]).await, 400, "invalid_request");
}

async fn oauth_111_wrong_credentials_are_401_and_no_answer() {
    let door = Door::open().await;
    let (access, _) = door.tokens().await;
    let request = || door.form_request("/piesync/oauth/introspect/", &[("token", &access)]);
    let client_id = door.partner.partner.client_id.as_str();
    for request in [
        request().basic_auth(client_id, Some("wrong")),
        request().basic_auth("nobody", Some(&door.partner.secret)),
        request().header("authorization", "Basic !"),
    ] {
        let refused = answer(request).await;
        assert_refused(&refused, 401, "invalid_client");
        assert_eq!(refused.json().get("active"), None);
    }
}

async fn oauth_112_of_what_is_not_live_nothing_is_told() {
    let door = Door::open().await;
    let code = door.code().await;
    let (access, refresh) = door.tokens().await;
    let unknown = [format!("lga_{}", "0".repeat(64)), format!("lgr_{}", "0".repeat(64)), "x".repeat(10_000)];
    let malformed = ["x", "lga_", "lgr_", "é", " ", "Bearer x"].map(str::to_owned);
    let secret = door.partner.secret.clone();
    let dead = |answer: &crate::harness::Answer| {
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"active": false}"#));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    };
    for token in unknown.into_iter().chain(malformed).chain([code, secret]) {
        dead(&door.introspection(&[("token", &token)]).await);
    }
    let stranger = door.stranger().await;
    for token in [&access, &refresh] {
        dead(&stranger.post(&door, "introspect", &[("token", token)]).await);
    }
    door.gate.clock.advance(Duration::from_secs(3600));
    dead(&door.introspection(&[("token", &access)]).await);
    let (access, refresh) = pair(&door.refresh(&refresh).await);
    door.revoke(&refresh).await;
    for token in [&access, &refresh] {
        dead(&door.introspection(&[("token", token)]).await);
    }
}

async fn oauth_113_a_live_access_token_is_described() {
    let door = Door::open().await;
    let (_, refresh) = door.tokens().await;
    door.gate.clock.advance(Duration::from_secs(100));
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("scope", "leadrouter:send")];
    let (access, _) = pair(&door.token(&form).await);
    let answer = door.introspection(&[("token", &access)]).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let issued = door.gate.now().as_second();
    let described = json!({
        "active": true,
        "scope": "leadrouter:send",
        "token_type": "Bearer",
        "exp": issued + 3600,
        "iat": issued,
    });
    assert_eq!(answer.json(), with_holder(&door, described));
    // It is the token's own time that is told, and not that of the question.
    door.gate.clock.advance(Duration::from_secs(100));
    assert_eq!(door.introspect(&access).await, answer.json());
}

/// With what is said of both kinds of tokens.
fn with_holder(door: &Door, mut described: Value) -> Value {
    described["client_id"] = door.partner.partner.client_id.as_str().into();
    described["sub"] = door.owner.id.to_string().into();
    described["iss"] = door.gate.url("/piesync").into();
    described["site_uuid"] = door.site.id.to_string().into();
    described
}

async fn oauth_113_a_live_refresh_token_is_described_and_is_no_bearer_token() {
    let door = Door::open().await;
    let (_, refresh) = door.tokens().await;
    let issued = door.gate.now();
    let described = json!({
        "active": true,
        "scope": "leadrouter:connect leadrouter:send",
        "exp": time::after(issued, Duration::from_secs(180 * 24 * 3600)).as_second(),
        "iat": issued.as_second(),
    });
    assert_eq!(door.introspect(&refresh).await, with_holder(&door, described));
}

async fn oauth_114_a_refresh_token_is_judged_by_its_own_life() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    let active = async |token| door.introspect(token).await["active"] == true;
    door.gate.clock.advance(Duration::from_secs(3600));
    assert!(!active(&access).await && active(&refresh).await);
    door.gate.clock.advance(Duration::from_secs(180 * 24 * 3600 - 3601));
    assert!(active(&refresh).await);
    door.gate.clock.advance(Duration::from_secs(1));
    assert!(!active(&refresh).await);
}

async fn oauth_114_a_replaced_refresh_token_is_live_while_it_would_be_honoured() {
    let door = Door::open().await;
    let (_, first) = door.tokens().await;
    let (access, second) = pair(&door.refresh(&first).await);
    let active = async |token| door.introspect(token).await["active"] == true;
    door.gate.clock.advance(Duration::from_secs(60));
    assert!(active(&first).await && active(&second).await);
    door.gate.clock.advance(Duration::from_millis(1));
    assert!(!active(&first).await && active(&second).await);
    assert!(door.opens(&access).await, "to ask is not to replay");
    let (_, third) = pair(&door.refresh(&second).await);
    pair(&door.refresh(&third).await);
    assert!(!active(&second).await, "it was replaced just now, and so was its successor");
}
