//! What is asked with a token, and how refusals are told (checklist 99 to 101).

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::door::{Door, pair};
use crate::harness::{JsonBody, answer, on_every_engine};

on_every_engine!(
    oauth_099_no_other_credential_opens_the_subscription,
    oauth_100_challenges_follow_the_grammar,
    oauth_101_no_answer_may_be_kept,
);

async fn oauth_099_no_other_credential_opens_the_subscription() {
    let door = Door::open().await;
    let (_, refresh) = door.tokens().await;
    let (unused, used) = (door.code().await, door.code().await);
    pair(&door.redeem(&used).await);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = || door.gate.request(method.clone(), &door.subscription());
        for token in [&refresh, &unused, &used, &door.partner.secret] {
            let refused = answer(request().bearer_auth(token)).await;
            let challenge = r#"Bearer realm="leadgate", error="invalid_token""#;
            assert_eq!((refused.status, refused.header("www-authenticate")), (401, challenge));
        }
        let refused = answer(door.as_partner(request())).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, r#"Bearer realm="leadgate""#));
    }
}

async fn oauth_100_challenges_follow_the_grammar() {
    let door = Door::open().await;
    let (refresh, leads) = (door.tokens().await.1, format!("/rest/sites/{}/leads/", door.site.id));
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("scope", "leadrouter:send")];
    let (narrow, _) = pair(&door.token(&form).await);
    let subscription = || door.gate.get(&door.subscription());
    for (request, status, expected) in [
        (subscription(), 401, vec![("Bearer", "")]),
        (subscription().bearer_auth("x"), 401, vec![("Bearer", "invalid_token")]),
        (subscription().header("authorization", "Bearer"), 400, vec![("Bearer", "invalid_request")]),
        (subscription().bearer_auth(&narrow), 403, vec![("Bearer", "insufficient_scope")]),
        (door.gate.post(&leads), 401, vec![("Bearer", ""), ("Basic", "")]),
        (door.gate.post(&leads).basic_auth("x", Some("y")), 401, vec![("Basic", "")]),
        (door.token_request(&[]), 401, vec![("Basic", "")]),
        (door.form_request("/piesync/oauth/revoke/", &[]), 401, vec![("Basic", "")]),
        (door.form_request("/piesync/oauth/introspect/", &[]), 401, vec![("Basic", "")]),
    ] {
        let refused = answer(request).await;
        let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().map(challenge).collect();
        let told: Vec<_> = challenges.iter().map(Challenge::told).collect();
        assert_eq!((refused.status, told), (status, expected));
        assert!(challenges.iter().all(|challenge| challenge.params["realm"] == "leadgate"), "{challenges:?}");
    }
}

/// One challenge (RFC 9110 §11.6.1).
#[derive(Debug)]
struct Challenge {
    scheme: String,
    params: BTreeMap<String, String>,
}

impl Challenge {
    fn told(&self) -> (&str, &str) {
        (&self.scheme, self.params.get("error").map_or("", String::as_str))
    }
}

/// `auth-scheme 1*SP #auth-param`, read without any leniency: `auth-param = token "=" quoted-string`, each name once,
/// and nothing in the quotes that would have to be escaped.
fn challenge(value: &reqwest::header::HeaderValue) -> Challenge {
    let text = value.to_str().unwrap();
    let (scheme, rest) = text.split_once(' ').expect("parameters behind the scheme");
    let token = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    assert!(token(scheme), "{text}");
    let mut params = BTreeMap::new();
    for param in rest.split(", ") {
        let (name, quoted) = param.split_once('=').expect(text);
        let value = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).expect(text);
        assert!(token(name) && value.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
        assert!(params.insert(name.to_owned(), value.to_owned()).is_none(), "{text}");
    }
    Challenge { scheme: scheme.to_owned(), params }
}

async fn oauth_101_no_answer_may_be_kept() {
    let door = Door::open().await;
    let (token, _) = door.tokens().await;
    let path = door.subscription();
    let at = |method: Method, path: &str| door.gate.request(method, path).bearer_auth(&token);
    let good = json!({"url": "https://api.piesync.example/", "secret": "s"});
    let put = |body: &serde_json::Value| at(Method::PUT, &path).json_body(body);
    let unknown = "/piesync/subscription/aa808177-d2cc-415d-b504-a36abf39ac00/";
    let leads = format!("/rest/sites/{}/leads/", door.site.id);
    let requests = [
        (put(&good), 200),
        (at(Method::GET, &path), 200),
        (put(&json!([])), 400),
        (door.gate.get(&path), 401),
        (at(Method::GET, unknown), 404),
        (at(Method::POST, &path), 405),
        (put(&json!({"url": "x".repeat(1024 * 1024)})), 413),
        (put(&json!({})), 422),
        (at(Method::DELETE, &path), 204),
        (at(Method::GET, &path), 404),
        (at(Method::POST, &leads).json_body(&json!({"source": "x", "email": "a@b.com"})), 201),
        (at(Method::POST, &leads).json_body(&json!({})), 422),
        (at(Method::GET, &format!("/rest/sites/{}/users/", door.site.id)), 200),
    ];
    for (request, status) in requests {
        let answer = answer(request).await;
        assert_eq!((answer.status, answer.header("cache-control")), (status, "no-store"), "{}", answer.text);
    }
}
