//! `grant_type=authorization_code`, with and without PKCE (checklist 69 to 82).

use std::time::Duration;

use leadgate::model::partner::PartnerChange;

use super::door::{CALLBACK, CHALLENGE, Door, VERIFIER, assert_page, assert_refused, pair};
use super::visitor::{SentBack, Visitor};
use crate::harness::{answer, on_every_engine};

on_every_engine!(
    oauth_069_missing_unknown_and_foreign_codes,
    oauth_070_the_redirect_uri_must_be_named_again,
    oauth_071_second_use_kills_the_family,
    oauth_071_another_partners_replay_harms_nothing,
    oauth_073_a_used_code_is_remembered_after_its_minute,
    oauth_073_a_used_code_is_remembered_as_long_as_its_grant,
    oauth_074_failures_before_the_grant_burn_no_code,
    oauth_075_a_failure_while_tokens_are_stored_burns_no_code,
    oauth_076_s256_is_supported,
    oauth_079_verifiers_are_43_to_128_unreserved_characters,
    oauth_080_a_missing_or_wrong_verifier_is_refused,
    oauth_081_a_verifier_that_nobody_asked_for_is_refused,
    oauth_082_pkce_is_optional_and_enforced_once_a_challenge_was_sent,
    oauth_082_pkce_survives_the_login,
    oauth_082_a_partner_can_be_made_to_use_pkce,
);

const PKCE: [(&str, Option<&str>); 2] = [("code_challenge", Some(CHALLENGE)), ("code_challenge_method", Some("S256"))];

impl Door {
    async fn redeem_with(&self, code: &str, verifier: &str) -> crate::harness::Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.token(&form).await
    }
}

async fn oauth_069_missing_unknown_and_foreign_codes() {
    let door = Door::open().await;
    let code = door.code().await;
    let missing = door.token(&[("grant_type", "authorization_code"), ("redirect_uri", CALLBACK)]).await;
    assert_refused(&missing, 400, "invalid_request");
    assert_refused(&door.redeem("unknown").await, 400, "invalid_grant");
    let other = door.gate.partner("cinc").await;
    let form = format!("grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}");
    let stolen = door.gate.post("/cinc/oauth/token/").header("content-type", "application/x-www-form-urlencoded");
    let stolen = stolen.basic_auth(other.partner.client_id.as_str(), Some(&other.secret)).body(form);
    assert_refused(&answer(stolen).await, 400, "invalid_grant");
    assert_eq!(door.redeem(&code).await.status, 200);
}

async fn oauth_070_the_redirect_uri_must_be_named_again() {
    let door = Door::open().await;
    let code = door.code().await;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    assert_refused(&door.token(&form).await, 400, "invalid_grant");
    for wrong in ["https://piesync.example/callback/", "https://piesync.example/Callback", "x"] {
        let form = [form[0], form[1], ("redirect_uri", wrong)];
        assert_refused(&door.token(&form).await, 400, "invalid_grant");
    }
    assert_eq!(door.redeem(&code).await.status, 200);
}

async fn oauth_071_second_use_kills_the_family() {
    let door = Door::open().await;
    let code = door.code().await;
    let (access, refresh) = pair(&door.redeem(&code).await);
    let (refreshed, second_refresh) = pair(&door.refresh(&refresh).await);
    let (other_access, _) = door.tokens().await;
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert!(!door.opens(&access).await);
    assert!(!door.opens(&refreshed).await);
    assert_refused(&door.refresh(&second_refresh).await, 400, "invalid_grant");
    assert!(door.opens(&other_access).await, "another approval's tokens live on");
}

async fn oauth_071_another_partners_replay_harms_nothing() {
    let door = Door::open().await;
    let code = door.code().await;
    let (access, refresh) = pair(&door.redeem(&code).await);
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let replayed = door.stranger().await.post(&door, "token", &form).await;
    assert_refused(&replayed, 400, "invalid_grant");
    assert!(door.opens(&access).await);
    assert_eq!(door.refresh(&refresh).await.status, 200);
}

async fn oauth_073_a_used_code_is_remembered_after_its_minute() {
    let door = Door::open().await;
    let code = door.code().await;
    let (access, _) = pair(&door.redeem(&code).await);
    door.gate.clock.advance(Duration::from_secs(600));
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert!(!door.opens(&access).await);
}

async fn oauth_073_a_used_code_is_remembered_as_long_as_its_grant() {
    let door = Door::open().await;
    let code = door.code().await;
    let (_, refresh) = pair(&door.redeem(&code).await);
    let half_a_life = Duration::from_secs(90 * 24 * 3600);
    door.gate.clock.advance(half_a_life);
    let (_, refresh) = pair(&door.refresh(&refresh).await);
    door.gate.clock.advance(half_a_life + half_a_life / 2);
    while door.gate.gateway().tidy_step().await.unwrap() > 0 {}
    let (access, refresh) = pair(&door.refresh(&refresh).await);
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert!(!door.opens(&access).await);
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
}

