//! Changing a password, and what ends with it.

use super::forms::{OTHER, is_signed_in, new_password, sign_in, submit_login};
use crate::harness::on_every_engine;
use crate::harness::receiver::Receiver;
use crate::harness::{Gate, JsonBody, PASSWORD, answer};
use crate::oauth::door::{Door, assert_page, assert_refused};
use crate::oauth::visitor::{Form, Visitor};
use leadgate::store::Found;
use serde_json::json;

on_every_engine!(
    a_password_is_changed_and_all_other_browsers_are_signed_out,
    a_password_is_changed_only_by_who_knows_the_old_one,
    a_password_that_is_easily_guessed_is_refused,
    guesses_at_the_old_password_are_throttled_like_others,
    oauth_090_disconnecting_ends_tokens_and_leads_at_once,
    without_the_wish_connections_stay,
);

async fn form(browser: &mut Visitor<'_>) -> Form {
    Form::of(&browser.get("/account/password/").await, "password").with("old", PASSWORD)
}

async fn a_password_is_changed_and_all_other_browsers_are_signed_out() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let (mut browser, mut other) = (sign_in(&gate, &kim).await, sign_in(&gate, &kim).await);
    let before = browser.cookies["leadgate_session"].clone();
    let form = form(&mut browser).await;
    let changed = browser.submit(&new_password(form, OTHER)).await;
    assert_eq!((changed.status, changed.header("location")), (303, "/account/password/done/"), "{}", changed.text);
    assert_ne!(browser.cookies["leadgate_session"], before);
    assert!(is_signed_in(&mut browser).await && !is_signed_in(&mut other).await);
    browser.cookies.insert("leadgate_session".into(), before);
    assert!(!is_signed_in(&mut browser).await, "the old session is dead, here too");
    assert_page(&submit_login(&mut other, "kim@example.com", PASSWORD).await, 403);
    assert_eq!(submit_login(&mut other, "kim@example.com", OTHER).await.status, 303);
}

async fn a_password_is_changed_only_by_who_knows_the_old_one() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let mut browser = sign_in(&gate, &kim).await;
    let form = form(&mut browser).await;
    let wrong = browser.submit(&new_password(form.clone().with("old", "wrong password"), OTHER)).await;
    assert_page(&wrong, 403);
    assert!(wrong.text.contains("Your current password is not right"), "{}", wrong.text);
    let typo = browser.submit(&new_password(form.clone(), OTHER).with("again", "another long passwort")).await;
    assert_page(&typo, 403);
    assert!(typo.text.contains("differ"), "{}", typo.text);
    assert_eq!(submit_login(&mut Visitor::new(&gate), "kim@example.com", PASSWORD).await.status, 303);
}

async fn a_password_that_is_easily_guessed_is_refused() {
    let gate = Gate::start().await;
    let kim = gate.person("kim.owner@example.com").await;
    let mut browser = sign_in(&gate, &kim).await;
    let form = form(&mut browser).await;
    for (new, fault) in [
        ("short", "at least 8 characters"),
        ("PassWord", "one of the most common ones"),
        ("Kim.Owner", "must not be the e-mail address"),
        ("kim.owner@example.com", "must not be the e-mail address"),
    ] {
        let refused = browser.submit(&new_password(form.clone(), new)).await;
        assert_page(&refused, 403);
        assert!(refused.text.contains(fault), "{new}: {}", refused.text);
        assert!(!refused.text.contains(&format!("value=\"{new}\"")) || new.contains('@'), "it is not shown again");
    }
}

async fn guesses_at_the_old_password_are_throttled_like_others() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let mut browser = sign_in(&gate, &kim).await;
    let form = form(&mut browser).await;
    let guess = new_password(form.clone().with("old", "wrong password"), OTHER);
    for _ in 0..10 {
        assert_page(&browser.submit(&guess).await, 403);
    }
    let throttled = browser.submit(&new_password(form, OTHER)).await;
    assert_page(&throttled, 429);
    assert!(!throttled.header("retry-after").is_empty());
}

/// The owner's partner subscribes; a lead waits for it, because its receiver is not reached.
async fn subscribed(door: &Door, receiver: &Receiver) -> (String, String) {
    let (access, refresh) = door.tokens().await;
    let path = format!("/piesync/subscription/{}/", door.site.id);
    let wish = json!({"url": receiver.url("/leads"), "secret": "s"});
    let set = door.gate.request(reqwest::Method::PUT, &path).bearer_auth(&access).json_body(&wish);
    let set = answer(set).await;
    assert_eq!(set.status, 200, "{}", set.text);
    (access, refresh)
}

async fn change(door: &Door, disconnect: bool) {
    let mut browser = sign_in(&door.gate, &door.owner).await;
    let form = new_password(form(&mut browser).await, OTHER);
    let form = if disconnect { form.with("disconnect", "yes") } else { form };
    assert_eq!(browser.submit(&form).await.status, 303);
}

async fn oauth_090_disconnecting_ends_tokens_and_leads_at_once() {
    let (door, receiver) = (Door::open().await, Receiver::start().await);
    let (access, refresh) = subscribed(&door, &receiver).await;
    let code = door.code().await;
    change(&door, true).await;
    assert!(!door.opens(&access).await);
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert_eq!(door.gate.store.subscription(door.partner.partner.id, door.site.id).await.unwrap(), Found::None);
}

async fn without_the_wish_connections_stay() {
    let (door, receiver) = (Door::open().await, Receiver::start().await);
    let (_, refresh) = subscribed(&door, &receiver).await;
    change(&door, false).await;
    assert_eq!(door.refresh(&refresh).await.status, 200);
    let found = door.gate.store.subscription(door.partner.partner.id, door.site.id).await.unwrap();
    assert!(matches!(found, Found::One(_)), "{found:?}");
}
