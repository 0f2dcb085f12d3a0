//! Authorization requests that users answer (checklist 10, 13 to 15, 22 to 27).

use std::time::Duration;

use futures_util::future::join_all;

use super::door::{CALLBACK, Door, assert_page};
use super::visitor::{Form, SentBack, Visitor};
use crate::harness::{answer, on_every_engine};

on_every_engine!(
    oauth_010_a_registered_query_is_kept,
    oauth_013_state_comes_back_byte_for_byte,
    oauth_013_state_survives_the_login,
    oauth_014_every_answer_names_the_issuer,
    oauth_015_redirects_are_303,
    oauth_017_deny_is_access_denied,
    oauth_022_a_code_is_long_random_and_good_for_a_minute,
    oauth_024_forms_are_worthless_in_another_browser,
    oauth_025_two_tabs_of_one_browser_both_finish,
    oauth_026_approving_twice_gives_one_code_and_a_page_with_a_way_on,
    oauth_026_of_parallel_approvals_one_gives_a_code,
    oauth_026_a_form_is_good_for_an_hour,
    oauth_027_every_request_is_asked_about,
);

async fn oauth_010_a_registered_query_is_kept() {
    let door = Door::open().await;
    let uri = "https://cinc.example/cb?tenant=7&x=%20";
    let partner = door.gate.partner_with("cinc", &[uri], true).await;
    let client_id = partner.partner.client_id.as_str();
    let asking = |scope: Option<&'static str>| {
        let changes = [("client_id", Some(client_id)), ("redirect_uri", Some(uri)), ("scope", scope)];
        door.asking(&changes).replace("/piesync/", "/cinc/")
    };
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&asking(None)).await;
    let success = owner.approve(&consent).await;
    assert!(success.header("location").starts_with(&format!("{uri}&code=")), "{}", success.header("location"));
    let failure = owner.get(&asking(Some("x"))).await;
    assert!(failure.header("location").starts_with(&format!("{uri}&error=")), "{}", failure.header("location"));
}

async fn oauth_013_state_comes_back_byte_for_byte() {
    let door = Door::open().await;
    let long = "x+".repeat(1000);
    for state in ["a", "a+b %2B=&#?/\\\"'<>", "ünïcødé 漢字 🏠", "\r\nSet-Cookie: x=1", &long] {
        let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
        let consent = owner.get(&door.asking(&[("state", Some(state))])).await;
        assert_eq!(SentBack::read(&owner.deny(&consent).await).get("state"), Some(state));
        assert_eq!(SentBack::read(&owner.approve(&consent).await).get("state"), Some(state));
        let refused = door.told(&[("state", Some(state)), ("scope", Some("x"))]).await;
        assert_eq!(refused.get("state"), Some(state));
    }
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[("state", None)])).await;
    assert_eq!(SentBack::read(&owner.approve(&consent).await).get("state"), None);
}

async fn oauth_013_state_survives_the_login() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let state = "a+b %2B=&#漢";
    let page = visitor.get(&door.asking(&[("state", Some(state))])).await;
    let consent = visitor.log_in(&page, &door.owner).await;
    assert_eq!(SentBack::read(&visitor.approve(&consent).await).get("state"), Some(state));
}

async fn oauth_014_every_answer_names_the_issuer() {
    let door = Door::open().await;
    let issuer = door.gate.url("/piesync");
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let denied = SentBack::read(&owner.deny(&consent).await);
    let approved = SentBack::read(&owner.approve(&consent).await);
    assert_eq!((approved.uri.as_str(), approved.get("state")), (CALLBACK, Some("s-1")));
    assert!(!approved.code().is_empty());
    let refused = door.told(&[("scope", Some("x"))]).await;
    for sent in [denied, approved, refused] {
        assert_eq!(sent.get("iss"), Some(issuer.as_str()));
    }
    let metadata = answer(door.gate.get("/.well-known/oauth-authorization-server/piesync")).await.json();
    assert_eq!(metadata["issuer"], issuer);
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
}

async fn oauth_017_deny_is_access_denied() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let denied = SentBack::read(&owner.deny(&consent).await);
    assert_eq!((denied.error(), denied.get("state")), ("access_denied", Some("s-1")));
    assert_eq!(denied.get("iss"), Some(door.gate.url("/piesync").as_str()));
    assert_eq!(door.gate.count("grants"), 0);
}

