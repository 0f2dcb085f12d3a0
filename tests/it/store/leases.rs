//! Leases: which due deliveries a driver gets, when, and how many.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::delivery::{Action, LeaseRequest, Leased, Space, Unlisted, Verdict};
use leadgate::model::{LeadId, SubscriptionId, time};
use serde_json::json;

use super::fixture::{Fixture, engines};

engines!(
    a_lease_has_all_that_an_attempt_needs,
    what_is_leased_is_not_leased_again_until_it_runs_out,
    what_ran_out_is_another_holders,
    what_ran_out_is_due_since_then,
    two_drivers_at_once_share_the_work,
    a_lane_is_delivered_in_order_one_at_a_time,
    lanes_do_not_wait_for_each_other,
    the_limits_are_kept,
    a_lease_says_who_has_more_that_is_due,
    a_lease_says_who_has_something_due_and_no_room_or_will_have,
    no_more_is_leased_than_there_is_memory_for,
    those_for_whom_there_was_no_memory_come_first_the_next_time,
    a_busy_subscription_gets_only_its_room,
    those_without_room_are_passed_over_once_and_served_when_called,
    new_work_brings_one_that_stood_aside_back_into_the_line,
    those_that_are_down_stand_aside_for_everybody_and_are_served_when_called,
    a_long_backlog_takes_its_turns,
    the_next_due_time_is_that_of_the_next_retry,
    the_next_due_time_skips_those_without_room,
    an_idle_store_has_nothing_due,
    many_subscriptions_are_all_served,
);

fn count_of(leased: &[Leased], subscription: SubscriptionId) -> usize {
    leased.iter().filter(|leased| leased.subscription == subscription).count()
}

/// Creates `count` leads on the site at once.
async fn backlog(f: &Fixture, site: &leadgate::model::site::Site, count: usize) -> Vec<LeadId> {
    let commands: Vec<_> = (0..count).map(|n| f.upsert(site.id, None, json!({"first_name": n.to_string()}))).collect();
    let receipts = join_all(commands.into_iter().map(|command| f.apply(command))).await;
    receipts.into_iter().map(|receipt| receipt.lead).collect()
}

async fn a_lease_has_all_that_an_attempt_needs(f: &Fixture) {
    let (site, partners, subscriptions) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    let logged = f.deliveries().await.remove(0);
    let body = f.store.delivery(logged.id).await.unwrap().unwrap().body;
    let request = f.request();
    let leased = f.lease_as(request.clone()).await.deliveries.remove(0);

    assert_eq!((leased.id, leased.lease, leased.until), (logged.id, request.lease, request.until));
    assert_eq!((leased.site, leased.partner, leased.subscription), (site.id, partners[0].id, subscriptions[0]));
    assert_eq!((leased.lead, leased.action, leased.changed), (lead, Action::Created, logged.changed));
    assert_eq!((&leased.body, leased.attempts), (&body, 0));
    assert_eq!(leased.url.as_str(), "http://partner-0.example/leads");
    assert_eq!(leased.secret.as_bytes(), b"http://partner-0.example/leads");

    // Where to and with which secret is what the subscription says now.
    let new = f.subscription(partners[0].id, site.id, "http://new.example");
    f.store.replace_subscription(new).await.unwrap();
    f.record(&f.lease_again(&leased).await, Verdict::Retry(f.now())).await;
    let moved = f.lease().await.remove(0);
    assert_eq!((moved.url.as_str(), moved.secret.as_bytes()), ("http://new.example", &b"http://new.example"[..]));
    assert_eq!(moved.attempts, 1);
}

async fn what_is_leased_is_not_leased_again_until_it_runs_out(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let first = f.lease_as(f.request()).await.deliveries;
    assert_eq!(first.len(), 1);
    let empty = f.lease_as(f.request()).await;
    assert!(empty.deliveries.is_empty());
    assert_eq!(empty.next_due, Some(first[0].until));
    f.clock.advance(Duration::from_millis(59_999));
    assert!(f.lease().await.is_empty());
    f.clock.advance(Duration::from_millis(1));
    let second = f.lease().await;
    assert_eq!(second[0].id, first[0].id);
    assert_ne!(second[0].lease, first[0].lease);
}

