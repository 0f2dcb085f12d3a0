//! SQLite's own way with subscriptions that have no room: the only server may let them stand aside. On PostgreSQL they keep
//! their place, since another node may have room for them.

use std::collections::HashMap;

use leadgate::model::delivery::{LeaseRequest, Space, Verdict};
use leadgate::store::Signal;

use super::courier::TestCourier;
use super::fixture::Fixture;

#[tokio::test]
async fn those_without_room_are_passed_over_once_and_served_when_called() {
    let f = &Fixture::sqlite().await;
    let (site, _, subscriptions) = f.subscribed_site(5).await;
    f.lead(&site, "a@b.com").await;
    let busy: HashMap<_, _> = subscriptions[..4].iter().map(|id| (*id, 0)).collect();
    let lease = async |now| f.lease_as(LeaseRequest { busy: busy.clone(), now, ..f.request() }).await;

    let batch = lease(f.now()).await;
    assert_eq!((batch.deliveries.len(), batch.passed_over.as_slice()), (1, &subscriptions[..4]));
    let batch = lease(f.now()).await;
    assert!(batch.deliveries.is_empty() && batch.passed_over.is_empty(), "they are not even looked at");

    // One of them has room again, and one that comes too late.
    let mut busy = busy.clone();
    busy.insert(subscriptions[2], 1);
    busy.insert(subscriptions[1], 1);
    let again = vec![subscriptions[2], subscriptions[1]];
    let batch = f.lease_as(LeaseRequest { busy, again, limit: 1, ..f.request() }).await;
    assert_eq!(batch.deliveries.iter().map(|leased| leased.subscription).collect::<Vec<_>>(), [subscriptions[2]]);
    assert_eq!(batch.passed_over, [subscriptions[1]]);

    // Whoever is never called comes back into the line.
    f.pass(10);
    let served = f.lease().await;
    assert_eq!(served.iter().filter(|leased| leased.subscription != subscriptions[2]).count(), 3);
}

#[tokio::test]
async fn new_work_brings_one_that_stood_aside_back_into_the_line() {
    let f = &Fixture::sqlite().await;
    let (site, _, subscriptions) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let busy = HashMap::from([(subscriptions[0], 0)]);
    assert_eq!(f.lease_as(LeaseRequest { busy, ..f.request() }).await.passed_over, subscriptions);
    f.lead(&site, "b@b.com").await;
    assert_eq!(f.lease().await.len(), 2);
}

#[tokio::test]
async fn the_only_driver_need_not_be_told_of_what_waits_while_it_has_its_hands_full() {
    let f = &Fixture::sqlite().await;
    let (site, _, _) = f.subscribed_site(1).await;
    let courier = TestCourier::of(&*f.store);
    for (space, told) in [(Space::Full, vec![]), (Space::For(1), vec![Signal::Work])] {
        courier.have_space(space);
        f.heard();
        f.lead(&site, &format!("{}@b.com", told.len())).await;
        assert_eq!(f.heard(), told, "{space:?}");
        f.record(&f.lease().await[0], Verdict::Delivered).await;
    }
}