async fn oauth_015_redirects_are_303() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    let form = Form::of(&page, "login").with("email", "kim@example.com").with("password", crate::harness::PASSWORD);
    let logged_in = visitor.submit(&form).await;
    let consent = visitor.get(&door.asking(&[])).await;
    let approved = visitor.approve(&consent).await;
    let refused = visitor.get(&door.asking(&[("scope", Some("x"))])).await;
    let denied = visitor.deny(&consent).await;
    let cancelled = visitor.submit(&Form::of(&page, "cancel")).await;
    let signed_out = visitor.submit(&Form::of(&consent, "logout")).await;
    for answer in [&logged_in, &approved, &refused, &denied, &cancelled, &signed_out] {
        assert_eq!(answer.status, 303);
        // Kept nowhere, like every page (line 16).
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
}

async fn oauth_022_a_code_is_long_random_and_good_for_a_minute() {
    let door = Door::open().await;
    let (first, second) = (door.code().await, door.code().await);
    assert_ne!(first, second);
    assert!(!door.gate.data.holds(&first), "only its hash is stored");
    assert!(first.len() >= 64 && first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{first}");
    door.gate.clock.advance(Duration::from_secs(59));
    assert_eq!(door.redeem(&first).await.status, 200);
    door.gate.clock.advance(Duration::from_secs(1));
    super::door::assert_refused(&door.redeem(&second).await, 400, "invalid_grant");
}

async fn oauth_024_forms_are_worthless_in_another_browser() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let mut other = Visitor::logged_in(&door.gate, &door.owner).await;
    other.get(&door.asking(&[])).await;
    assert_page(&other.approve(&consent).await, 403);
    let mut cookieless = Visitor::new(&door.gate);
    assert_page(&cookieless.approve(&consent).await, 403);
    let page = Visitor::new(&door.gate).get(&door.asking(&[])).await;
    let login = Form::of(&page, "login").with("email", "kim@example.com").with("password", crate::harness::PASSWORD);
    assert_page(&other.submit(&login).await, 403);
    SentBack::read(&owner.approve(&consent).await).code();
}

async fn oauth_025_two_tabs_of_one_browser_both_finish() {
    let door = Door::open().await;
    let mut browser = Visitor::new(&door.gate);
    let first = browser.get(&door.asking(&[("state", Some("first"))])).await;
    let second = browser.get(&door.asking(&[("state", Some("second"))])).await;
    let first = browser.log_in(&first, &door.owner).await;
    let second = browser.log_in(&second, &door.owner).await;
    for (consent, state) in [(first, "first"), (second, "second")] {
        let sent = SentBack::read(&browser.approve(&consent).await);
        assert_eq!(sent.get("state"), Some(state));
        assert_eq!(door.redeem(sent.code()).await.status, 200);
    }
}

async fn oauth_026_approving_twice_gives_one_code_and_a_page_with_a_way_on() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let sent = SentBack::read(&owner.approve(&consent).await);
    let again = owner.approve(&consent).await;
    assert_page(&again, 409);
    assert!(again.text.contains("Start again"), "{}", again.text);
    assert_eq!(door.redeem(sent.code()).await.status, 200);
}

async fn oauth_026_of_parallel_approvals_one_gives_a_code() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let browsers = (0..20).map(|_| owner.clone());
    let answers = join_all(browsers.map(|mut browser| {
        let consent = &consent;
        async move { browser.approve(consent).await }
    }))
    .await;
    let (given, repeated): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 303);
    assert_eq!(given.len(), 1);
    repeated.into_iter().for_each(|answer| assert_page(answer, 409));
    assert_eq!(door.gate.count("authorization_codes"), 1);
    assert_eq!(door.redeem(SentBack::read(given[0]).code()).await.status, 200);
}

async fn oauth_026_a_form_is_good_for_an_hour() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    door.gate.clock.advance(Duration::from_secs(3600));
    let form = Form::of(&page, "login").with("email", "kim@example.com").with("password", crate::harness::PASSWORD);
    let expired = visitor.submit(&form).await;
    assert_page(&expired, 410);
    assert!(expired.text.contains("Start again"), "{}", expired.text);
}

async fn oauth_027_every_request_is_asked_about() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    for _ in 0..2 {
        let consent = owner.get(&door.asking(&[])).await;
        assert_page(&consent, 200);
        SentBack::read(&owner.approve(&consent).await).code();
    }
}
