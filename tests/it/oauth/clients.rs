//! Client authentication (checklist 58 to 67).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use leadgate::model::token::{Credential, Plain};
use sha2::{Digest, Sha256};

use super::door::{CALLBACK, Door, assert_refused};
use crate::harness::{Answer, answer, on_every_engine};

on_every_engine!(
    oauth_058_the_scheme_is_read_in_any_case,
    oauth_059_form_encoded_credentials_are_read_too,
    oauth_059_secrets_of_any_characters_are_read_encoded_and_raw,
    oauth_060_what_cannot_be_read_is_a_failed_authentication,
    oauth_061_a_failed_authentication_is_401_with_a_challenge,
    oauth_062_unknown_clients_are_answered_like_wrong_secrets,
    oauth_063_secrets_are_kept_as_a_plain_sha_256,
    oauth_064_two_methods_at_once_are_refused,
    oauth_065_a_client_id_in_the_body_must_be_the_same,
    oauth_066_a_secret_in_the_body_is_no_authentication,
    oauth_067_credentials_in_the_query_never_count,
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

async fn oauth_059_secrets_of_any_characters_are_read_encoded_and_raw() {
    let door = Door::open().await;
    // Ours are letters and digits; these are what a client could not encode in one way only.
    for (slug, secret) in
        [("colon", "a:b:c"), ("plus", "a+b c"), ("percent", "100%"), ("encoded", "a%2Bb"), ("unicode", "ü€🏠")]
    {
        let partner = door.gate.partner(slug).await.partner;
        let hash = Plain::<Credential>::received(secret).hash();
        door.gate.store.set_partner_secret(&partner.slug, hash).await.unwrap();
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for shown in [secret, &encoded] {
            let header = format!("Basic {}", STANDARD.encode(format!("{}:{shown}", partner.client_id.as_str())));
            let form = [("grant_type", "refresh_token"), ("refresh_token", "unknown")];
            let request = door.form_request(&format!("/{}/oauth/token/", partner.slug), &form);
            let known = answer(request.header("authorization", header)).await;
            assert_refused(&known, 400, "invalid_grant");
        }
    }
}

async fn oauth_060_what_cannot_be_read_is_a_failed_authentication() {
    let door = Door::open().await;
    let encoded: Vec<String> = [&b"no colon"[..], b"a%zz:b", b"a%00:b%00", b"a\0:b", b"\xff:\xff", b"", b":"]
        .map(|pair| format!("Basic {}", STANDARD.encode(pair)))
        .into();
    let broken = ["Basic", "Basic !", "Basic a:b", "Bearer x", "Digest x", "x"].map(str::to_owned);
    for header in encoded.into_iter().chain(broken) {
        assert_refused(&door.knock(&header).await, 401, "invalid_client");
    }
    let bytes = reqwest::header::HeaderValue::from_bytes(b"Basic \xff\xfe").unwrap();
    let request = door.token_request(&[("grant_type", "refresh_token"), ("refresh_token", "unknown")]);
    assert_refused(&answer(request.header("authorization", bytes)).await, 401, "invalid_client");
}

async fn oauth_061_a_failed_authentication_is_401_with_a_challenge() {
    let door = Door::open().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "unknown")];
    for request in [
        door.token_request(&form).basic_auth(door.partner.partner.client_id.as_str(), Some("wrong")),
        door.token_request(&form).header("authorization", "Basic !"),
        door.token_request(&form),
    ] {
        let refused = answer(request).await;
        assert_refused(&refused, 401, "invalid_client");
        assert_eq!(refused.header("www-authenticate"), "Basic realm=\"leadgate\"");
    }
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

async fn oauth_063_secrets_are_kept_as_a_plain_sha_256() {
    let door = Door::open().await;
    let kept = door.gate.store.partner_by_slug(&door.partner.partner.slug).await.unwrap().unwrap().secret;
    let digest: [u8; 32] = Sha256::digest(door.partner.secret.as_bytes()).into();
    assert_eq!(*kept.as_bytes(), digest);
    assert!(door.partner.secret.len() >= 64, "256 random bits: nothing slower is needed");
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

async fn oauth_067_credentials_in_the_query_never_count() {
    let door = Door::open().await;
    let code = door.code().await;
    let (id, secret) = (door.partner.partner.client_id.as_str(), &door.partner.secret);
    let path = format!("/piesync/oauth/token/?client_id={id}&client_secret={secret}");
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    assert_refused(&answer(door.form_request(&path, &form)).await, 401, "invalid_client");
    // Beside Basic they are not a second authentication either.
    assert_eq!(answer(door.as_partner(door.form_request(&path, &form))).await.status, 200);
}
