//! Purging: what is over goes, a little at a time; what is not stays.

use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::delivery::{State, Verdict};
use leadgate::model::lead::{Idempotency, LeadAction, LeadCommand};
use leadgate::model::oauth::{GrantRefused, NewCode, Rotation};
use leadgate::model::{Timestamp, time};
use leadgate::store::{Found, NewSite};
use serde_json::json;

use super::fixture::{Fixture, activity, engines};
use crate::harness::make;

engines!(
    a_fresh_store_has_nothing_to_purge,
    finished_deliveries_go_when_they_have_been_kept_long_enough,
    expired_sessions_and_keys_go,
    a_used_code_is_remembered_while_its_grant_lives,
    a_dead_grant_goes_after_a_day,
    a_large_backlog_of_a_removed_subscription_is_swept_in_steps,
    a_removed_subscription_goes_when_nothing_names_it,
    what_is_under_a_lease_is_swept_when_the_lease_runs_out,
    a_removed_site_goes_in_steps_and_its_row_last,
);

async fn a_fresh_store_has_nothing_to_purge(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    assert_eq!(f.purge(f.now(), 100).await, (0, 0));
}

async fn finished_deliveries_go_when_they_have_been_kept_long_enough(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    for number in 0..5 {
        f.lead(&site, &format!("{number}@b.com")).await;
    }
    for leased in f.lease().await {
        f.record(&leased, Verdict::Delivered).await;
    }
    let finished = f.now();
    f.pass(60);
    f.lead(&site, "waiting@b.com").await;
    assert_eq!(f.purge(finished, 2).await, (0, 0));
    assert_eq!(f.purge(time::after(finished, Duration::from_millis(1)), 2).await, (5, 3));
    assert_eq!(f.story().await, [State::Waiting]);
}

async fn expired_sessions_and_keys_go(f: &Fixture) {
    let (user, site) = (f.user("a@b.com").await, f.site("www.site.com").await);
    for expires in [f.now(), time::after(f.now(), Duration::from_secs(1))] {
        f.store.start_session(make::session(&f.entropy, f.now(), user.id, expires)).await.unwrap();
        let key = Idempotency { key: expires.to_string(), request: [0; 32], expires };
        let command = f.upsert(site.id, None, json!({"email": "a@b.com"}));
        f.apply(LeadCommand { idempotency: Some(key), ..command }).await;
    }
    assert_eq!(f.purge(f.now(), 100).await.0, 2);
    f.pass(1);
    assert_eq!(f.purge(f.now(), 100).await.0, 2);
}

async fn owned_grant(f: &Fixture) -> (leadgate::model::partner::Partner, NewCode) {
    let (partner, site, owner) = (f.partner("piesync").await, f.site("www.site.com").await, f.user("a@b.com").await);
    f.store.grant_site(site.id, &owner.email).await.unwrap();
    let code = f.approve(&partner, &site, &owner).await;
    (partner, code)
}

async fn a_used_code_is_remembered_while_its_grant_lives(f: &Fixture) {
    let (partner, code) = owned_grant(f).await;
    let (_, tokens) = f.redeem(&code).await;
    f.pass(100 * 24 * 3600);
    assert_eq!(f.purge(f.now(), 100).await.0, 0);
    let replayed = f.store.redeem_code(f.redemption(&code)).await.unwrap();
    assert_eq!(replayed, Err(GrantRefused::Replayed));
    let rotation = Rotation {
        refresh: tokens.refresh,
        partner: partner.id,
        scopes: None,
        tokens: make::tokens(&f.entropy, f.now()),
        now: f.now(),
    };
    assert_eq!(f.store.rotate_refresh(rotation).await.unwrap(), Err(GrantRefused::Revoked));
}

async fn a_dead_grant_goes_after_a_day(f: &Fixture) {
    let (_, code) = owned_grant(f).await;
    f.pass(24 * 3600 + 60);
    assert_eq!(f.purge(f.now(), 100).await.0, 0);
    f.pass(1);
    assert_eq!(f.purge(f.now(), 100).await.0, 1);
    let forgotten = f.store.redeem_code(f.redemption(&code)).await.unwrap();
    assert_eq!(forgotten, Err(GrantRefused::Unknown));
}