async fn what_ran_out_is_another_holders(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    let lost = f.lease().await.remove(0);
    f.pass(60);
    // As long as nobody else has it, a late outcome is as good as any.
    let taken = f.lease().await.remove(0);
    let before = f.store.delivery(lost.id).await.unwrap();
    assert!(!f.record(&lost, Verdict::Delivered).await);
    assert_eq!(f.store.delivery(lost.id).await.unwrap(), before, "nothing is recorded, not even the attempt");
    f.pass(60);
    assert!(f.record(&taken, Verdict::Delivered).await);
    assert!(!f.record(&taken, Verdict::Delivered).await, "an outcome is recorded once");
}

async fn what_ran_out_is_due_since_then(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let lost = f.lead(&site, "a@b.com").await;
    assert_eq!(f.lease().await.len(), 1);
    f.pass(30);
    let waiting = f.lead(&site, "c@d.com").await;
    f.pass(60);
    let in_turn = [waiting, lost].map(|lead| async move {
        let one = f.lease_as(LeaseRequest { limit: 1, ..f.request() }).await.deliveries.remove(0);
        assert_eq!(one.lead, lead);
    });
    for one in in_turn {
        one.await;
    }
    assert!(f.lease().await.is_empty());
}

async fn two_drivers_at_once_share_the_work(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let leads = backlog(f, &site, 30).await;
    let requests = (0..5).map(|_| LeaseRequest { limit: 10, ..f.request() });
    let batches = join_all(requests.map(|request| f.lease_as(request))).await;
    let mut leased: Vec<_> = batches.iter().flat_map(|batch| &batch.deliveries).map(|leased| leased.lead).collect();
    leased.sort();
    let mut expected = leads;
    expected.sort();
    assert_eq!(leased, expected);
}

async fn a_lane_is_delivered_in_order_one_at_a_time(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(1).await;
    let lead = f.lead(&site, "a@b.com").await;
    for city in ["Hilo", "Kona", "Hana"] {
        f.pass(1);
        f.apply(f.patch(site.id, lead, json!({"city": city}))).await;
    }
    let log = f.deliveries().await;
    assert_eq!(log.iter().map(|delivery| delivery.due.is_some()).collect::<Vec<_>>(), [true, false, false, false]);
    for expected in &log {
        let leased = f.lease().await;
        assert_eq!(leased.iter().map(|leased| leased.id).collect::<Vec<_>>(), [expected.id]);
        assert!(f.lease().await.is_empty(), "the next waits while one is under way");
        f.pass(1);
        assert!(f.record(&leased[0], Verdict::Retry(f.now())).await);
        let again = f.lease().await;
        assert_eq!(again[0].id, expected.id, "a retry keeps its place");
        assert!(f.record(&again[0], Verdict::Delivered).await);
    }
    assert!(f.lease().await.is_empty());
}

async fn lanes_do_not_wait_for_each_other(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(2).await;
    let slow = f.lead(&site, "slow@b.com").await;
    for leased in f.lease().await {
        f.record(&leased, Verdict::Retry(time::after(f.now(), Duration::from_secs(9999)))).await;
    }
    f.apply(f.patch(site.id, slow, json!({"city": "Hilo"}))).await;
    let quick = f.lead(&site, "quick@b.com").await;
    let leased = f.lease().await;
    assert!(leased.iter().all(|leased| leased.lead == quick));
    assert_eq!(leased.len(), subscriptions.len());
}

