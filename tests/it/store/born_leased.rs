//! Deliveries that are committed under their own process's lease, and handed over without being read back.

use std::sync::Arc;
use std::time::Duration;

use leadgate::model::delivery::{Leased, Space, State, Verdict};
use leadgate::model::{LeaseToken, time};
use leadgate::store::{Signal, StoreError};
use serde_json::json;

use super::courier::TestCourier;
use super::fixture::{Fixture, engines};

engines!(
    a_courier_that_has_no_space_need_not_be_told_of_what_waits,
    what_there_is_room_for_is_handed_over_as_if_it_had_been_leased,
    without_room_it_waits_in_the_store,
    its_outcome_is_recorded_and_its_lane_goes_on,
    when_its_lease_runs_out_it_is_anothers,
    a_later_change_of_the_lane_waits_its_turn,
    nothing_passes_by_what_is_due,
    a_paused_subscription_is_sent_nothing,
    a_change_that_fails_gives_its_room_back,
    of_many_subscriptions_each_is_asked_for,
    what_is_under_way_when_its_subscription_is_removed_is_left_to_its_holder,
);

/// A courier with room for so many, under leases of a minute.
fn courier(f: &Fixture, rooms: usize) -> Arc<TestCourier> {
    let courier = TestCourier::of(&*f.store);
    offer(f, &courier, rooms);
    courier
}

fn offer(f: &Fixture, courier: &TestCourier, rooms: usize) {
    let until = time::after(f.now(), Duration::from_secs(60));
    courier.offer(rooms, LeaseToken::random(&f.entropy), until);
}

/// Everything that is to be the same, however a delivery came to its holder.
fn facts(leased: &Leased) -> impl PartialEq + std::fmt::Debug {
    let whose = (leased.site, leased.partner, leased.subscription, leased.lead);
    let what = (leased.id, leased.action, leased.changed, leased.body.clone(), leased.attempts);
    (whose, what, leased.url.as_str().to_owned(), leased.secret.as_bytes().to_vec())
}

async fn a_courier_that_has_no_space_need_not_be_told_of_what_waits(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let courier = courier(f, 0);
    f.heard();
    f.lead(&site, "a@b.com").await;
    assert_eq!(f.heard(), [Signal::Work]);
    for (space, email) in [(Space::Down, "b@b.com"), (Space::Full, "c@b.com")] {
        courier.have_space(space);
        f.lead(&site, email).await;
        assert_eq!(f.heard(), [], "{space:?}");
    }
    assert_eq!(f.lease().await.len(), 3);
}

async fn what_there_is_room_for_is_handed_over_as_if_it_had_been_leased(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(1).await;
    let courier = courier(f, 1);
    f.heard();
    let lead = f.lead(&site, "a@b.com").await;
    let given = courier.given();
    assert_eq!((given.len(), given[0].lead, given[0].until), (1, lead, time::after(f.now(), Duration::from_secs(60))));
    assert_eq!(courier.asked(), [(subscriptions[0], given[0].body.len())]);
    assert_eq!(f.heard(), [], "there is no work for anybody else");

    let nothing = f.lease_as(f.request()).await;
    assert!(nothing.deliveries.is_empty());
    assert_eq!(nothing.next_due, Some(given[0].until));
    let logged = f.deliveries().await.remove(0);
    assert_eq!((logged.state, logged.due, logged.attempts), (State::Waiting, Some(given[0].until), 0));
    f.pass(60);
    assert_eq!(facts(&f.lease().await[0]), facts(&given[0]));
}

async fn without_room_it_waits_in_the_store(f: &Fixture) {
    let (site, ..) = f.subscribed_site(1).await;
    let courier = courier(f, 0);
    f.heard();
    f.lead(&site, "a@b.com").await;
    assert_eq!((courier.given().len(), courier.asked().len()), (0, 1));
    assert_eq!(f.heard(), [Signal::Work]);
    assert_eq!(f.lease().await.len(), 1);
}

async fn its_outcome_is_recorded_and_its_lane_goes_on(f: &Fixture) {
    let (site, ..) = f.subscribed_site(1).await;
    let courier = courier(f, 2);
    let lead = f.lead(&site, "a@b.com").await;
    f.apply(f.patch(site.id, lead, json!({"city": "Hilo"}))).await;
    let first = courier.given().remove(0);
    f.heard();
    assert!(f.record(&first, Verdict::Delivered).await);
    assert!(!f.record(&first, Verdict::Delivered).await, "an outcome is recorded once");
    assert_eq!(f.heard(), [Signal::Work]);
    let second = f.lease().await.remove(0);
    assert_eq!((second.lead, f.story().await), (lead, vec![State::Delivered, State::Waiting]));
    assert!(f.record(&second, Verdict::Delivered).await);
    // The lane is empty again.
    f.apply(f.patch(site.id, lead, json!({"city": "Kona"}))).await;
    assert_eq!(courier.given().len(), 1);
}

