//! Limits: what one subscription may take, and that a slow or dead one slows nobody else.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use leadgate::delivery::Policy;
use leadgate::model::time::after;

use super::world::World;
use crate::harness::on_every_engine;
use crate::harness::receiver::{Arrival, Receiver, Reply};

on_every_engine!(
    a_subscription_has_at_most_sixteen_requests_under_way,
    a_failing_subscription_is_tried_one_request_at_a_time_until_one_succeeds,
    hundreds_of_hanging_receivers_do_not_delay_another,
    receivers_that_time_out_take_turns_in_a_quarter_of_the_places,
    a_backlog_of_many_subscriptions_is_served_with_few_places,
    a_host_with_many_subscriptions_that_hang_leaves_places_and_turns_to_another_host,
    some_dead_some_slow_and_one_with_a_long_backlog_keep_nobody_from_their_turns,
);

async fn a_subscription_has_at_most_sixteen_requests_under_way() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    for _ in 0..40 {
        world.lead(subscriber).await;
    }
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(receiver.next().await);
    }
    // Another subscription's delivery shows that the driver has been round since.
    let other = world.subscriber(&receiver.url("/other")).await;
    world.lead(other).await;
    assert!(receiver.answer(Reply::status(200)).await.line.starts_with("POST /other "));
    world.until("the other one is delivered", |counts| counts.delivered == 1 && counts.in_flight == 16).await;
    receiver.assert_quiet();

    // Each answer lets one more begin.
    for answered in 1..=24 {
        held.remove(0).answer(Reply::status(200));
        held.push(receiver.next().await);
        world.until("it is delivered", |counts| counts.delivered == 1 + answered && counts.in_flight == 16).await;
        receiver.assert_quiet();
    }
    held.into_iter().for_each(|arrival| arrival.answer(Reply::status(200)));
    world.until("all are delivered", |counts| counts.delivered == 41).await;
}

async fn a_failing_subscription_is_tried_one_request_at_a_time_until_one_succeeds() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    receiver.answer(Reply::status(500)).await;
    world.until("it failed", |counts| counts.retried == 1).await;

    for _ in 0..20 {
        world.lead(subscriber).await;
    }
    for failed in 2..=4 {
        let arrival = receiver.next().await;
        world.until("one is under way", |counts| counts.in_flight == 1).await;
        receiver.assert_quiet();
        arrival.answer(Reply::status(500));
        world.until("it failed", |counts| counts.retried == failed).await;
    }
    receiver.answer(Reply::status(200)).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(receiver.next().await);
    }
    world.until("all places are taken", |counts| counts.in_flight == 16).await;
}

/// All on one host, each with more to send than it has places, and nobody's time ever runs out: the hardest case.
async fn hundreds_of_hanging_receivers_do_not_delay_another() {
    let mut world = World::still(&["127.0.0.0/8"], &[]).await;
    let mut receiver = Receiver::start().await;
    let mut subscribers = Vec::new();
    for number in 0..300 {
        subscribers.push(world.subscriber(&receiver.url(&format!("/hanging/{number}"))).await);
    }
    let healthy = world.subscriber(&receiver.url("/healthy")).await;
    subscribers.extend([healthy; 5]);
    join_all(subscribers.iter().flat_map(|subscriber| [world.lead(*subscriber), world.lead(*subscriber)])).await;
    world.run();

    let mut held = Vec::new();
    answer_healthy(&mut receiver, 10, &mut held).await;
    world.until("the healthy one has all", |counts| counts.delivered == 10).await;
    for _ in 0..20 {
        world.lead(healthy).await;
    }
    answer_healthy(&mut receiver, 20, &mut held).await;
    world.until("and what came later", |counts| counts.delivered == 30).await;
}

/// Answers so many requests for `/healthy`, and holds all others.
async fn answer_healthy(receiver: &mut Receiver, mut requests: usize, held: &mut Vec<Arrival>) {
    while requests > 0 {
        let arrival = receiver.next().await;
        if arrival.request.line.starts_with("POST /healthy ") {
            arrival.answer(Reply::status(200));
            requests -= 1;
        } else {
            held.push(arrival);
        }
    }
}

async fn receivers_that_time_out_take_turns_in_a_quarter_of_the_places() {
    let policy = Policy { max_in_flight: 8, ..Policy::default() };
    let (world, mut hanging, mut healthy) =
        (World::with(policy).await, Receiver::start().await, Receiver::start().await);
    // Four receivers time out, two at a time at least.
    let mut dead = Vec::new();
    for number in 0..4 {
        let subscriber = world.subscriber(&hanging.url(&format!("/{number}"))).await;
        world.lead(subscriber).await;
        dead.push(subscriber);
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(hanging.next().await);
    }
    world.clock.advance(Duration::from_secs(15));
    world.until("all have timed out", |counts| counts.retried == 4 && counts.in_flight == 0).await;

    // Now they are known: however much there is for them, they get two places together.
    for subscriber in &dead {
        for _ in 0..5 {
            world.lead(*subscriber).await;
        }
    }
    held = vec![hanging.next().await, hanging.next().await];
    world.until("two are under way", |counts| counts.in_flight == 2).await;
    let subscriber = world.subscriber(&healthy.url("/")).await;
    for _ in 0..20 {
        world.lead(subscriber).await;
        healthy.answer(Reply::status(200)).await;
    }
    world.until("the healthy one has all", |counts| counts.delivered == 20 && counts.in_flight == 2).await;
    hanging.assert_quiet();

    // The turn passes on: whoever waits longest comes next.
    let mut served: HashSet<_> = held.iter().map(|arrival| arrival.request.line.clone()).collect();
    for turn in 2..=4 {
        world.clock.advance(Duration::from_secs(15));
        for _ in 0..2 {
            let next = hanging.next().await;
            served.insert(next.request.line.clone());
            held.push(next);
        }
        world.until("two are under way", |counts| counts.retried == 2 + 2 * turn && counts.in_flight == 2).await;
    }
    assert_eq!(served.len(), 4, "{served:?}");
}

