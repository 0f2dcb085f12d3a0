//! Two nodes on one PostgreSQL: whichever answers, a browser and a partner meet the same gateway.

use super::door::{Door, assert_page, assert_refused, pair};
use super::visitor::{Form, SentBack, Visitor};
use crate::harness::engine::Engine;

async fn doors() -> (Door, Door) {
    let one = Door::open().await;
    let two = one.beside().await;
    (one, two)
}

#[tokio::test]
async fn each_step_may_be_at_another_node() {
    Engine::Postgres.run(each_step_at_another_node()).await;
}

async fn each_step_at_another_node() {
    let (one, two) = doors().await;
    let mut browser = Visitor::new(&one.gate);
    let page = browser.get(&one.asking(&[])).await;
    let mut browser = browser.at(&two.gate);
    let consent = browser.log_in(&page, &two.owner).await;
    let mut browser = browser.at(&one.gate);
    let code = SentBack::read(&browser.approve(&consent).await).code().to_owned();

    let (access, refresh) = pair(&two.redeem(&code).await);
    assert!(one.opens(&access).await);
    let (access, refresh) = pair(&one.refresh(&refresh).await);
    assert!(two.opens(&access).await);
    pair(&two.refresh(&refresh).await);

    // The session is known to both, and its end, too.
    let mut browser = browser.at(&two.gate);
    let consent = browser.get(&two.asking(&[])).await;
    let old = browser.cookies.clone();
    assert_eq!(browser.submit(&Form::of(&consent, "logout")).await.status, 303);
    let mut browser = browser.at(&one.gate);
    browser.cookies = old;
    assert_page(&browser.approve(&consent).await, 403);
}

#[tokio::test]
async fn oauth_102_what_one_node_revokes_is_dead_at_the_other() {
    Engine::Postgres.run(revocation()).await;
}

async fn revocation() {
    let (one, two) = doors().await;
    let (access, refresh) = one.tokens().await;
    assert!(two.opens(&access).await);
    one.revoke(&access).await;
    assert!(!two.opens(&access).await);
    assert_eq!(two.introspect(&refresh).await["active"], false);
    assert_refused(&two.refresh(&refresh).await, 400, "invalid_grant");
}
