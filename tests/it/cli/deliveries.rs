//! The delivery log on the command line.

use leadgate::model::delivery::{Attempt, LeaseRequest, Outcome, Verdict};
use leadgate::model::lead::{LeadAction, LeadCommand, Origin, Patch};
use leadgate::model::partner::Slug;
use leadgate::model::seal::Sealed;
use leadgate::model::{ChangeId, LeadId, LeaseToken, OsEntropy, SiteId, SubscriptionId, Timestamp, time};
use leadgate::store::{NewSubscription, SharedStore};
use serde_json::json;

use crate::harness::on_every_engine;
use crate::harness::process::Home;

on_every_engine!(
    deliveries_are_listed_newest_first_and_by_state,
    one_delivery_is_shown_with_its_body_and_attempts,
    finished_deliveries_are_sent_again_by_hand,
    all_failed_deliveries_of_a_site_are_sent_again_at_once,
);

const SITE: &str = "aa808177-d2cc-415d-b504-a36abf39ac00";

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A database with one lead whose delivery was given up after one attempt, and another whose delivery waits.
async fn with_deliveries() -> Home {
    let home = Home::of_case();
    home.says(&format!("site add www.site.com --uuid {SITE}"));
    home.says("partner add piesync --name PieSync --redirect-uri https://a.example/cb");
    let store = home.store().await;
    let site: SiteId = SITE.parse().unwrap();
    let partner = store.partner_by_slug(&"piesync".parse::<Slug>().unwrap()).await.unwrap().unwrap().id;
    let subscription = NewSubscription {
        id: SubscriptionId::random(&OsEntropy),
        site,
        partner,
        url: "http://receiver.example/".parse().unwrap(),
        secret: Sealed::from_bytes(vec![1; 64]),
        by: None,
        now: now(),
    };
    store.replace_subscription(subscription).await.unwrap();
    send_lead(&store, site, "first").await;
    give_up(&store).await;
    send_lead(&store, site, "second").await;
    store.close().await;
    home
}

async fn send_lead(store: &SharedStore, site: SiteId, name: &str) {
    let patch = Patch { fields: vec![("first_name".into(), Some(json!(name)))], if_absent: vec![] };
    let fresh = LeadId::random(&OsEntropy);
    let action = LeadAction::Upsert { given: None, fresh, patch, activities: vec![] };
    let origin = Origin { system: "crm".into(), partner: None };
    let change = ChangeId::at(now(), &OsEntropy);
    store
        .apply_lead_change(LeadCommand { site, origin, change, now: now(), action, idempotency: None, presumes: None })
        .await
        .unwrap();
}

/// Records one attempt that answered rubbish, and that it was the last.
async fn give_up(store: &SharedStore) {
    let later = time::after(now(), std::time::Duration::from_secs(3600));
    let lease = LeaseToken::random(&OsEntropy);
    let request = LeaseRequest {
        now: now(),
        lease,
        until: later,
        limit: 10,
        memory: usize::MAX,
        per_subscription: 10,
        busy: Default::default(),
        unlisted: Default::default(),
        again: vec![],
    };
    let leased = store.lease_due(request).await.unwrap().deliveries;
    let attempt = Attempt {
        started: now(),
        duration: std::time::Duration::from_millis(12),
        status: Some(500),
        error: None,
        response: "oh \u{1b}[31mno".into(),
    };
    let outcome = Outcome::of(&leased[0], Some(attempt), Verdict::Failed);
    assert_eq!(store.record_outcomes(vec![outcome], now()).await.unwrap(), 1);
}

async fn deliveries_are_listed_newest_first_and_by_state() {
    let home = with_deliveries().await;
    let list = home.document("delivery list");
    assert_eq!((&list[0]["state"], &list[1]["state"]), (&json!("waiting"), &json!("failed")));
    assert_eq!((&list[1]["action"], &list[1]["attempts"]), (&json!("created"), &json!(1)));
    assert_eq!((&list[1]["site_uuid"], &list[1]["finished"]), (&json!(SITE), &json!("2026-03-01T12:00:00Z")));
    assert_eq!(home.document("delivery list --limit 1").as_array().unwrap().len(), 1);
    let failed = home.document(&format!("delivery list --state failed --site {SITE}"));
    assert_eq!(failed, json!([list[1]]));
    let table = home.says("delivery list --state failed");
    assert!(table.starts_with("ID ") && table.contains(list[1]["id"].as_str().unwrap()), "{table}");
    assert_eq!(home.says("delivery list --state refused"), "There are no such deliveries.\n");
    assert_eq!(home.document("delivery list --state refused"), json!([]));
    let absent = "00000000-0000-4000-8000-000000000000";
    assert_eq!(home.complains(&format!("delivery list --site {absent}")), format!("there is no site {absent}"));
}

async fn one_delivery_is_shown_with_its_body_and_attempts() {
    let home = with_deliveries().await;
    let id = home.document("delivery list --state failed")[0]["id"].as_str().unwrap().to_owned();
    let shown = home.document(&format!("delivery show {id}"));
    assert_eq!((&shown["id"], &shown["body"]["first_name"]), (&json!(id), &json!("first")));
    assert_eq!((&shown["attempts"][0]["status"], &shown["attempts"][0]["duration_ms"]), (&json!(500), &json!(12)));
    assert_eq!(shown["attempts"][0]["response"], "oh \u{1b}[31mno");
    let text = home.says(&format!("delivery show {id}"));
    assert!(text.contains("state     failed") && text.contains("500 oh "), "{text}");
    assert!(!text.contains('\u{1b}'), "a receiver cannot steer the operator's terminal");
    let absent = "00000000-0000-4000-8000-000000000000";
    assert_eq!(home.complains(&format!("delivery show {absent}")), format!("there is no delivery {absent}"));
}

async fn finished_deliveries_are_sent_again_by_hand() {
    let home = with_deliveries().await;
    let id = home.document("delivery list --state failed")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(home.document(&format!("delivery replay {id}")), json!({"replayed": [id]}));
    assert_eq!(home.document("delivery list --state failed"), json!([]));
    let again = home.says(&format!("delivery replay {id}"));
    assert!(again.starts_with("Nothing to send again"), "{again}");
    let absent = "00000000-0000-4000-8000-000000000000";
    assert_eq!(home.complains(&format!("delivery replay {id} {absent}")), format!("there is no delivery {absent}"));
}

async fn all_failed_deliveries_of_a_site_are_sent_again_at_once() {
    let home = with_deliveries().await;
    assert_eq!(home.says(&format!("delivery replay --failed --site {SITE}")), "1 will be sent again.\n");
    assert_eq!(home.document(&format!("delivery replay --failed --site {SITE}")), json!({"replayed": []}));
}