async fn a_backlog_of_many_subscriptions_is_served_with_few_places() {
    let policy = Policy { max_in_flight: 4, max_per_subscription: 2, ..Policy::default() };
    let (world, mut receiver) = (World::with(policy).await, Receiver::start().await);
    for number in 0..20 {
        let subscriber = world.subscriber(&receiver.url(&format!("/{number}"))).await;
        for _ in 0..10 {
            world.lead(subscriber).await;
        }
    }
    for _ in 0..200 {
        receiver.answer(Reply::status(200)).await;
    }
    world.until("all are delivered", |counts| counts.delivered == 200).await;
    receiver.assert_quiet();
}

/// More of them are due than there are places, and they stand in line before the other one.
async fn a_host_with_many_subscriptions_that_hang_leaves_places_and_turns_to_another_host() {
    let mut world = World::still(&["127.0.0.0/8"], &[]).await;
    world.policy = Policy { max_in_flight: 16, ..Policy::default() };
    let (mut big, mut small) = (Receiver::start().await, Receiver::start().await);
    for number in 0..60 {
        let subscriber = world.subscriber(&big.url(&format!("/{number}"))).await;
        world.lead(subscriber).await;
    }
    let other = world.subscriber(&small.url("/")).await;
    world.lead(other).await;
    world.run();
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(big.next().await);
    }
    // Each second the driver looks on in the line, as far as there are places in all.
    let mut seconds = 0;
    let arrival = loop {
        if let Some(arrival) = small.waiting() {
            break arrival;
        }
        assert!(seconds < 14, "the other one has no turn");
        let now = world.clock.advance(Duration::from_secs(1));
        world.clock.awaited(after(now, Duration::from_secs(1))).await;
        seconds += 1;
    };
    arrival.answer(Reply::status(200));
    world.until("it is delivered", |counts| counts.delivered == 1 && counts.in_flight == 12).await;
    assert_eq!(world.oldest_due().await, Duration::ZERO, "the gateway is not stuck");

    // What comes new for the other one does not even stand in line.
    for delivered in 2..=20 {
        world.lead(other).await;
        small.answer(Reply::status(200)).await;
        world.until("it is delivered", |counts| counts.delivered == delivered).await;
    }
    big.assert_quiet();
}

/// All at once: whoever is well is served as if the others were not there, and the long backlog takes turns with new leads.
async fn some_dead_some_slow_and_one_with_a_long_backlog_keep_nobody_from_their_turns() {
    let mut world = World::still(&["127.0.0.0/8"], &[]).await;
    world.policy = Policy { max_in_flight: 32, max_per_subscription: 4, ..Policy::default() };
    let (mut dead, mut slow) = (Receiver::start().await, Receiver::start().await);
    let (mut busy, mut healthy) = (Receiver::start().await, Receiver::start().await);
    let long = world.subscriber(&busy.url("/")).await;
    for _ in 0..200 {
        world.lead(long).await;
    }
    for number in 0..5 {
        for receiver in [&dead, &slow] {
            let subscriber = world.subscriber(&receiver.url(&format!("/{number}"))).await;
            for _ in 0..10 {
                world.lead(subscriber).await;
            }
        }
    }
    let mut others = Vec::new();
    for number in 0..10 {
        let subscriber = world.subscriber(&healthy.url(&format!("/{number}"))).await;
        world.lead(subscriber).await;
        others.push(subscriber);
    }
    world.run();
    // One receiver never answers, another one answers everything with 500 as soon as it is sent; the backlog's answers one for
    // each that the healthy ones have answered.
    let mut held = Vec::new();
    let mut answered = 0;
    while answered < 30 {
        tokio::select! {
            biased;
            arrival = healthy.next() => {
                arrival.answer(Reply::status(200));
                if answered < 20 {
                    world.lead(others[answered % 10]).await;
                }
                answered += 1;
                busy.answer(Reply::status(200)).await;
            }
            arrival = dead.next() => arrival.answer(Reply::status(500)),
            arrival = slow.next() => held.push(arrival),
        }
    }
    let counts = world.until("all of the healthy ones are delivered", |counts| counts.delivered == 60).await;
    assert!(counts.in_flight <= 32 && held.len() <= 20);
}
