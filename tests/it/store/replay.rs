//! The log's listings, deliveries that are sent again, and retries that are brought forward.

use std::time::Duration;

use leadgate::model::delivery::{DeliveryFilter, Replay, State, Verdict};
use leadgate::model::{DeliveryId, LeadId, SubscriptionId, time};
use leadgate::store::Signal;
use serde_json::json;

use super::fixture::{Fixture, engines};

engines!(
    the_log_is_listed_newest_first,
    the_log_is_listed_by_site_and_state,
    a_replayed_delivery_starts_afresh_under_its_own_id,
    replay_skips_what_waits_and_what_has_nowhere_to_go,
    replayed_ones_go_behind_what_waits_in_their_lane_and_before_what_comes,
    all_failed_ones_of_a_site_are_replayed_in_order,
    hastening_brings_retries_forward_lane_by_lane,
    hastening_leaves_other_subscriptions_and_what_is_under_way_alone,
);

async fn ids(f: &Fixture, filter: DeliveryFilter) -> Vec<DeliveryId> {
    f.store.deliveries(filter).await.unwrap().into_iter().map(|delivery| delivery.id).collect()
}

/// Leases everything and records the same of all.
async fn all(f: &Fixture, verdict: Verdict) -> Vec<DeliveryId> {
    let leased = f.lease().await;
    for one in &leased {
        assert!(f.record(one, verdict).await);
    }
    leased.into_iter().map(|leased| leased.id).collect()
}

async fn the_log_is_listed_newest_first(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    for number in 0..5 {
        f.lead(&site, &format!("{number}@b.com")).await;
    }
    let mut newest_first: Vec<_> = f.deliveries().await.iter().map(|delivery| delivery.id).collect();
    newest_first.reverse();
    assert_eq!(ids(f, DeliveryFilter { site: None, state: None, limit: 3 }).await, newest_first[..3]);
    assert_eq!(ids(f, DeliveryFilter { site: Some(site.id), state: None, limit: 99 }).await, newest_first);
    assert!(ids(f, DeliveryFilter { site: None, state: None, limit: 0 }).await.is_empty());
    assert_eq!(f.store.delivery(DeliveryId::random(&f.entropy)).await.unwrap(), None);
}

async fn the_log_is_listed_by_site_and_state(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let (other, gone) = (f.site("other.com").await, f.partner("gone").await);
    f.subscribe(&partners[0], &other).await;
    f.subscribe(&gone, &site).await;
    let mut expected = Vec::new();
    for (n, (state, verdict)) in [
        (State::Delivered, Some(Verdict::Delivered)),
        (State::Refused, Some(Verdict::Refused)),
        (State::Failed, Some(Verdict::Failed)),
        (State::Waiting, None),
    ]
    .into_iter()
    .enumerate()
    {
        f.lead(&site, &format!("{n}@b.com")).await;
        f.lead(&other, &format!("{n}@b.com")).await;
        let of_site = f.deliveries().await.into_iter().rev().take(3);
        let mine = of_site.clone().find(|delivery| delivery.site == site.id && delivery.partner == partners[0].id);
        expected.push((state, mine.unwrap().id));
        if let Some(verdict) = verdict {
            all(f, verdict).await;
        }
    }
    // One that waits for a subscription that is gone is cancelled.
    f.store.remove_subscription(gone.id, site.id, f.now()).await.unwrap();
    for (state, id) in expected {
        let listed = ids(f, DeliveryFilter { site: Some(site.id), state: Some(state), limit: 99 }).await;
        assert!(listed.contains(&id), "{state:?}");
        let everywhere =
            f.store.deliveries(DeliveryFilter { site: None, state: Some(state), limit: 99 }).await.unwrap();
        assert!(everywhere.iter().all(|delivery| delivery.state == state));
        assert_eq!(everywhere.len(), if state == State::Waiting { 2 } else { 3 });
    }
    let cancelled = f.store.deliveries(DeliveryFilter { site: None, state: Some(State::Cancelled), limit: 99 }).await;
    assert_eq!(cancelled.unwrap().iter().map(|delivery| delivery.partner).collect::<Vec<_>>(), [gone.id]);
}

async fn a_replayed_delivery_starts_afresh_under_its_own_id(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let failed = all(f, Verdict::Failed).await;
    let replayed = f.pass(3600);
    f.heard();
    assert_eq!(f.store.replay(Replay::These(failed.clone()), replayed).await.unwrap(), failed);
    assert_eq!(f.heard(), [Signal::Work]);
    let details = f.store.delivery(failed[0]).await.unwrap().unwrap();
    let waiting = &details.delivery;
    assert_eq!((waiting.state, waiting.attempts, waiting.finished), (State::Waiting, 0, None));
    assert_eq!(waiting.due, Some(replayed));

    let leased = f.lease().await.remove(0);
    assert_eq!((leased.id, leased.attempts), (failed[0], 0));
    f.record(&leased, Verdict::Delivered).await;
    let details = f.store.delivery(failed[0]).await.unwrap().unwrap();
    assert_eq!((details.delivery.attempts, details.attempts.len()), (1, 2), "the old story is kept");
    // One that arrived can be sent again, too.
    assert_eq!(f.store.replay(Replay::These(failed.clone()), f.now()).await.unwrap(), failed);
}

