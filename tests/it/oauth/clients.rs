//! Client authentication (checklist 58 to 67).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::door::{CALLBACK, Door, assert_refused};
use crate::harness::{Answer, answer, on_every_engine};

on_every_engine!(
    oauth_058_the_scheme_is_read_in_any_case,
    oauth_059_form_encoded_credentials_are_read_too,
    oauth_060_061_what_cannot_be_read_is_a_failed_authentication,
    oauth_062_unknown_clients_are_answered_like_wrong_secrets,
    oauth_064_two_methods_at_once_are_refused,
    oauth_065_a_client_id_in_the_body_must_be_the_same,
    oauth_066_a_secret_in_the_body_is_no_authentication,
);

impl Door {
    /// A refresh with this `Authorization` header: past the client's authentication it is `invalid_grant`.
    async fn knock(&self, header: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", "unknown")];
        answer(self.token_request(&form).header("authorization", header)).await
    }

    fn basic(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.partner.partner.client_id.as_str(), self.partner.secret))
    }
}

async fn oauth_058_the_scheme_is_read_in_any_case() {
    let door = Door::open().await;
    for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
        assert_refused(&door.knock(&format!("{scheme} {}", door.basic())).await, 400, "invalid_grant");
    }
}

async fn oauth_059_form_encoded_credentials_are_read_too() {
    let door = Door::open().await;
    let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let (id, secret) = (percent(door.partner.partner.client_id.as_str()), percent(&door.partner.secret));
    let header = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    assert_refused(&door.knock(&header).await, 400, "invalid_grant");
}

async fn oauth_060_061_what_cannot_be_read_is_a_failed_authentication() {
    let door = Door::open().await;
    let encoded: Vec<String> = [&b"no colon"[..], b"a%zz:b", b"a%00:b%00", b"a\0:b", b"\xff:\xff", b"", b":"]
        .map(|pair| format!("Basic {}", STANDARD.encode(pair)))
        .into();
    let broken = ["Basic", "Basic !", "Basic a:b", "Bearer x", "Digest x", "x"].map(str::to_owned);
    for header in encoded.into_iter().chain(broken) {
        let answer = door.knock(&header).await;
        assert_refused(&answer, 401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"leadgate\"", "{header}");
    }
    let none = answer(door.token_request(&[("grant_type", "refresh_token"), ("refresh_token", "x")])).await;
    assert_refused(&none, 401, "invalid_client");
}

async fn oauth_062_unknown_clients_are_answered_like_wrong_secrets() {
    let door = Door::open().await;
    let other = door.gate.partner("cinc").await;
    let own = door.partner.partner.client_id.as_str();
    let mut answers = Vec::new();
    for (id, secret) in [(own, "wrong"), ("nobody", "wrong"), (other.partner.client_id.as_str(), &other.secret)] {
        let answer = door.knock(&format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))).await;
        assert_refused(&answer, 401, "invalid_client");
        answers.push((answer.header("www-authenticate").to_owned(), answer.text));
    }
    let elsewhere = door.gate.post("/nobody/oauth/token/").header("authorization", format!("Basic {}", door.basic()));
    let elsewhere =
        answer(elsewhere.header("content-type", "application/x-www-form-urlencoded").body("grant_type=x")).await;
    assert_refused(&elsewhere, 401, "invalid_client");
    answers.push((elsewhere.header("www-authenticate").to_owned(), elsewhere.text));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn oauth_064_two_methods_at_once_are_refused() {
    let door = Door::open().await;
    let code = door.code().await;
    let good = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let secret = [("client_secret", door.partner.secret.as_str())];
    assert_refused(&door.token(&[&good[..], &secret].concat()).await, 400, "invalid_request");
    let twice = door.partners_request(&good).header("authorization", format!("Basic {}", door.basic()));
    assert_refused(&answer(twice).await, 400, "invalid_request");
    assert_eq!(door.redeem(&code).await.status, 200);
}

async fn oauth_065_a_client_id_in_the_body_must_be_the_same() {
    let door = Door::open().await;
    let code = door.code().await;
    let good = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    assert_refused(&door.token(&[&good[..], &[("client_id", "other")]].concat()).await, 400, "invalid_request");
    let same = [("client_id", door.partner.partner.client_id.as_str())];
    assert_eq!(door.token(&[&good[..], &same].concat()).await.status, 200);
}

async fn oauth_066_a_secret_in_the_body_is_no_authentication() {
    let door = Door::open().await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", door.partner.partner.client_id.as_str()),
        ("client_secret", door.partner.secret.as_str()),
    ];
    assert_refused(&answer(door.token_request(&form)).await, 401, "invalid_client");
}