async fn oauth_074_failures_before_the_grant_burn_no_code() {
    let door = Door::open().await;
    let code = door.code().await;
    let good = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let unknown = door.token_request(&good).basic_auth(door.partner.partner.client_id.as_str(), Some("wrong"));
    assert_refused(&answer(unknown).await, 401, "invalid_client");
    assert_refused(&door.token(&[&good[..], &good[..1]].concat()).await, 400, "invalid_request");
    assert_eq!(door.redeem(&code).await.status, 200);
}

async fn oauth_075_a_failure_while_tokens_are_stored_burns_no_code() {
    let door = Door::open().await;
    let code = door.code().await;
    let (_, refresh) = door.tokens().await;
    // What is stored last finds no place.
    door.gate.sql("ALTER TABLE refresh_tokens RENAME TO elsewhere");
    assert_refused(&door.redeem(&code).await, 500, "server_error");
    assert_refused(&door.refresh(&refresh).await, 500, "server_error");
    door.gate.sql("ALTER TABLE elsewhere RENAME TO refresh_tokens");
    let (access, _) = pair(&door.redeem(&code).await);
    assert!(door.opens(&access).await);
    assert_eq!(door.refresh(&refresh).await.status, 200);
    assert_eq!(door.gate.count("access_tokens"), 3, "nothing is left of what failed");
}

async fn oauth_076_s256_is_supported() {
    let door = Door::open().await;
    let code = door.code_for(&PKCE).await;
    assert_eq!(door.redeem_with(&code, VERIFIER).await.status, 200);
}

async fn oauth_080_a_missing_or_wrong_verifier_is_refused() {
    let door = Door::open().await;
    let code = door.code_for(&PKCE).await;
    let wrong = VERIFIER.replace('d', "e");
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert_refused(&door.redeem_with(&code, &wrong).await, 400, "invalid_grant");
    assert_refused(&door.redeem_with(&code, CHALLENGE).await, 400, "invalid_grant");
    assert_eq!(door.redeem_with(&code, VERIFIER).await.status, 200);
}

async fn oauth_079_verifiers_are_43_to_128_unreserved_characters() {
    let door = Door::open().await;
    let code = door.code_for(&PKCE).await;
    for wrong in [&VERIFIER[1..], &"x".repeat(129), &format!("{VERIFIER}="), &format!("{VERIFIER} ")] {
        assert_refused(&door.redeem_with(&code, wrong).await, 400, "invalid_grant");
    }
    assert_eq!(door.redeem_with(&code, VERIFIER).await.status, 200);
}

async fn oauth_081_a_verifier_that_nobody_asked_for_is_refused() {
    let door = Door::open().await;
    let code = door.code().await;
    assert_refused(&door.redeem_with(&code, VERIFIER).await, 400, "invalid_grant");
}

async fn oauth_082_pkce_is_optional_and_enforced_once_a_challenge_was_sent() {
    let door = Door::open().await;
    assert_eq!(door.redeem(&door.code().await).await.status, 200);
    assert_refused(&door.redeem(&door.code_for(&PKCE).await).await, 400, "invalid_grant");
}

async fn oauth_082_pkce_survives_the_login() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&PKCE)).await;
    let consent = visitor.log_in(&page, &door.owner).await;
    let sent = SentBack::read(&visitor.approve(&consent).await);
    assert_refused(&door.redeem(sent.code()).await, 400, "invalid_grant");
    assert_eq!(door.redeem_with(sent.code(), VERIFIER).await.status, 200);
}

async fn oauth_082_a_partner_can_be_made_to_use_pkce() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let slug = &door.partner.partner.slug;
    door.gate
        .store
        .change_partner(slug, PartnerChange { require_pkce: Some(true), ..PartnerChange::default() })
        .await
        .unwrap();

    let told = door.told(&[]).await;
    assert_eq!((told.error(), told.get("state")), ("invalid_request", Some("s-1")));
    assert_eq!(told.get("error_description"), Some("code_challenge is missing"));
    assert_eq!(told.get("iss"), Some(door.gate.url("/piesync").as_str()));
    // Nor is a request granted that came before.
    assert_page(&owner.approve(&consent).await, 400);
    assert_eq!(door.gate.count("grants"), 0);

    let code = door.code_for(&PKCE).await;
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert_eq!(door.redeem_with(&code, VERIFIER).await.status, 200);
    // Other partners are not concerned, and it is one's choice again.
    door.gate
        .store
        .change_partner(slug, PartnerChange { require_pkce: Some(false), ..PartnerChange::default() })
        .await
        .unwrap();
    assert_eq!(door.redeem(&door.code().await).await.status, 200);
}
