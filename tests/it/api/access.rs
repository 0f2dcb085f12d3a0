//! Bearer tokens and Basic credentials on the APIs (`docs/api.md`, section 2 and 4; RFC 6750, RFC 7617).

use std::time::Duration;

use leadgate::config::PublicUrl;
use leadgate::model::source::Reach;
use serde_json::json;

use crate::harness::{Gate, JsonBody, answer, on_every_engine};

on_every_engine!(
    oauth_092_no_token_is_401_with_a_bare_challenge,
    oauth_093_bad_and_expired_tokens_are_401_invalid_token,
    oauth_095_two_credentials_or_a_malformed_header_are_400,
    oauth_096_the_scheme_is_read_in_any_case,
    oauth_097_a_token_in_query_or_body_is_no_credential,
    the_leads_api_takes_a_token_or_a_source_and_names_both_when_it_gets_neither,
    a_source_for_named_sites_reaches_no_other,
    removing_a_source_or_a_partner_ends_its_access_at_once,
    a_source_that_was_removed_hears_nothing_but_that_whatever_it_sends,
    an_unknown_path_is_a_page_for_people_and_json_for_programs,
    oauth_118_browsers_are_told_to_stay_with_https_where_the_gateway_is_reached_by_it,
);

const NO_ERROR: &str = r#"Bearer realm="leadgate""#;
const INVALID: &str = r#"Bearer realm="leadgate", error="invalid_token""#;

async fn oauth_092_no_token_is_401_with_a_bare_challenge() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let path = cast.subscription();
    for request in [
        gate.get(&path),
        gate.get(&path).basic_auth("portal", Some("x")),
        gate.get(&path).header("authorization", "Digest x"),
    ] {
        let refused = answer(request).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, NO_ERROR));
        assert!(refused.json()["error"].is_string());
    }
}

async fn oauth_093_bad_and_expired_tokens_are_401_invalid_token() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let refused = answer(gate.get(&cast.subscription()).bearer_auth("lga_unknown")).await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, INVALID));
    assert_eq!(answer(gate.get(&cast.subscription()).bearer_auth(&cast.token)).await.status, 404);
    gate.clock.advance(Duration::from_secs(3600));
    let expired = answer(gate.get(&cast.subscription()).bearer_auth(&cast.token)).await;
    assert_eq!((expired.status, expired.header("www-authenticate")), (401, INVALID));
}

async fn oauth_095_two_credentials_or_a_malformed_header_are_400() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let twice = gate.get(&cast.subscription()).bearer_auth(&cast.token).bearer_auth(&cast.token);
    let malformed = gate.get(&cast.subscription()).header("authorization", "Bearer a b");
    for request in [twice, malformed] {
        let refused = answer(request).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.header("www-authenticate"), r#"Bearer realm="leadgate", error="invalid_request""#);
    }
}

async fn oauth_096_the_scheme_is_read_in_any_case() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    for scheme in ["bearer", "BEARER", "Bearer"] {
        let request = gate.get(&cast.subscription()).header("authorization", format!("{scheme} {}", cast.token));
        assert_eq!(answer(request).await.status, 404);
    }
}

async fn oauth_097_a_token_in_query_or_body_is_no_credential() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let query = format!("{}?access_token={}", cast.subscription(), cast.token);
    assert_eq!(answer(gate.get(&query)).await.status, 401);
    let body = json!({"access_token": cast.token});
    assert_eq!(answer(gate.request(reqwest::Method::PUT, &cast.subscription()).json_body(&body)).await.status, 401);
}

