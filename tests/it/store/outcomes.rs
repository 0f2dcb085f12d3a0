//! Outcomes: what becomes of a leased delivery, and of the next of its lane.

use std::time::Duration;

use leadgate::model::delivery::{Attempt, Outcome, State, Verdict};
use leadgate::model::{DeliveryId, time};
use leadgate::store::{Found, Signal};
use serde_json::json;

use super::fixture::{Fixture, engines};

engines!(
    a_finished_delivery_is_followed_by_the_next_of_its_lane,
    a_retry_waits_until_its_time,
    a_released_one_is_due_again_as_if_nothing_had_been,
    a_gone_receiver_pauses_its_subscription,
    an_old_receivers_farewell_does_not_pause_the_new_one,
    every_attempt_is_kept,
    an_unknown_delivery_is_not_recorded,
    outcomes_of_a_batch_are_each_their_own,
    after_a_removal_only_a_delivery_still_counts,
    there_is_work_when_something_falls_due,
);

async fn a_finished_delivery_is_followed_by_the_next_of_its_lane(f: &Fixture) {
    for (verdict, state) in
        [(Verdict::Delivered, State::Delivered), (Verdict::Refused, State::Refused), (Verdict::Failed, State::Failed)]
    {
        let site = f.site("www.site.com").await;
        let partner = f.partner(state.as_str()).await;
        f.subscribe(&partner, &site).await;
        let lead = f.lead(&site, "a@b.com").await;
        f.apply(f.patch(site.id, lead, json!({"city": "Hilo"}))).await;
        let leased = f.lease().await;
        let finished = f.pass(1);
        assert!(f.record(&leased[0], verdict).await);

        let first = f.store.delivery(leased[0].id).await.unwrap().unwrap().delivery;
        assert_eq!((first.state, first.finished, first.due, first.attempts), (state, Some(finished), None, 1));
        let next = f.lease().await;
        assert_eq!((next.len(), next[0].lead), (1, lead));
        assert_ne!(next[0].id, leased[0].id);
        f.record(&next[0], Verdict::Delivered).await;
    }
}

async fn a_retry_waits_until_its_time(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let leased = f.lease().await.remove(0);
    let due = time::after(f.now(), Duration::from_secs(30));
    assert!(f.record(&leased, Verdict::Retry(due)).await);
    let waiting = f.deliveries().await.remove(0);
    assert_eq!((waiting.state, waiting.due, waiting.attempts), (State::Waiting, Some(due), 1));
    f.pass(29);
    assert!(f.lease().await.is_empty());
    f.pass(1);
    assert_eq!(f.lease().await[0].attempts, 1);
}

async fn a_released_one_is_due_again_as_if_nothing_had_been(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let leased = f.lease().await.remove(0);
    assert!(f.record(&leased, Verdict::Release).await);
    let details = f.store.delivery(leased.id).await.unwrap().unwrap();
    assert_eq!((details.delivery.attempts, details.delivery.due), (0, Some(f.now())));
    assert_eq!(details.attempts, []);
    assert_eq!(f.lease().await[0].id, leased.id);
}

async fn a_gone_receiver_pauses_its_subscription(f: &Fixture) {
    let (site, partners, subscriptions) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let paused = f.pass(1);
    let leased = f.lease().await.remove(0);
    f.heard();
    assert!(f.record(&leased, Verdict::Pause).await);
    let waiting = f.deliveries().await.remove(0);
    assert_eq!((waiting.state, waiting.due, waiting.attempts), (State::Waiting, Some(paused), 1));
    match f.store.subscription(partners[0].id, site.id).await.unwrap() {
        Found::One(found) => assert_eq!((found.id, found.paused), (subscriptions[0], Some(paused))),
        other => panic!("{other:?}"),
    }
    let batch = f.lease_as(f.request()).await;
    assert!(batch.deliveries.is_empty() && batch.next_due.is_none());
}

async fn an_old_receivers_farewell_does_not_pause_the_new_one(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let leased = f.lease().await.remove(0);
    let attempt = f.attempt();
    f.pass(1);
    f.store.replace_subscription(f.subscription(partners[0].id, site.id, "http://new.example")).await.unwrap();
    let gone = Outcome::of(&leased, Some(attempt), Verdict::Pause);
    assert_eq!(f.store.record_outcomes(vec![gone], f.now()).await.unwrap(), 1);
    assert_eq!(f.lease().await[0].url.as_str(), "http://new.example");
}