async fn when_its_lease_runs_out_it_is_anothers(f: &Fixture) {
    let (site, ..) = f.subscribed_site(1).await;
    let courier = courier(f, 1);
    f.lead(&site, "a@b.com").await;
    let lost = courier.given().remove(0);
    f.pass(59);
    assert!(f.lease().await.is_empty());
    f.pass(1);
    let taken = f.lease().await.remove(0);
    assert_eq!(taken.id, lost.id);
    assert!(!f.record(&lost, Verdict::Delivered).await);
    assert!(f.record(&taken, Verdict::Delivered).await);
}

async fn a_later_change_of_the_lane_waits_its_turn(f: &Fixture) {
    let (site, ..) = f.subscribed_site(1).await;
    let courier = courier(f, 5);
    let lead = f.lead(&site, "a@b.com").await;
    for city in ["Hilo", "Kona"] {
        f.apply(f.patch(site.id, lead, json!({"city": city}))).await;
    }
    f.lead(&site, "c@d.com").await;
    assert_eq!((courier.given().len(), courier.asked().len()), (2, 2), "the heads of two lanes");
    assert!(f.lease().await.is_empty());
}

async fn nothing_passes_by_what_is_due(f: &Fixture) {
    let (site, ..) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let courier = courier(f, 5);
    f.lead(&site, "b@b.com").await;
    assert_eq!((courier.given().len(), courier.asked().len()), (0, 0));
    let leased = f.lease().await;
    assert_eq!(leased.len(), 2);
    f.lead(&site, "c@b.com").await;
    assert_eq!(courier.given().len(), 1, "what is under a lease is not due");
    f.record(&leased[0], Verdict::Retry(f.now())).await;
    f.lead(&site, "d@b.com").await;
    assert_eq!(courier.given().len(), 0);
}

async fn a_paused_subscription_is_sent_nothing(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let courier = courier(f, 5);
    f.lead(&site, "a@b.com").await;
    f.record(&courier.given()[0], Verdict::Pause).await;
    // Its own delivery is due again, and so keeps others from passing; another one's due time is later.
    f.apply(f.upsert(site.id, None, json!({"email": "b@b.com"}))).await;
    assert_eq!(courier.given().len(), 0);
    let new = f.subscription(partners[0].id, site.id, "http://new.example");
    f.store.replace_subscription(new).await.unwrap();
    for leased in f.lease().await {
        f.record(&leased, Verdict::Delivered).await;
    }
    f.lead(&site, "c@b.com").await;
    assert_eq!(courier.given()[0].url.as_str(), "http://new.example");
}

async fn a_change_that_fails_gives_its_room_back(f: &Fixture) {
    let (site, ..) = f.subscribed_site(1).await;
    let courier = courier(f, 2);
    let first = f.upsert(site.id, None, json!({"email": "a@b.com"}));
    // The id of a change that there is already cannot be written again.
    let mut second = f.upsert(site.id, None, json!({"email": "b@b.com"}));
    second.change = first.change;
    f.apply(first).await;
    let failed = f.store.apply_lead_change(second).await;
    assert!(matches!(failed, Err(StoreError::Failed(_))), "{failed:?}");
    assert_eq!((courier.given().len(), courier.free()), (1, 1));
    assert!(courier.asked().len() >= 2, "there was room for both");
}

async fn of_many_subscriptions_each_is_asked_for(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(3).await;
    let courier = courier(f, 2);
    f.lead(&site, "a@b.com").await;
    let given: Vec<_> = courier.given().iter().map(|given| given.subscription).collect();
    assert_eq!(given, subscriptions[..2]);
    let leased: Vec<_> = f.lease().await.iter().map(|leased| leased.subscription).collect();
    assert_eq!(leased, subscriptions[2..]);
}

async fn what_is_under_way_when_its_subscription_is_removed_is_left_to_its_holder(f: &Fixture) {
    let (site, partners, _) = f.subscribed_site(1).await;
    let courier = courier(f, 2);
    for email in ["a@b.com", "c@d.com"] {
        f.lead(&site, email).await;
    }
    let given = courier.given();
    let removed = f.store.remove_subscription(partners[0].id, site.id, f.now()).await.unwrap();
    assert!(removed.outcome);
    assert_eq!(removed.outstanding.len(), 0, "the holder is this process, and has heard of it");
    assert!(f.record(&given[0], Verdict::Delivered).await);
    assert!(f.record(&given[1], Verdict::Release).await);
    assert_eq!(f.story().await, [State::Delivered, State::Cancelled]);
}
