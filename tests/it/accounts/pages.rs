//! The account's pages: sessions are seen and ended, and every form is proven to be ours.

use super::forms::{is_signed_in, sign_in, submit_login};
use crate::harness::on_every_engine;
use crate::harness::{Answer, Gate, PASSWORD};
use crate::oauth::door::assert_page;
use crate::oauth::visitor::{Form, Visitor};

on_every_engine!(
    somebody_signs_in_and_out,
    a_wrong_password_signs_nobody_in,
    sessions_are_told_by_their_browsers,
    one_session_is_ended_or_all_others,
    nobody_ends_the_sessions_of_others,
    every_form_needs_its_own_token,
    the_pages_are_protected_like_all_others,
    without_a_session_the_pages_lead_to_the_sign_in_page,
    nobody_signs_in_at_a_form_without_a_cookie,
);

async fn somebody_signs_in_and_out() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let mut browser = sign_in(&gate, &kim).await;
    let home = browser.get("/account/").await;
    assert!(home.text.contains("kim@example.com") && home.text.contains("(this browser)"), "{}", home.text);
    assert_eq!(browser.get("/account/login/").await.header("location"), "/account/");
    let out = browser.submit(&Form::of(&home, "logout")).await;
    assert_eq!((out.status, out.header("location")), (303, "/account/login/"));
    assert!(!is_signed_in(&mut browser).await);
    assert_eq!(gate.count("sessions"), 0);
}

async fn a_wrong_password_signs_nobody_in() {
    let gate = Gate::start().await;
    gate.person("kim@example.com").await;
    let mut browser = Visitor::new(&gate);
    for (email, password) in [("kim@example.com", "wrong password"), ("nobody@example.com", PASSWORD), ("", "")] {
        let refused = submit_login(&mut browser, email, password).await;
        assert_page(&refused, 403);
        assert!(refused.text.contains("E-mail or password is wrong"), "{}", refused.text);
    }
    assert!(!is_signed_in(&mut browser).await);
}

async fn sessions_are_told_by_their_browsers() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let mut phone = Visitor::new(&gate);
    phone.agent = "Mozilla/5.0 (Android 16; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0".into();
    submit_login(&mut phone, "kim@example.com", PASSWORD).await;
    let mut desk = sign_in(&gate, &kim).await;
    let home = desk.get("/account/").await.text;
    let (own, other) = home.split_once("Firefox on Android").unwrap_or_else(|| panic!("{home}"));
    assert!(own.contains("(this browser)") && !other.contains("(this browser)"), "this one comes first: {home}");
}

async fn one_session_is_ended_or_all_others() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let mut one = sign_in(&gate, &kim).await;
    let mut two = sign_in(&gate, &kim).await;
    let home = one.get("/account/").await;
    assert_eq!(home.text.matches("/account/sessions/end/\"").count(), 1, "one's own is ended by signing out");
    let end = Form::of(&home, "sessions/end");
    let ended = one.submit(&end).await;
    assert_eq!((ended.status, ended.header("location")), (303, "/account/"));
    assert!(is_signed_in(&mut one).await && !is_signed_in(&mut two).await);
    assert_eq!(one.submit(&end).await.status, 303, "a double click ends well");
    assert_page(&one.submit(&end.with("session", "x")).await, 400);

    let (mut three, mut four) = (sign_in(&gate, &kim).await, sign_in(&gate, &kim).await);
    let home = one.get("/account/").await;
    assert_eq!(one.submit(&Form::of(&home, "sessions/end-others")).await.status, 303);
    assert!(is_signed_in(&mut one).await && !is_signed_in(&mut three).await && !is_signed_in(&mut four).await);
    assert!(!one.get("/account/").await.text.contains("/account/sessions/"), "nothing is left to end");
}

async fn nobody_ends_the_sessions_of_others() {
    let gate = Gate::start().await;
    let (kim, lou) = (gate.person("kim@example.com").await, gate.person("lou@example.com").await);
    let mut kims = sign_in(&gate, &kim).await;
    let (mut lous, _second) = (sign_in(&gate, &lou).await, sign_in(&gate, &lou).await);
    let id = gate.store.sessions_of(kim.id, gate.now()).await.unwrap()[0].id;
    let form = Form::of(&lous.get("/account/").await, "sessions/end");
    lous.submit(&form.clone().with("session", &id.to_string())).await;
    assert!(is_signed_in(&mut kims).await);
    // A form of Lou's in Kim's browser.
    assert_page(&kims.submit(&form).await, 403);
}

async fn every_form_needs_its_own_token() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let mut stranger = Visitor::new(&gate);
    let login = Form::of(&stranger.get("/account/login/").await, "login");
    let login = login.with("email", "kim@example.com").with("password", PASSWORD);
    let mut browser = sign_in(&gate, &kim).await;
    let _other = sign_in(&gate, &kim).await;
    let home = browser.get("/account/").await;
    let change = Form::of(&browser.get("/account/password/").await, "password");
    assert_token_matters(&mut stranger, &login, change.field("csrf_token")).await;
    let logout = Form::of(&home, "logout");
    for form in [&Form::of(&home, "sessions/end"), &Form::of(&home, "sessions/end-others"), &change] {
        assert_token_matters(&mut browser, form, logout.field("csrf_token")).await;
    }
    assert_token_matters(&mut browser, &logout, change.field("csrf_token")).await;
    assert_eq!(gate.count("sessions"), 2);
}

async fn assert_token_matters(browser: &mut Visitor<'_>, form: &Form, foreign: &str) {
    assert_page(&browser.submit(&form.clone().without("csrf_token")).await, 403);
    for wrong in ["x", foreign] {
        assert_page(&browser.submit(&form.clone().with("csrf_token", wrong)).await, 403);
    }
}

async fn the_pages_are_protected_like_all_others() {
    let gate = Gate::start().await;
    let kim = gate.person("kim@example.com").await;
    let mut browser = sign_in(&gate, &kim).await;
    let mut pages: Vec<Answer> = Vec::new();
    for path in ["/account/", "/account/password/", "/account/password/done/", "/account/password/set/?token=x"] {
        pages.push(browser.get(path).await);
    }
    pages.push(Visitor::new(&gate).get("/account/login/").await);
    pages.push(Visitor::new(&gate).get("/account/").await);
    for page in pages {
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let others = ["cache-control", "referrer-policy", "x-frame-options", "x-content-type-options"];
        assert_eq!(others.map(|name| page.header(name)), ["no-store", "no-referrer", "DENY", "nosniff"]);
        assert!(!page.text.contains("<script") && !page.text.contains(" style="), "{}", page.text);
    }
}

async fn without_a_session_the_pages_lead_to_the_sign_in_page() {
    let gate = Gate::start().await;
    let mut browser = Visitor::new(&gate);
    for path in ["/account/", "/account", "/account/password/"] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/account/login/"), "{path}");
    }
    for path in ["/account/logout/", "/account/sessions/end/", "/account/sessions/end-others/"] {
        assert_page(&browser.get(path).await, 405);
    }
}

async fn nobody_signs_in_at_a_form_without_a_cookie() {
    let gate = Gate::start().await;
    gate.person("kim@example.com").await;
    let form = Form::of(&Visitor::new(&gate).get("/account/login/").await, "login");
    let form = form.with("email", "kim@example.com").with("password", PASSWORD);
    assert_page(&Visitor::new(&gate).submit(&form).await, 403);
    assert_eq!(gate.count("sessions"), 0);
}