async fn the_limits_are_kept(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(3).await;
    backlog(f, &site, 10).await;
    let leased = f.lease_as(LeaseRequest { per_subscription: 4, ..f.request() }).await.deliveries;
    assert!(subscriptions.iter().all(|subscription| count_of(&leased, *subscription) == 4));
    let leased = f.lease_as(LeaseRequest { limit: 5, per_subscription: 4, ..f.request() }).await.deliveries;
    assert_eq!(leased.len(), 5);
    assert!(subscriptions.iter().all(|subscription| count_of(&leased, *subscription) <= 4));
    assert!(f.lease_as(LeaseRequest { limit: 0, ..f.request() }).await.deliveries.is_empty());
    assert!(f.lease_as(LeaseRequest { per_subscription: 0, ..f.request() }).await.deliveries.is_empty());
}

async fn a_lease_says_who_has_more_that_is_due(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(2).await;
    backlog(f, &site, 5).await;
    let lane = f.lead(&site, "a@b.com").await;
    f.apply(f.patch(site.id, lane, json!({"city": "Hilo"}))).await;
    let have_more = async |per_subscription, limit| {
        let batch = f.lease_as(LeaseRequest { per_subscription, limit, ..f.request() }).await;
        (batch.deliveries.len(), batch.have_more)
    };
    let all = subscriptions.iter().copied().collect();
    assert_eq!(have_more(4, 1000).await, (8, all));
    let (count, one) = have_more(2, 3).await;
    assert_eq!((count, one.len()), (3, 1), "its last is left out by the limit");
    assert_eq!(have_more(2, 1000).await, (1, [].into()), "what waits in its lane is not due");
}

async fn a_lease_says_who_has_something_due_and_no_room_or_will_have(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(3).await;
    f.lead(&site, "a@b.com").await;
    let later = f.lease().await.into_iter().find(|leased| leased.subscription == subscriptions[0]).unwrap();
    f.record(&later, Verdict::Retry(time::after(f.now(), Duration::from_secs(5)))).await;
    f.lead(&site, "c@d.com").await;
    let full = |request: LeaseRequest, some: &[SubscriptionId]| LeaseRequest {
        busy: some.iter().map(|id| (*id, 0)).collect(),
        ..request
    };
    let batch = f.lease_as(full(f.request(), &subscriptions[1..])).await;
    assert_eq!(batch.have_more, subscriptions[1..].iter().copied().collect());
    assert_eq!(batch.next_due, Some(time::after(f.now(), Duration::from_secs(5))));
    // What the other two have stands aside, or in line until it does: it is due, and not what is asked about here.
    let batch = f.lease_as(full(f.request(), &subscriptions[..1])).await;
    assert!(batch.have_more.contains(&subscriptions[0]), "its retry falls due before anything else");
}

/// Nearly as many bytes as a lead may have.
const LONG: usize = 1_000_000;

/// A lead whose body has a few more than that.
async fn long_lead(f: &Fixture, site: &leadgate::model::site::Site) {
    f.apply(f.upsert(site.id, None, json!({"notes": "x".repeat(LONG)}))).await;
}

async fn no_more_is_leased_than_there_is_memory_for(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(2).await;
    for _ in 0..3 {
        long_lead(f, &site).await;
        f.pass(1);
    }
    let lease = async |memory| {
        let batch = f.lease_as(LeaseRequest { memory, now: f.now(), ..f.request() }).await;
        (batch.deliveries.len(), batch.cut_short)
    };
    assert_eq!(lease(2 * LONG + LONG / 2).await, (2, true));
    assert_eq!(lease(0).await, (1, true), "a single one is never too long");
    assert_eq!(lease(4 * LONG).await, (3, false));
    assert_eq!(lease(0).await, (0, false), "nothing is left");

    // Of many short ones and a long one, as many as fit.
    backlog(f, &site, 5).await;
    long_lead(f, &site).await;
    let batch = f.lease_as(LeaseRequest { memory: LONG, ..f.request() }).await;
    assert!(batch.cut_short);
    assert!(batch.deliveries.len() >= 5 && batch.deliveries.iter().all(|leased| leased.body.len() < LONG));
    let rest = f.lease().await;
    assert_eq!(batch.deliveries.len() + rest.len(), 12);
    assert!(subscriptions.iter().all(|id| count_of(&batch.deliveries, *id) + count_of(&rest, *id) == 6));
}