async fn a_large_backlog_of_a_removed_subscription_is_swept_in_steps(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let commands: Vec<_> = (0..5000).map(|n| f.upsert(site.id, None, json!({"first_name": n.to_string()}))).collect();
    join_all(commands.into_iter().map(|command| f.apply(command))).await;
    let removed = f.pass(1);
    f.store.remove_subscription(partners[0].id, site.id, removed).await.unwrap();
    assert_eq!(f.states().await, [("cancelled", 5000)].into(), "all at once, as far as anybody can see");
    assert!(f.lease().await.is_empty());

    f.pass(1);
    let before = f.deliveries().await;
    let (swept, steps) = f.purge(Timestamp::UNIX_EPOCH, 1000).await;
    assert!(swept > 0 && swept <= 5000 && steps == swept.div_ceil(1000), "{swept} in {steps}");
    assert_eq!(f.deliveries().await, before, "what is written down is what was shown before");
    // Swept or not, they are kept as long as any other, and no longer.
    assert_eq!(f.purge(time::after(removed, Duration::from_millis(1)), 1000).await, (5000, 5));
}

async fn a_removed_subscription_goes_when_nothing_names_it(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let leased = f.lease().await.remove(0);
    let removed = f.now();
    f.store.remove_subscription(partners[0].id, site.id, removed).await.unwrap();
    f.subscribe(&partners[0], &site).await;
    // Its last delivery finishes after it, and is in the log for as long as any other.
    let finished = f.pass(10);
    f.record(&leased, Verdict::Delivered).await;
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(f.purge(finished, 100).await, (0, 0));
    assert_eq!(f.deliveries().await.len(), 1);
    assert_eq!(f.purge(time::after(removed, day), 100).await.0, 1);
    assert_eq!(f.deliveries().await, []);
    let later = time::after(removed, day + Duration::from_millis(1));
    assert_eq!(f.purge(later, 100).await.0, 1, "the subscription itself");
    assert!(matches!(f.store.subscription(partners[0].id, site.id).await.unwrap(), Found::One(_)));
}

async fn what_is_under_a_lease_is_swept_when_the_lease_runs_out(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    f.lease().await;
    f.store.remove_subscription(partners[0].id, site.id, f.now()).await.unwrap();
    assert_eq!(f.purge(f.now(), 100).await.0, 0);
    f.pass(60);
    assert_eq!(f.purge(Timestamp::UNIX_EPOCH, 100).await.0, 1);
    assert_eq!(f.purge(f.now(), 100).await.0, 1);
    assert_eq!(f.deliveries().await, []);
}

async fn a_removed_site_goes_in_steps_and_its_row_last(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let other = f.site("other.com").await;
    f.subscribe(&partners[0], &other).await;
    let kept = f.lead(&other, "a@b.com").await;
    for number in 0..10 {
        let lead = f.lead(&site, &format!("{number}@b.com")).await;
        let alias = f.upsert(site.id, Some(f.lead_id()), json!({"email": format!("{number}@b.com")}));
        f.apply(alias).await;
        f.apply(f.command(site.id, LeadAction::AddActivities { lead, activities: vec![activity("a")] })).await;
    }
    f.store.remove_site(site.id, f.now()).await.unwrap();
    assert_eq!(f.deliveries().await.len(), 1);

    // 10 deliveries, 10 activities, 10 aliases, 10 leads, the subscription and the site itself.
    let mut rows = 0;
    loop {
        let purged = f.store.purge(f.now(), Timestamp::UNIX_EPOCH, 3).await.unwrap();
        assert!(purged <= 3);
        rows += purged;
        if purged == 0 {
            break;
        }
        let gone = rows == 42;
        let taken = f.store.add_site(site.clone(), &[]).await.unwrap() == NewSite::UuidTaken;
        assert_eq!(taken, !gone, "after {rows} rows");
    }
    assert_eq!(rows, 42);
    assert!(f.store.lead(other.id, kept).await.unwrap().is_some());
    assert_eq!(f.story().await, [State::Waiting]);
}