async fn the_leads_api_takes_a_token_or_a_source_and_names_both_when_it_gets_neither() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let path = cast.rest("/users");
    let refused = answer(gate.get(&path)).await;
    let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!((refused.status, challenges), (401, vec![NO_ERROR, r#"Basic realm="leadgate", charset="UTF-8""#]));
    assert_eq!(answer(gate.get(&path).bearer_auth(&cast.token)).await.status, 200);
    let (username, password) = &cast.source;
    assert_eq!(answer(gate.get(&path).basic_auth(username, Some(password))).await.status, 200);
    for (username, password) in [("portal", "wrong"), ("nobody", password), ("", "")] {
        let refused = answer(gate.get(&path).basic_auth(username, Some(password))).await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.header("www-authenticate"), r#"Basic realm="leadgate", charset="UTF-8""#);
        assert_eq!(refused.text, r#"{"error": "Wrong username or password"}"#);
    }
}

async fn a_source_for_named_sites_reaches_no_other() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let other = gate.site("www.other.com", &[]).await;
    let (username, password) = gate.source("narrow", Reach::Only(vec![other.id])).await;
    let at = |site| gate.get(&format!("/rest/sites/{site}/users")).basic_auth(&username, Some(&password));
    assert_eq!(answer(at(other.id)).await.status, 200);
    let refused = answer(at(cast.site.id)).await;
    assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"error": "Site not found"}"#));
}

async fn removing_a_source_or_a_partner_ends_its_access_at_once() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let (username, password) = &cast.source;
    gate.store.remove_source(&username.parse().unwrap()).await.unwrap();
    assert_eq!(answer(gate.get(&cast.rest("/users")).basic_auth(username, Some(password))).await.status, 401);
    gate.store.remove_partner(&cast.partner.partner.slug, gate.now()).await.unwrap();
    assert_eq!(answer(gate.get(&cast.rest("/users")).bearer_auth(&cast.token)).await.status, 401);
}

async fn a_source_that_was_removed_hears_nothing_but_that_whatever_it_sends() {
    let gate = Gate::start().await;
    let cast = gate.cast().await;
    let (username, password) = &cast.source;
    let too_large = format!(r#"{{"first_name": "{}"}}"#, "x".repeat(1024 * 1024));
    let bodies = [r#"{"source": "test", "first_name": "Ann"}"#, "{", "{}", r#"{"id": 1}"#, &too_large];
    let answers = async |password: &str| {
        let mut answers = Vec::new();
        for body in bodies {
            let request = gate.request(reqwest::Method::POST, &cast.rest("/leads"));
            let request = request.basic_auth(username, Some(password)).body(body.to_owned());
            answers.push(answer(request).await.status);
        }
        answers
    };
    // The second time it is known already.
    for _ in 0..2 {
        assert_eq!(answers(password).await, [201, 400, 422, 422, 413]);
    }
    gate.store.remove_source(&username.parse().unwrap()).await.unwrap();
    assert_eq!(answers(password).await, [401; 5]);
    // Nor is it heard once somebody else has its name.
    let (_, other) = gate.source(username, Reach::All).await;
    assert_eq!(answers(&other).await, [201, 400, 422, 422, 413]);
    assert_eq!(answers(password).await, [401; 5]);
    assert_eq!(answers(&other).await, [429; 5], "ten passwords were wrong");
}

async fn an_unknown_path_is_a_page_for_people_and_json_for_programs() {
    let gate = Gate::start().await;
    let page = answer(gate.get("/nowhere/at/all").header("accept", "text/html,*/*")).await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let json = answer(gate.get("/nowhere/at/all")).await;
    assert_eq!((json.status, json.text.as_str()), (404, r#"{"error": "Not found"}"#));
}

async fn oauth_118_browsers_are_told_to_stay_with_https_where_the_gateway_is_reached_by_it() {
    let gate = Gate::start_with(|settings| settings.public_url = PublicUrl::parse("https://a.example").unwrap()).await;
    assert_eq!(answer(gate.get("/healthz")).await.header("strict-transport-security"), "max-age=31536000");
    // Not what a header says, and be it a listed proxy's: only `public_url` tells how browsers come.
    let plain = Gate::start_with(|settings| settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let forwarded = plain.get("/healthz").header("x-forwarded-proto", "https").header("forwarded", "proto=https");
    assert_eq!(answer(forwarded).await.header("strict-transport-security"), "");
}