async fn replay_skips_what_waits_and_what_has_nowhere_to_go(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(2).await;
    f.lead(&site, "a@b.com").await;
    all(f, Verdict::Failed).await;
    f.lead(&site, "c@d.com").await;
    let log = f.deliveries().await;
    f.store.remove_subscription(partners[0].id, site.id, f.now()).await.unwrap();
    let everything: Vec<_> = log.iter().map(|delivery| delivery.id).collect();
    let unknown = DeliveryId::random(&f.entropy);
    let asked = [everything.clone(), everything.clone(), vec![unknown]].concat();
    let replayed = f.store.replay(Replay::These(asked), f.now()).await.unwrap();
    let expected = log.iter().find(|one| one.partner == partners[1].id && one.state == State::Failed).unwrap().id;
    assert_eq!(replayed, [expected]);
    assert!(f.store.replay(Replay::FailedOf(site.id), f.now()).await.unwrap().is_empty());
}

async fn replayed_ones_go_behind_what_waits_in_their_lane_and_before_what_comes(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    let change = async |city: &str| f.apply(f.patch(site.id, lead, json!({"city": city}))).await;
    let first = all(f, Verdict::Failed).await[0];
    change("2").await;
    let second = all(f, Verdict::Failed).await[0];
    change("3").await;
    change("4").await;
    // Asked for in the wrong order, while the third is under way.
    let third = f.lease().await.remove(0);
    assert_eq!(f.store.replay(Replay::These(vec![second, first]), f.now()).await.unwrap(), [first, second]);
    change("5").await;

    let log = f.deliveries().await;
    assert!(f.lease().await.is_empty(), "one at a time");
    f.record(&third, Verdict::Delivered).await;
    let mut order = vec![third.id];
    while let Some(leased) = f.lease().await.pop() {
        assert!(f.lease().await.is_empty(), "one at a time");
        f.record(&leased, Verdict::Delivered).await;
        order.push(leased.id);
    }
    assert_eq!(order, [log[2].id, log[3].id, first, second, log[4].id]);
}

async fn all_failed_ones_of_a_site_are_replayed_in_order(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let other = f.site("other.com").await;
    f.subscribe(&partners[0], &other).await;
    // More than the engine replays in one step.
    let commands: Vec<_> = (0..1500).map(|n| f.upsert(site.id, None, json!({"first_name": n.to_string()}))).collect();
    futures_util::future::join_all(commands.into_iter().map(|command| f.apply(command))).await;
    f.lead(&other, "a@b.com").await;
    while !all(f, Verdict::Failed).await.is_empty() {}
    f.lead(&site, "delivered@b.com").await;
    all(f, Verdict::Delivered).await;

    let failed: Vec<_> = f.deliveries().await.into_iter().filter(|one| one.state == State::Failed).collect();
    let replayed = f.store.replay(Replay::FailedOf(site.id), f.now()).await.unwrap();
    let expected: Vec<_> = failed.iter().filter(|one| one.site == site.id).map(|one| one.id).collect();
    assert_eq!(replayed, expected);
    assert_eq!(f.states().await, [("waiting", 1500), ("failed", 1), ("delivered", 1)].into());
}

/// Leads whose deliveries were put off by an hour, in the order of their ids.
async fn put_off(f: &Fixture, site: &leadgate::model::site::Site, count: usize) -> Vec<LeadId> {
    let mut leads = Vec::new();
    for number in 0..count {
        let lead = f.lead(site, &format!("{number}@b.com")).await;
        f.apply(f.patch(site.id, lead, json!({"city": "Hilo"}))).await;
        leads.push(lead);
    }
    all(f, Verdict::Retry(time::after(f.now(), Duration::from_secs(3600)))).await;
    leads.sort();
    leads
}

async fn hasten(f: &Fixture, subscription: SubscriptionId, after: Option<LeadId>, limit: usize) -> Option<LeadId> {
    f.store.hasten(subscription, after, f.now(), limit).await.unwrap()
}

async fn hastening_brings_retries_forward_lane_by_lane(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(1).await;
    let leads = put_off(f, &site, 5).await;
    f.heard();
    let mut hastened = Vec::new();
    let mut step = async |after, expected| {
        assert_eq!(hasten(f, subscriptions[0], after, 2).await, expected);
        let leased = f.lease().await;
        assert!(leased.iter().all(|leased| leased.attempts == 1), "the head of each lane, and nothing behind it");
        hastened.extend(leased.into_iter().map(|leased| leased.lead));
        hastened.sort();
        assert_eq!(hastened, leads[..hastened.len()]);
        hastened.len()
    };
    assert_eq!(step(None, Some(leads[1])).await, 2);
    assert_eq!(f.heard(), [Signal::Work]);
    assert_eq!(step(Some(leads[1]), Some(leads[3])).await, 4);
    assert_eq!(step(Some(leads[3]), None).await, 5);
}

async fn hastening_leaves_other_subscriptions_and_what_is_under_way_alone(f: &Fixture) {
    let (site, partners, subscriptions) = f.subscribed_site(2).await;
    put_off(f, &site, 2).await;
    f.lead(&site, "new@b.com").await;
    let under_way = f.lease().await;
    assert_eq!(under_way.len(), 2);
    assert_eq!(hasten(f, subscriptions[0], None, 100).await, None);
    let leased = f.lease().await;
    assert_eq!(leased.len(), 2);
    assert!(leased.iter().all(|leased| leased.subscription == subscriptions[0]));
    assert!(f.record(&under_way[0], Verdict::Delivered).await, "its lease still holds");

    f.store.remove_subscription(partners[1].id, site.id, f.now()).await.unwrap();
    assert_eq!(hasten(f, subscriptions[1], None, 100).await, None);
    assert_eq!(f.lease().await.len(), 0);
}