async fn those_for_whom_there_was_no_memory_come_first_the_next_time(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(3).await;
    long_lead(f, &site).await;
    let one = async |memory, again: &[SubscriptionId]| {
        let batch = f.lease_as(LeaseRequest { memory, again: again.to_vec(), ..f.request() }).await;
        assert!(batch.deliveries.len() <= 1);
        (batch.deliveries.first().map(|leased| leased.subscription), batch.passed_over)
    };
    let (first, _) = one(LONG, &[]).await;
    let first = first.expect("it is never too long");
    // Named, and still without memory: they are to be named again.
    let others: Vec<_> = subscriptions.into_iter().filter(|id| *id != first).collect();
    assert_eq!(one(LONG, &others).await, (Some(others[0]), vec![others[1]]));
    assert_eq!(one(LONG, &others[1..]).await, (Some(others[1]), vec![]));
}

async fn a_busy_subscription_gets_only_its_room(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(3).await;
    backlog(f, &site, 10).await;
    let busy = [(subscriptions[0], 0), (subscriptions[1], 3)].into();
    let leased = f.lease_as(LeaseRequest { per_subscription: 5, busy, ..f.request() }).await.deliveries;
    let counts = subscriptions.iter().map(|subscription| count_of(&leased, *subscription));
    assert_eq!(counts.collect::<Vec<_>>(), [0, 3, 5]);
}

