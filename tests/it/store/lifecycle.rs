//! Commits, failures, and the store's end.

use futures_util::future::join_all;
use leadgate::model::lead::LeadOutcome;
use leadgate::model::person::User;
use leadgate::store::{AddUser, StoreError};
use serde_json::json;

use super::fixture::{Fixture, engines};
use crate::harness::make;

engines!(
    an_answered_write_is_seen_by_the_next_read,
    an_operation_that_fails_fails_alone,
    what_was_accepted_before_closing_is_finished,
    a_closed_store_is_unavailable,
);

async fn an_answered_write_is_seen_by_the_next_read(f: &Fixture) {
    let write_and_read = |n: usize| async move {
        let user = f.user(&format!("{n}@b.com")).await;
        assert_eq!(f.store.user_by_email(&user.email).await.unwrap(), Some((user, None)));
    };
    join_all((0..100).map(write_and_read)).await;
    f.store.ping().await.unwrap();
}

async fn an_operation_that_fails_fails_alone(f: &Fixture) {
    let first = f.user("first@b.com").await;
    let users: Vec<_> = (0..50)
        .map(|n| {
            let user = make::user(&f.entropy, f.now(), &format!("{n}@b.com"));
            // Ids are drawn, so an id that is taken is a fault, and no outcome.
            if n % 10 == 0 { User { id: first.id, ..user } } else { user }
        })
        .collect();
    let results = join_all(users.into_iter().map(|user| f.store.add_user(user, None))).await;
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(added) => assert!(added == AddUser::Added && n % 10 != 0),
            Err(error) => assert!(matches!(error, StoreError::Failed(_)) && n % 10 == 0, "{error}"),
        }
    }
    assert_eq!(f.store.users().await.unwrap().len(), 46);
}

async fn what_was_accepted_before_closing_is_finished(f: &Fixture) {
    let site = f.site("www.site.com").await;
    let commands: Vec<_> = (0..50).map(|n| f.upsert(site.id, None, json!({"first_name": n.to_string()}))).collect();
    let accepted = join_all(commands.into_iter().map(|command| f.store.apply_lead_change(command)));
    // Polled in this order: the commands are in the queue when the store begins to close.
    let (results, ()) = tokio::join!(accepted, f.store.close());
    assert!(results.iter().all(|result| matches!(result, Ok(LeadOutcome::Done(_)))), "{results:?}");
}

async fn a_closed_store_is_unavailable(f: &Fixture) {
    let user = f.user("a@b.com").await;
    f.store.close().await;
    let read = f.store.users().await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let write = f.store.add_user(User { email: "b@b.com".parse().unwrap(), ..user }, None).await;
    assert!(matches!(write, Err(StoreError::Unavailable(_))), "{write:?}");
    assert!(f.store.ping().await.is_err());
    f.store.close().await;
}
