//! Authorization requests that users answer (checklist 10, 13 to 17, 22 to 27).

use std::time::Duration;

use super::door::{CALLBACK, Door, assert_page};
use super::visitor::{Form, SentBack, Visitor};
use crate::harness::on_every_engine;

on_every_engine!(
    oauth_010_a_registered_query_is_kept,
    oauth_013_state_comes_back_byte_for_byte,
    oauth_013_state_survives_the_login,
    oauth_014_017_every_answer_names_the_issuer,
    oauth_015_016_redirects_are_303_and_kept_nowhere,
    oauth_022_a_code_is_long_random_and_good_for_a_minute,
    oauth_024_forms_are_worthless_in_another_browser,
    oauth_025_two_tabs_of_one_browser_both_finish,
    oauth_026_approving_twice_gives_one_code_and_a_page_with_a_way_on,
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

async fn oauth_014_017_every_answer_names_the_issuer() {
    let door = Door::open().await;
    let issuer = door.gate.url("/piesync");
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    let denied = SentBack::read(&owner.deny(&consent).await);
    assert_eq!((denied.error(), denied.get("state")), ("access_denied", Some("s-1")));
    let approved = SentBack::read(&owner.approve(&consent).await);
    assert_eq!((approved.uri.as_str(), approved.get("state")), (CALLBACK, Some("s-1")));
    assert!(!approved.code().is_empty());
    let refused = door.told(&[("scope", Some("x"))]).await;
    for sent in [denied, approved, refused] {
        assert_eq!(sent.get("iss"), Some(issuer.as_str()));
    }
}

async fn oauth_015_016_redirects_are_303_and_kept_nowhere() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    let form = Form::of(&page, "login").with("email", "kim@example.com").with("password", crate::harness::PASSWORD);
    let logged_in = visitor.submit(&form).await;
    let consent = visitor.get(&door.asking(&[])).await;
    let approved = visitor.approve(&consent).await;
    let refused = visitor.get(&door.asking(&[("scope", Some("x"))])).await;
    for answer in [&logged_in, &approved, &refused] {
        assert_eq!(answer.status, 303);
    }
    for answer in [&page, &logged_in, &consent, &approved, &refused] {
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
}

async fn oauth_022_a_code_is_long_random_and_good_for_a_minute() {
    let door = Door::open().await;
    let (first, second) = (door.code().await, door.code().await);
    assert_ne!(first, second);
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