async fn those_without_room_are_passed_over_once_and_served_when_called(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(5).await;
    f.lead(&site, "a@b.com").await;
    f.pass(1);
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

async fn new_work_brings_one_that_stood_aside_back_into_the_line(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    f.pass(1);
    let busy = HashMap::from([(subscriptions[0], 0)]);
    assert_eq!(f.lease_as(LeaseRequest { busy, ..f.request() }).await.passed_over, subscriptions);
    f.lead(&site, "b@b.com").await;
    assert_eq!(f.lease().await.len(), 2);
}

async fn those_that_are_down_stand_aside_for_everybody_and_are_served_when_called(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(4).await;
    backlog(f, &site, 2).await;
    let space = |ids: &[SubscriptionId], space| {
        let ids = ids.to_vec();
        Unlisted::new(move |id| ids.contains(&id).then_some(space))
    };
    let unlisted = space(&subscriptions[..3], Space::Down);
    let batch = f.lease_as(LeaseRequest { unlisted, ..f.request() }).await;
    assert_eq!((batch.deliveries.len(), batch.passed_over.as_slice()), (2, &subscriptions[..3]));
    assert_eq!(batch.next_due, Some(f.request().until), "they do not count: the first lease may run out");
    let batch = f.lease_as(f.request()).await;
    assert!(batch.deliveries.is_empty() && batch.passed_over.is_empty(), "nobody meets them");

    // Two are called, and there is space for one of them, and a limit of one.
    let again = vec![subscriptions[1], subscriptions[0]];
    let unlisted = space(&subscriptions[..3], Space::For(1));
    let batch = f.lease_as(LeaseRequest { unlisted, again, limit: 1, ..f.request() }).await;
    assert_eq!(batch.deliveries.iter().map(|leased| leased.subscription).collect::<Vec<_>>(), [subscriptions[1]]);
    assert_eq!(batch.passed_over, [subscriptions[0]]);

    // It stands in line again; the others come back by themselves.
    let leased = f.lease().await;
    assert_eq!((leased.len(), count_of(&leased, subscriptions[1])), (1, 1));
    f.pass(10);
    assert_eq!(f.lease().await.len(), 4);
}

async fn a_long_backlog_takes_its_turns(f: &Fixture) {
    let (long, partners, _) = f.subscribed_site(1).await;
    backlog(f, &long, 10_000).await;
    let short = f.site("short.com").await;
    let late = f.subscribe(&partners[0], &short).await;
    f.pass(1);
    f.lead(&short, "a@b.com").await;
    f.pass(1);

    let turn = LeaseRequest { limit: 16, per_subscription: 16, ..f.request() };
    // The backlog is older and goes first; then it stands behind the one that came later.
    let first = f.lease_as(turn.clone()).await;
    assert_eq!((first.deliveries.len(), count_of(&first.deliveries, late)), (16, 0));
    f.pass(1);
    let second = f.lease_as(LeaseRequest { now: f.now(), ..turn.clone() }).await;
    assert_eq!((second.deliveries.len(), count_of(&second.deliveries, late)), (16, 1));
    f.pass(1);
    let third = f.lease_as(LeaseRequest { now: f.now(), limit: 10_000, per_subscription: 10_000, ..turn }).await;
    assert_eq!(third.deliveries.len(), 10_000 - 31);
}

async fn the_next_due_time_is_that_of_the_next_retry(f: &Fixture) {
    let (site, _, _) = f.subscribed_site(2).await;
    f.lead(&site, "a@b.com").await;
    let leased = f.lease().await;
    let (soon, later) = (time::after(f.now(), Duration::from_secs(30)), time::after(f.now(), Duration::from_secs(40)));
    f.record(&leased[0], Verdict::Retry(later)).await;
    f.record(&leased[1], Verdict::Retry(soon)).await;
    assert_eq!(f.lease_as(f.request()).await.next_due, Some(soon));
    f.pass(29);
    assert!(f.lease().await.is_empty());
    f.pass(1);
    let batch = f.lease_as(f.request()).await;
    assert_eq!(batch.deliveries.iter().map(|leased| leased.id).collect::<Vec<_>>(), [leased[1].id]);
    assert_eq!(batch.next_due, Some(later));
}

async fn the_next_due_time_skips_those_without_room(f: &Fixture) {
    let (site, _, subscriptions) = f.subscribed_site(2).await;
    f.lead(&site, "a@b.com").await;
    for (leased, seconds) in f.lease().await.iter().zip([10, 20]) {
        f.record(leased, Verdict::Retry(time::after(f.now(), Duration::from_secs(seconds)))).await;
    }
    let next_due = async |busy| f.lease_as(LeaseRequest { busy, ..f.request() }).await.next_due;
    let in_seconds = |seconds| Some(time::after(f.now(), Duration::from_secs(seconds)));
    assert_eq!(next_due([(subscriptions[0], 1), (subscriptions[1], 1)].into()).await, in_seconds(10));
    assert_eq!(next_due([(subscriptions[0], 0)].into()).await, in_seconds(20));
    assert_eq!(next_due([(subscriptions[0], 0), (subscriptions[1], 0)].into()).await, None);
}

async fn an_idle_store_has_nothing_due(f: &Fixture) {
    let batch = f.lease_as(f.request()).await;
    assert!(batch.deliveries.is_empty() && batch.next_due.is_none());
    let (site, _, _) = f.subscribed_site(1).await;
    f.lead(&site, "a@b.com").await;
    f.record(&f.lease().await[0], Verdict::Delivered).await;
    f.pass(3600);
    let batch = f.lease_as(f.request()).await;
    assert!(batch.deliveries.is_empty() && batch.next_due.is_none());
}

async fn many_subscriptions_are_all_served(f: &Fixture) {
    // More than the engine looks at in one step, all due at one time, and half of them without room.
    let (site, _, subscriptions) = f.subscribed_site(200).await;
    f.lead(&site, "a@b.com").await;
    let busy = subscriptions.iter().take(100).map(|id| (*id, 0)).collect();
    let leased = f.lease_as(LeaseRequest { busy, ..f.request() }).await.deliveries;
    assert_eq!(leased.len(), 100);
    assert!(subscriptions[100..].iter().all(|subscription| count_of(&leased, *subscription) == 1));
    f.pass(10);
    assert_eq!(f.lease().await.len(), 100);
}
