//! The gateway's own faults (checklist 121): told without internals, and worth another try when the store is down.

use super::door::{Door, assert_page, assert_refused};
use super::visitor::{Form, Visitor};
use crate::harness::{Answer, PASSWORD, answer, on_every_engine};

on_every_engine!(
    oauth_121_a_fault_of_ours_is_told_without_internals,
    oauth_121_while_the_store_is_down_it_is_503_with_retry_after,
);

/// Words that only the database and its drivers use.
#[track_caller]
fn assert_without_internals(answer: &Answer, also: &str) {
    let text = answer.text.to_lowercase();
    for word in ["table", "column", "sql", "relation", "postgres", "rusqlite", "partners", "panicked", also] {
        assert!(!text.contains(word), "{word}: {}", answer.text);
    }
}

async fn oauth_121_a_fault_of_ours_is_told_without_internals() {
    let door = Door::open().await;
    let code = door.code().await;
    let mut browser = Visitor::new(&door.gate);
    let page = browser.get(&door.asking(&[])).await;
    door.gate.sql("ALTER TABLE partners RENAME TO gone");

    let refused = door.redeem(&code).await;
    assert_refused(&refused, 500, "server_error");
    assert_without_internals(&refused, "gone");
    let arriving = browser.get(&door.asking(&[])).await;
    assert_page(&arriving, 500);
    assert_without_internals(&arriving, "gone");
    let submitted = browser.submit(&Form::of(&page, "login").with("email", "a@b.com").with("password", PASSWORD)).await;
    assert_page(&submitted, 500);
    assert_without_internals(&submitted, "gone");
    let api = answer(door.gate.get("/piesync/subscription/x/").bearer_auth("lga_x")).await;
    assert_eq!((api.status, api.text.as_str()), (500, r#"{"error": "Unknown server error"}"#));
}

async fn oauth_121_while_the_store_is_down_it_is_503_with_retry_after() {
    let door = Door::open().await;
    let (code, (access, _)) = (door.code().await, door.tokens().await);
    let mut browser = Visitor::new(&door.gate);
    let page = browser.get(&door.asking(&[])).await;
    let login = Form::of(&page, "login").with("email", door.owner.email.as_str()).with("password", PASSWORD);
    door.gate.store.close().await;

    let refused = door.redeem(&code).await;
    assert_refused(&refused, 503, "temporarily_unavailable");
    let (arriving, submitted) = (browser.get(&door.asking(&[])).await, browser.submit(&login).await);
    assert_page(&arriving, 503);
    assert_page(&submitted, 503);
    let api = answer(door.gate.get("/piesync/subscription/x/").bearer_auth(&access)).await;
    assert_eq!((api.status, api.text.as_str()), (503, r#"{"error": "Temporarily unavailable"}"#));
    for answer in [&refused, &arriving, &submitted, &api] {
        assert_eq!(answer.header("retry-after"), "5");
        assert_without_internals(answer, "database");
    }
}
