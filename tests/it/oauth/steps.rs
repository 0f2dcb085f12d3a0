//! The forms between arriving and deciding (checklist 28 to 30, 40, 42, 43).

use super::door::{Door, assert_page, assert_refused};
use super::visitor::{Form, SentBack, Visitor};
use crate::harness::PASSWORD;
use crate::harness::on_every_engine;

on_every_engine!(
    oauth_028_a_form_without_its_own_token_has_no_effect,
    oauth_029_nor_has_a_login,
    oauth_028_a_form_of_one_user_is_not_anothers,
    oauth_030_logging_in_gives_a_new_session_and_ends_the_old_one,
    oauth_030_a_planted_session_is_never_taken_over,
    oauth_030_a_session_ends_when_the_user_signs_out,
    oauth_040_only_own_sites_can_be_chosen,
    oauth_040_a_foreign_site_in_the_url_counts_for_nothing,
    oauth_040_a_user_without_a_site_is_told_so_and_can_go_back,
    oauth_017_one_can_turn_back_before_logging_in,
    oauth_042_a_wrong_password_keeps_the_request_and_the_email,
    oauth_043_a_grant_ends_with_the_user_the_ownership_or_the_site,
    oauth_043_between_page_and_decision_too,
);

async fn oauth_029_nor_has_a_login() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    let login = Form::of(&page, "login").with("email", "kim@example.com").with("password", PASSWORD);
    assert_token_matters(&mut visitor, &login, Form::of(&page, "cancel").field("csrf_token")).await;
    assert!(!visitor.cookies.contains_key("leadgate_session"));
    assert_eq!(door.gate.count("sessions"), 0);
    assert_eq!(visitor.submit(&login).await.status, 303);
}

async fn oauth_028_a_form_without_its_own_token_has_no_effect() {
    let door = Door::open().await;
    door.gate.site("second.example", &[&door.owner]).await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    let login = Form::of(&page, "login");
    assert_token_matters(&mut visitor, &Form::of(&page, "cancel"), login.field("csrf_token")).await;

    let sites = visitor.log_in(&page, &door.owner).await;
    let choice = Form::of(&sites, "site").with("site", &door.site.id.to_string());
    assert_token_matters(&mut visitor, &choice, login.field("csrf_token")).await;
    assert_token_matters(&mut visitor, &Form::of(&sites, "logout"), choice.field("csrf_token")).await;

    let consent = visitor.submit_and_follow(&choice).await;
    let decision = Form::of(&consent, "decision").with("decision", "approve");
    assert_token_matters(&mut visitor, &decision, choice.field("csrf_token")).await;
    let elsewhere = visitor.get(&door.asking(&[])).await;
    let other_flow = Form::of(&elsewhere, "site").field("csrf_token").to_owned();
    assert_token_matters(&mut visitor, &decision, &other_flow).await;
    assert_eq!(door.gate.count("grants"), 0);
    SentBack::read(&visitor.submit(&decision).await).code();
}

/// Missing, changed, or of another form of ours.
async fn assert_token_matters(visitor: &mut Visitor<'_>, form: &Form, foreign: &str) {
    assert_page(&visitor.submit(&form.clone().without("csrf_token")).await, 403);
    for wrong in ["", "x", foreign] {
        assert_page(&visitor.submit(&form.clone().with("csrf_token", wrong)).await, 403);
    }
    assert_page(&visitor.submit(&form.clone().with("flow", "AAAA")).await, 403);
    assert_page(&visitor.submit(&form.clone().without("flow")).await, 400);
}

async fn oauth_028_a_form_of_one_user_is_not_anothers() {
    let door = Door::open().await;
    let other = door.gate.person("other@example.com").await;
    door.gate.site("other.example", &[&other]).await;
    let mut browser = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = browser.get(&door.asking(&[])).await;
    browser.submit(&Form::of(&consent, "logout")).await;
    let page = browser.get(&door.asking(&[])).await;
    browser.log_in(&page, &other).await;
    assert_page(&browser.approve(&consent).await, 403);
    assert_page(&browser.deny(&consent).await, 403);
}

async fn oauth_030_logging_in_gives_a_new_session_and_ends_the_old_one() {
    let door = Door::open().await;
    let mut browser = Visitor::new(&door.gate);
    let page = browser.get(&door.asking(&[])).await;
    browser.log_in(&page, &door.owner).await;
    let old = browser.cookies["leadgate_session"].clone();
    browser.log_in(&page, &door.owner).await;
    assert_ne!(browser.cookies["leadgate_session"], old);
    browser.cookies.insert("leadgate_session".into(), old);
    let page = browser.get(&door.asking(&[])).await;
    Form::of(&page, "login");
}

async fn oauth_030_a_planted_session_is_never_taken_over() {
    let door = Door::open().await;
    let mut browser = Visitor::new(&door.gate);
    let planted = format!("lgs_{}", "0".repeat(64));
    browser.cookies.insert("leadgate_session".into(), planted.clone());
    let page = browser.get(&door.asking(&[])).await;
    browser.log_in(&page, &door.owner).await;
    assert_ne!(browser.cookies["leadgate_session"], planted);
}