async fn every_attempt_is_kept(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let silent = Attempt {
        status: None,
        error: Some("timed out ⏱".into()),
        response: String::new(),
        duration: Duration::from_secs(15),
        ..f.attempt()
    };
    let mut attempts = Vec::new();
    for (attempt, verdict) in [(silent, Verdict::Retry(f.now())), (f.attempt(), Verdict::Delivered)] {
        let leased = f.lease().await.remove(0);
        attempts.push(attempt.clone());
        let outcome = Outcome::of(&leased, Some(attempt), verdict);
        assert_eq!(f.store.record_outcomes(vec![outcome], f.now()).await.unwrap(), 1);
    }
    let id = f.deliveries().await[0].id;
    let details = f.store.delivery(id).await.unwrap().unwrap();
    assert_eq!(details.attempts, attempts);
    assert_eq!(details.delivery.attempts, 2);
}

async fn an_unknown_delivery_is_not_recorded(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let mut leased = f.lease().await.remove(0);
    leased.id = DeliveryId::random(&f.entropy);
    assert!(!f.record(&leased, Verdict::Delivered).await);
    assert_eq!(f.story().await, [State::Waiting]);
}

async fn outcomes_of_a_batch_are_each_their_own(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(4).await;
    f.lead(&site, "a@b.com").await;
    let leased = f.lease().await;
    let verdicts = [Verdict::Delivered, Verdict::Refused, Verdict::Failed, Verdict::Retry(f.now())];
    let mut outcomes: Vec<_> =
        leased.iter().zip(verdicts).map(|(leased, verdict)| Outcome::of(leased, None, verdict)).collect();
    outcomes.push(outcomes[0].clone());
    assert_eq!(f.store.record_outcomes(outcomes, f.now()).await.unwrap(), 4);
    let mut states: Vec<_> = f.states().await.into_iter().collect();
    states.sort();
    assert_eq!(states, [("delivered", 1), ("failed", 1), ("refused", 1), ("waiting", 1)]);
}

async fn after_a_removal_only_a_delivery_still_counts(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    f.lead(&site, "c@d.com").await;
    let lead = f.lead(&site, "e@f.com").await;
    f.apply(f.patch(site.id, lead, json!({"city": "Hilo"}))).await;
    let leased = f.lease().await;
    let removed = f.pass(1);
    f.store.remove_subscription(partners[0].id, site.id, removed).await.unwrap();
    assert_eq!(f.states().await, [("cancelled", 4)].into());

    f.pass(1);
    f.heard();
    assert!(f.record(&leased[0], Verdict::Delivered).await);
    assert!(f.record(&leased[1], Verdict::Retry(f.now())).await);
    assert!(f.record(&leased[2], Verdict::Delivered).await);
    let log = f.deliveries().await;
    let states: Vec<_> = log.iter().map(|delivery| delivery.state).collect();
    assert_eq!(states, [State::Delivered, State::Cancelled, State::Delivered, State::Cancelled]);
    assert_eq!(log[1].finished, Some(removed));
    assert!(f.lease().await.is_empty());
    assert_eq!(f.heard(), []);
}

async fn there_is_work_when_something_falls_due(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    let leased = f.lease().await.remove(0);
    f.heard();
    f.apply(f.patch(site.id, lead, json!({"city": "Hilo"}))).await;
    assert_eq!(f.heard(), [], "it waits behind one that is under way");
    f.record(&leased, Verdict::Retry(time::after(f.now(), Duration::from_secs(1)))).await;
    assert_eq!(f.heard(), []);
    f.pass(1);
    let leased = f.lease().await.remove(0);
    f.record(&leased, Verdict::Delivered).await;
    assert_eq!(f.heard(), [Signal::Work]);
    let leased = f.lease().await.remove(0);
    f.record(&leased, Verdict::Delivered).await;
    assert_eq!(f.heard(), [], "nothing waits behind it");
}
