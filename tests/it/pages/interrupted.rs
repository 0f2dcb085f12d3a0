//! People open tabs, go back, click twice and come back late: all of it ends well.

use std::time::Duration;

use super::partner::{Partner, Server, WELCOME};
use crate::harness::{Browser, Gate, on_every_engine};

on_every_engine!(
    oauth_025_two_tabs_of_one_browser_both_finish,
    oauth_026_who_goes_back_is_asked_again,
    oauth_026_of_many_clicks_on_approve_the_first_counts,
    oauth_026_an_expired_page_leads_to_a_fresh_one,
    oauth_042_a_wrong_password_is_told_and_the_request_goes_on,
);

const KIM: &str = "kim@example.com";

async fn scene(server: Server) -> (Gate, Partner) {
    let gate = Gate::start().await;
    let owner = gate.person(KIM).await;
    gate.site("www.site.com", &[&owner]).await;
    let partner = Partner::start(&gate, server).await;
    (gate, partner)
}

/// The answer that arrived is good, and belongs to this request.
async fn assert_connected(gate: &Gate, partner: &mut Partner, state: &str) {
    let sent = partner.arrival().await;
    assert_eq!(sent.get("state"), Some(state));
    assert_eq!(partner.redeem(gate, sent.code()).await.status, 200);
}

async fn oauth_025_two_tabs_of_one_browser_both_finish() {
    let (gate, mut partner) = scene(Server::Answers).await;
    let browser = Browser::start().await;
    let page = &browser.page;
    let first = page.window().await.unwrap();
    page.goto(&partner.asks(&gate, "first")).await.unwrap();
    let second = page.new_window(true).await.unwrap().handle;
    page.switch_to_window(second.clone()).await.unwrap();
    page.goto(&partner.asks(&gate, "second")).await.unwrap();

    // Each is a step ahead of the other in turn; the second login replaces the session of the first.
    browser.signs_in(KIM).await;
    page.switch_to_window(first.clone()).await.unwrap();
    browser.signs_in(KIM).await;
    page.switch_to_window(second).await.unwrap();
    browser.approves().await;
    assert_connected(&gate, &mut partner, "second").await;
    page.switch_to_window(first).await.unwrap();
    browser.approves().await;
    assert_connected(&gate, &mut partner, "first").await;
    browser.reads(WELCOME).await;
    page.clone().close().await.unwrap();
}

async fn oauth_026_who_goes_back_is_asked_again() {
    let (gate, mut partner) = scene(Server::Answers).await;
    let browser = Browser::start().await;
    let page = &browser.page;
    page.goto(&partner.asks(&gate, "s")).await.unwrap();
    browser.signs_in(KIM).await;
    // Behind the consent there is no login form to be sent again.
    browser.sees("button[value=approve]").await;
    page.back().await.unwrap();
    browser.approves().await;
    assert_connected(&gate, &mut partner, "s").await;
    browser.reads(WELCOME).await;
    page.back().await.unwrap();
    browser.approves().await;
    assert_connected(&gate, &mut partner, "s").await;
    page.clone().close().await.unwrap();
}

/// The partner takes its time, and somebody clicks on and on.
async fn oauth_026_of_many_clicks_on_approve_the_first_counts() {
    let (gate, mut partner) = scene(Server::Hangs).await;
    let browser = Browser::start_impatient().await;
    browser.page.goto(&partner.asks(&gate, "s")).await.unwrap();
    browser.signs_in(KIM).await;
    browser.sees("button[value=approve]").await;
    let clicks = "const approve = document.querySelector('button[value=approve]');
        approve.click();
        setInterval(() => approve.click(), 100);";
    browser.page.execute(clicks, Vec::new()).await.unwrap();
    browser.reads("You have already approved this").await;
    assert_eq!(gate.count("authorization_codes"), 1);

    // Who is not sure whether the partner noticed begins again.
    browser.starts_again("You have already approved this").await;
    browser.approves().await;
    assert_connected(&gate, &mut partner, "s").await;
}

async fn oauth_026_an_expired_page_leads_to_a_fresh_one() {
    let (gate, mut partner) = scene(Server::Answers).await;
    let browser = Browser::start().await;
    browser.page.goto(&partner.asks(&gate, "s")).await.unwrap();
    browser.sees("input[name=email]").await;
    gate.clock.advance(Duration::from_secs(3600));
    browser.signs_in(KIM).await;
    browser.starts_again("This page has expired").await;
    browser.signs_in(KIM).await;
    browser.sees("button[value=approve]").await;
    gate.clock.advance(Duration::from_secs(3600));
    browser.approves().await;
    browser.starts_again("This page has expired").await;
    browser.approves().await;
    assert_connected(&gate, &mut partner, "s").await;
    browser.page.clone().close().await.unwrap();
}

async fn oauth_042_a_wrong_password_is_told_and_the_request_goes_on() {
    let (gate, mut partner) = scene(Server::Answers).await;
    let browser = Browser::start().await;
    browser.page.goto(&partner.asks(&gate, "s")).await.unwrap();
    browser.sign_in(KIM, "wrong password").await;
    let told = browser.sees("#refused").await.text().await.unwrap();
    assert!(told.contains("wrong"), "{told}");
    let password = browser.sees("input[name=password]").await;
    assert_eq!(password.attr("aria-describedby").await.unwrap().as_deref(), Some("refused"));
    browser.signs_in(KIM).await;
    browser.approves().await;
    assert_connected(&gate, &mut partner, "s").await;
    browser.page.clone().close().await.unwrap();
}
