//! Revocation (checklist 102, 104 to 109).

use std::time::Duration;

use leadgate::store::Found;
use reqwest::Method;
use serde_json::json;

use super::door::{Door, assert_refused};
use crate::harness::{JsonBody, answer, on_every_engine};

on_every_engine!(
    oauth_102_a_revoked_token_is_dead_at_once,
    oauth_104_live_dead_and_unknown_tokens_are_answered_alike,
    oauth_104_the_client_must_authenticate_and_send_a_form,
    oauth_105_either_token_ends_the_grant_and_all_its_tokens,
    oauth_105_an_expired_access_token_still_leads_to_its_refresh_token,
    oauth_105_the_subscription_outlives_the_grant,
    oauth_106_a_wrong_hint_is_only_a_hint,
    oauth_107_another_partners_token_lives_on,
    oauth_108_a_missing_token_is_an_invalid_request,
    oauth_109_a_success_is_an_empty_json_object,
);

async fn oauth_102_a_revoked_token_is_dead_at_once() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    assert!(door.opens(&access).await);
    door.revoke(&access).await;
    for path in [door.subscription(), format!("/rest/sites/{}/users", door.site.id)] {
        let refused = answer(door.gate.get(&path).bearer_auth(&access)).await;
        let challenge = r#"Bearer realm="leadgate", error="invalid_token""#;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, challenge));
    }
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
    assert_eq!(door.introspect(&access).await, json!({"active": false}));
}

async fn oauth_104_live_dead_and_unknown_tokens_are_answered_alike() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    let code = door.code().await;
    let unknown = format!("lga_{}", "0".repeat(64));
    let long = "x".repeat(10_000);
    for token in [&access, &access, &refresh, &refresh, &unknown, &code, "x", "lgr_", "é", &long] {
        door.revoke(token).await;
    }
    assert_eq!(door.redeem(&code).await.status, 200, "a code is no token");
}

async fn oauth_104_the_client_must_authenticate_and_send_a_form() {
    let door = Door::open().await;
    let (access, _) = door.tokens().await;
    let form = [("token", access.as_str())];
    for path in ["/piesync/oauth/revoke/", "/piesync/oauth/revoke"] {
        let request = || door.form_request(path, &form);
        assert_refused(&answer(request()).await, 401, "invalid_client");
        let wrong = request().basic_auth(door.partner.partner.client_id.as_str(), Some("wrong"));
        assert_refused(&answer(wrong).await, 401, "invalid_client");
        assert_refused(&answer(request().bearer_auth(&access)).await, 401, "invalid_client");
        let json = door.as_partner(door.gate.post(path)).json_body(&json!({"token": access}));
        assert_refused(&answer(json).await, 400, "invalid_request");
        let query = door.as_partner(door.form_request(&format!("{path}?token={access}"), &[]));
        assert_refused(&answer(query).await, 400, "invalid_request");
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let other = answer(door.gate.request(method, path)).await;
            assert_eq!((other.status, other.header("allow")), (405, "POST"));
        }
    }
    assert_refused(&door.revocation(&[form[0], form[0]]).await, 400, "invalid_request");
    assert!(door.opens(&access).await);
}

async fn oauth_105_either_token_ends_the_grant_and_all_its_tokens() {
    let door = Door::open().await;
    let (other, _) = door.tokens().await;
    for which in [0, 1] {
        let (first_access, first_refresh) = door.tokens().await;
        let (access, refresh) = super::door::pair(&door.refresh(&first_refresh).await);
        door.revoke([&access, &refresh][which]).await;
        assert!(!door.opens(&first_access).await && !door.opens(&access).await);
        assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
    }
    assert!(door.opens(&other).await, "another grant to the same partner for the same site");
}

async fn oauth_105_an_expired_access_token_still_leads_to_its_refresh_token() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    door.gate.clock.advance(Duration::from_secs(30 * 24 * 3600));
    while door.gate.gateway().tidy_step().await.unwrap() > 0 {}
    door.revoke(&access).await;
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
}

async fn oauth_105_the_subscription_outlives_the_grant() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    let path = door.subscription();
    let body = json!({"url": "https://api.piesync.example/", "secret": "s"});
    let put = door.gate.request(Method::PUT, &path).bearer_auth(&access).json_body(&body);
    assert_eq!(answer(put).await.status, 200);
    door.revoke(&refresh).await;
    let found = door.gate.store.subscription(door.partner.partner.id, door.site.id).await.unwrap();
    assert!(matches!(found, Found::One(_)), "{found:?}");
    let (again, _) = door.tokens().await;
    assert_eq!(answer(door.gate.get(&path).bearer_auth(&again)).await.json(), body);
}

async fn oauth_106_a_wrong_hint_is_only_a_hint() {
    let door = Door::open().await;
    for hint in ["refresh_token", "access_token", "id_token", ""] {
        let (access, refresh) = door.tokens().await;
        for token in [&access, &refresh] {
            let answer = door.introspection(&[("token", token), ("token_type_hint", hint)]).await;
            assert_eq!(answer.json()["active"], true, "{hint}");
        }
        let answer = door.revocation(&[("token", &access), ("token_type_hint", hint)]).await;
        assert_eq!((answer.status, door.opens(&access).await), (200, false), "{hint}");
        let (_, refresh) = door.tokens().await;
        let answer = door.revocation(&[("token", &refresh), ("token_type_hint", hint)]).await;
        assert_eq!(answer.status, 200);
        assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
    }
}

async fn oauth_107_another_partners_token_lives_on() {
    let door = Door::open().await;
    let (access, refresh) = door.tokens().await;
    let stranger = door.stranger().await;
    for token in [&access, &refresh] {
        assert_eq!(stranger.post(&door, "revoke", &[("token", token)]).await.status, 200);
    }
    assert!(door.opens(&access).await);
    assert_eq!(door.refresh(&refresh).await.status, 200);
}

async fn oauth_108_a_missing_token_is_an_invalid_request() {
    let door = Door::open().await;
    for form in [&[][..], &[("token", "")], &[("token_type_hint", "access_token")]] {
        assert_refused(&door.revocation(form).await, 400, "invalid_request");
    }
}

async fn oauth_109_a_success_is_an_empty_json_object() {
    let door = Door::open().await;
    let (access, _) = door.tokens().await;
    let done = door.revocation(&[("token", &access)]).await;
    assert_eq!((done.status, done.text.as_str(), done.header("content-type")), (200, "{}", "application/json"));
    assert_eq!((done.header("cache-control"), done.header("pragma")), ("no-store", "no-cache"));
}
