//! On PostgreSQL the last statements of a transaction and its COMMIT are sent in one go. When one of them fails, nothing is
//! committed, whoever caused it is told, and the connection is as good as before.

use leadgate::model::delivery::{Outcome, State, Verdict};
use leadgate::store::{self, Purpose, StoreError};
use serde_json::json;

use super::fixture::Fixture;
use crate::harness::postgres::Database;

/// Makes each new row of a table fail.
fn jam(database: &Database, table: &str) {
    database.sql(&format!("ALTER TABLE {table} ADD CONSTRAINT jam CHECK (site_uuid IS NULL) NOT VALID"));
}

fn unjam(database: &Database, table: &str) {
    database.sql(&format!("ALTER TABLE {table} DROP CONSTRAINT jam"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_which_the_last_statement_fails_is_not_committed() {
    let database = Database::new();
    let f = Fixture::new(store::open(&database.url(), Purpose::Serve).await.unwrap(), Box::new(()));
    let (site, _, _) = f.subscribed_site(1).await;
    // Once without fault, so that each statement is prepared.
    f.lead(&site, "before@b.com").await;
    let given = f.lead_id();
    let change = f.upsert(site.id, Some(given), json!({"email": "a@b.com"}));
    for _ in 0..2 {
        // Bodies are what is written last.
        jam(&database, "delivery_bodies");
        let refused = f.store.apply_lead_change(change.clone()).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Failed(reason) if reason.contains("jam")), "{refused:?}");
        assert!(f.store.lead(site.id, given).await.unwrap().is_none());
        assert_eq!(f.deliveries().await.len(), 1);
        unjam(&database, "delivery_bodies");
    }
    assert_eq!(f.apply(change).await.lead, given);
    assert_eq!(f.deliveries().await.len(), 2);
    f.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_that_cannot_be_logged_stay_to_be_recorded() {
    let database = Database::new();
    let f = Fixture::new(store::open(&database.url(), Purpose::Serve).await.unwrap(), Box::new(()));
    let (site, _, _) = f.subscribed_site(1).await;
    for (email, verdict) in [("a@b.com", Verdict::Delivered), ("c@d.com", Verdict::Refused)] {
        f.lead(&site, email).await;
        let leased = f.lease().await.remove(0);
        let outcome = Outcome::of(&leased, Some(f.attempt()), verdict);
        jam(&database, "delivery_log");
        let refused = f.store.record_outcomes(vec![outcome.clone()], f.now()).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Failed(reason) if reason.contains("jam")), "{refused:?}");
        assert_eq!(f.store.delivery(leased.id).await.unwrap().unwrap().delivery.state, State::Waiting);
        unjam(&database, "delivery_log");
        assert_eq!(f.store.record_outcomes(vec![outcome], f.now()).await.unwrap(), 1);
    }
    f.store.close().await;
}