async fn oauth_030_a_session_ends_when_the_user_signs_out() {
    let door = Door::open().await;
    let mut browser = Visitor::new(&door.gate);
    let page = browser.get(&door.asking(&[])).await;
    let consent = browser.log_in(&page, &door.owner).await;
    let session = browser.cookies["leadgate_session"].clone();
    let signed_out = browser.submit(&Form::of(&consent, "logout")).await;
    assert_eq!(signed_out.status, 303);
    assert!(!browser.cookies.contains_key("leadgate_session"));
    browser.cookies.insert("leadgate_session".into(), session);
    let page = browser.get(signed_out.header("location")).await;
    Form::of(&page, "login");
}

async fn oauth_040_only_own_sites_can_be_chosen() {
    let door = Door::open().await;
    let second = door.gate.site("second.example", &[&door.owner]).await;
    let other = door.gate.person("other@example.com").await;
    let foreign = door.gate.site("foreign.example", &[&other]).await.id.to_string();
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let page = owner.get(&door.asking(&[])).await;
    assert!(page.text.contains("www.site.com") && page.text.contains("second.example"), "{}", page.text);
    assert!(!page.text.contains("foreign.example"), "{}", page.text);

    let choice = Form::of(&page, "site");
    for wrong in [foreign.as_str(), "x", ""] {
        assert_page(&owner.submit(&choice.clone().with("site", wrong)).await, 403);
    }
    let consent = owner.submit_and_follow(&choice.with("site", &second.id.to_string())).await;
    let decision = Form::of(&consent, "decision").with("decision", "approve");
    for unseen in [foreign.as_str(), &door.site.id.to_string(), "x"] {
        assert_page(&owner.submit(&decision.clone().with("site", unseen)).await, 403);
    }
    let code = SentBack::read(&owner.submit(&decision).await).code().to_owned();
    let tokens = door.redeem(&code).await.json();
    assert_eq!(
        (&tokens["site_uuid"], &tokens["site_domain"]),
        (&second.id.to_string().into(), &"second.example".into())
    );
}

async fn oauth_040_a_foreign_site_in_the_url_counts_for_nothing() {
    let door = Door::open().await;
    let second = door.gate.site("second.example", &[&door.owner]).await.id.to_string();
    let other = door.gate.person("other@example.com").await;
    let foreign = door.gate.site("foreign.example", &[&other]).await.id.to_string();
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    for wrong in [foreign.as_str(), "x", ""] {
        let page = owner.get(&door.asking(&[("site", Some(wrong))])).await;
        assert!(!page.text.contains("foreign.example"), "{}", page.text);
        Form::of(&page, "site");
    }
    let page = owner.get(&door.asking(&[("site", Some(&second))])).await;
    assert_eq!(Form::of(&page, "decision").field("site"), second);
}

async fn oauth_040_a_user_without_a_site_is_told_so_and_can_go_back() {
    let door = Door::open().await;
    let nobody = door.gate.person("nobody@example.com").await;
    let mut visitor = Visitor::logged_in(&door.gate, &nobody).await;
    let page = visitor.get(&door.asking(&[])).await;
    assert_page(&page, 200);
    assert!(page.text.contains("You have no site to connect"), "{}", page.text);
    let back = SentBack::read(&visitor.submit(&Form::of(&page, "cancel")).await);
    assert_eq!((back.error(), back.get("state")), ("access_denied", Some("s-1")));
}

async fn oauth_017_one_can_turn_back_before_logging_in() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[])).await;
    assert_eq!(SentBack::read(&visitor.submit(&Form::of(&page, "cancel")).await).error(), "access_denied");
}

async fn oauth_042_a_wrong_password_keeps_the_request_and_the_email() {
    let door = Door::open().await;
    let mut visitor = Visitor::new(&door.gate);
    let page = visitor.get(&door.asking(&[("state", Some("kept"))])).await;
    let wrong = Form::of(&page, "login").with("email", "KIM@example.com").with("password", "wrong password");
    let page = visitor.submit(&wrong).await;
    assert_page(&page, 403);
    assert!(page.text.contains("value=\"KIM@example.com\""), "{}", page.text);
    assert!(page.text.contains("E-mail or password is wrong"), "{}", page.text);
    let consent = visitor.log_in(&page, &door.owner).await;
    assert_eq!(SentBack::read(&visitor.approve(&consent).await).get("state"), Some("kept"));
}

async fn oauth_043_a_grant_ends_with_the_user_the_ownership_or_the_site() {
    let door = Door::open().await;
    let (code, (_, refresh)) = (door.code().await, door.tokens().await);
    door.gate.store.remove_user(&door.owner.email).await.unwrap();
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");

    let door = Door::open().await;
    let (code, (_, refresh)) = (door.code().await, door.tokens().await);
    door.gate.sql("DELETE FROM site_owners");
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");

    let door = Door::open().await;
    let (code, (access, refresh)) = (door.code().await, door.tokens().await);
    assert!(door.opens(&access).await);
    door.gate.store.remove_site(door.site.id, door.gate.now()).await.unwrap();
    assert_refused(&door.redeem(&code).await, 400, "invalid_grant");
    assert_refused(&door.refresh(&refresh).await, 400, "invalid_grant");
    assert!(!door.opens(&access).await);
}

async fn oauth_043_between_page_and_decision_too() {
    let door = Door::open().await;
    let mut owner = Visitor::logged_in(&door.gate, &door.owner).await;
    let consent = owner.get(&door.asking(&[])).await;
    door.gate.store.remove_site(door.site.id, door.gate.now()).await.unwrap();
    assert_page(&owner.approve(&consent).await, 403);
    door.gate.store.remove_partner(&door.partner.partner.slug, door.gate.now()).await.unwrap();
    assert_page(&owner.approve(&consent).await, 400);
}
