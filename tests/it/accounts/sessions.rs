//! How long a browser stays signed in.

use std::time::Duration;

use crate::harness::{Answer, on_every_engine};
use crate::oauth::door::Door;
use crate::oauth::visitor::{Form, Visitor};

on_every_engine!(
    oauth_030_a_session_ends_after_two_hours_without_a_use,
    oauth_030_a_session_ends_after_twelve_hours_however_much_it_is_used,
    a_use_is_written_down_only_now_and_then,
    a_session_knows_its_browser,
);

const MINUTE: Duration = Duration::from_secs(60);

/// A browser in which the owner has just signed in.
async fn signed_in(door: &Door) -> Visitor<'_> {
    let mut browser = Visitor::new(&door.gate);
    let page = browser.get(&door.asking(&[])).await;
    let consent = browser.log_in(&page, &door.owner).await;
    assert!(is_signed_in(&consent), "{}", consent.text);
    browser
}

fn is_signed_in(page: &Answer) -> bool {
    page.text.contains("Signed in as")
}

async fn oauth_030_a_session_ends_after_two_hours_without_a_use() {
    let door = Door::open().await;
    let mut browser = signed_in(&door).await;
    door.gate.clock.advance(120 * MINUTE - Duration::from_millis(1));
    assert!(is_signed_in(&browser.get(&door.asking(&[])).await));
    door.gate.clock.advance(120 * MINUTE);
    Form::of(&browser.get(&door.asking(&[])).await, "login");
}

async fn oauth_030_a_session_ends_after_twelve_hours_however_much_it_is_used() {
    let door = Door::open().await;
    let mut browser = signed_in(&door).await;
    for _ in 0..11 {
        door.gate.clock.advance(60 * MINUTE);
        assert!(is_signed_in(&browser.get(&door.asking(&[])).await));
    }
    door.gate.clock.advance(60 * MINUTE);
    Form::of(&browser.get(&door.asking(&[])).await, "login");
}

async fn a_use_is_written_down_only_now_and_then() {
    let door = Door::open().await;
    let mut browser = signed_in(&door).await;
    let began = door.gate.now();
    let last_use = async || door.gate.store.sessions_of(door.owner.id, door.gate.now()).await.unwrap()[0].used;
    door.gate.clock.advance(11 * MINUTE);
    browser.get(&door.asking(&[])).await;
    assert_eq!(last_use().await, began);
    door.gate.clock.advance(MINUTE);
    browser.get(&door.asking(&[])).await;
    assert_eq!(last_use().await, door.gate.now());
}

async fn a_session_knows_its_browser() {
    let door = Door::open().await;
    let mut browser = Visitor::new(&door.gate);
    browser.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into();
    let page = browser.get(&door.asking(&[])).await;
    browser.log_in(&page, &door.owner).await;
    let sessions = door.gate.store.sessions_of(door.owner.id, door.gate.now()).await.unwrap();
    assert_eq!(sessions[0].agent.as_str(), browser.agent);
}
