//! Two nodes on one PostgreSQL: whichever answers, a browser and a partner meet the same gateway.

use futures_util::future::join_all;

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
async fn of_parallel_exchanges_at_two_nodes_one_wins() {
    Engine::Postgres.run(parallel_exchanges()).await;
}

async fn parallel_exchanges() {
    let (one, two) = doors().await;
    let code = one.code().await;
    let answers = join_all((0..20).map(|n| [&one, &two][n % 2].redeem(&code))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    lost.into_iter().for_each(|answer| assert_refused(answer, 400, "invalid_grant"));
}

#[tokio::test]
async fn parallel_refreshes_at_two_nodes_lock_nobody_out() {
    Engine::Postgres.run(parallel_refreshes()).await;
}

async fn parallel_refreshes() {
    let (one, two) = doors().await;
    let (_, refresh) = one.tokens().await;
    let answers = join_all((0..20).map(|n| [&one, &two][n % 2].refresh(&refresh))).await;
    let pairs: Vec<_> = answers.iter().map(pair).collect();
    for (n, (access, _)) in pairs.iter().enumerate() {
        assert!([&two, &one][n % 2].opens(access).await);
    }
    assert_eq!(two.refresh(&pairs[6].1).await.status, 200);
    assert_refused(&one.refresh(&refresh).await, 400, "invalid_grant");
}
