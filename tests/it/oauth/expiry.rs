//! Ends of lives (checklist 122): judged by the gateway's clock alone, and over at the very moment that was named.

use std::time::Duration;

use super::door::{Door, assert_page, assert_refused, pair};
use super::visitor::{SentBack, Visitor};
use crate::harness::on_every_engine;

on_every_engine!(
    oauth_122_a_code_is_dead_when_its_life_is_over,
    oauth_122_an_access_token_is_dead_when_its_life_is_over,
    oauth_122_a_refresh_token_is_dead_when_its_life_is_over,
    oauth_122_a_form_is_dead_when_its_life_is_over,
);

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const LAST: Duration = Duration::from_millis(1);

async fn oauth_122_a_code_is_dead_when_its_life_is_over() {
    let door = Door::open().await;
    let (early, late) = (door.code().await, door.code().await);
    door.gate.clock.advance(60 * SECOND - LAST);
    assert_eq!(door.redeem(&early).await.status, 200);
    door.gate.clock.advance(LAST);
    assert_refused(&door.redeem(&late).await, 400, "invalid_grant");
}

async fn oauth_122_an_access_token_is_dead_when_its_life_is_over() {
    let door = Door::open().await;
    let issued = door.redeem(&door.code().await).await;
    assert_eq!(issued.json()["expires_in"], 3600);
    let (access, _) = pair(&issued);
    door.gate.clock.advance(HOUR - LAST);
    assert!(door.opens(&access).await);
    door.gate.clock.advance(LAST);
    assert!(!door.opens(&access).await);
}

async fn oauth_122_a_refresh_token_is_dead_when_its_life_is_over() {
    let door = Door::open().await;
    let ((_, early), (_, late)) = (door.tokens().await, door.tokens().await);
    door.gate.clock.advance(180 * 24 * HOUR - LAST);
    assert_eq!(door.refresh(&early).await.status, 200);
    door.gate.clock.advance(LAST);
    assert_refused(&door.refresh(&late).await, 400, "invalid_grant");
}

async fn oauth_122_a_form_is_dead_when_its_life_is_over() {
    let door = Door::open().await;
    let mut browser = Visitor::new(&door.gate);
    let page = browser.get(&door.asking(&[])).await;
    let early = browser.log_in(&page, &door.owner).await;
    let late = browser.get(&door.asking(&[])).await;
    door.gate.clock.advance(HOUR - LAST);
    SentBack::read(&browser.approve(&early).await).code();
    door.gate.clock.advance(LAST);
    assert_page(&browser.approve(&late).await, 410);
}
