//! Starting, stopping and dying: nothing acknowledged is ever lost.

use std::time::Duration;

use leadgate::model::delivery::{LeaseRequest, State};
use leadgate::model::time::after;
use leadgate::model::{Clock, LeaseToken};

use super::world::World;
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(
    what_waited_is_sent_when_the_driver_starts,
    stopping_lets_attempts_under_way_finish,
    stopping_puts_back_what_does_not_finish_in_time,
    a_delivery_whose_holder_is_silent_falls_to_another_when_its_lease_runs_out,
    what_was_leased_when_the_process_died_is_sent_by_the_next_one,
    an_outcome_that_cannot_be_recorded_does_not_keep_the_driver_from_stopping_and_is_sent_again,
);

async fn what_waited_is_sent_when_the_driver_starts() {
    let mut world = World::still(&["127.0.0.0/8"], &[]).await;
    let mut receiver = Receiver::start().await;
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    world.run();
    receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 1).await;
}

async fn stopping_lets_attempts_under_way_finish() {
    let (mut world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    for _ in 0..20 {
        world.lead(subscriber).await;
    }
    let mut under_way = Vec::new();
    for _ in 0..16 {
        under_way.push(receiver.next().await);
    }

    let stopped = world.stop();
    under_way.into_iter().for_each(|arrival| arrival.answer(Reply::status(200)));
    let counts = stopped.await.now();

    assert_eq!((counts.delivered, counts.in_flight), (16, 0));
    receiver.assert_quiet();
    // The rest is not held by anyone: the next gateway sends it at once.
    world.reopen().await;
    world.run();
    for _ in 0..4 {
        receiver.answer(Reply::status(200)).await;
    }
    world.until("the rest is delivered", |counts| counts.delivered == 4).await;
}

async fn stopping_puts_back_what_does_not_finish_in_time() {
    let (mut world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let arrival = receiver.next().await;

    let stopped = tokio::spawn(world.stop());
    world.clock.awaited(after(world.clock.now(), world.policy.grace)).await;
    world.clock.advance(world.policy.grace);

    arrival.hung_up().await;
    let counts = stopped.await.expect("it ends").now();
    assert_eq!((counts.released, counts.in_flight), (1, 0));
    let delivery = world.only(subscriber).await;
    assert_eq!(delivery.delivery.state, State::Waiting);
    assert_eq!(delivery.attempts, [], "an attempt that was cut short is none");
    world.run();
    receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 1).await;
}

async fn a_delivery_whose_holder_is_silent_falls_to_another_when_its_lease_runs_out() {
    let mut world = World::still(&["127.0.0.0/8"], &[]).await;
    let mut receiver = Receiver::start().await;
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    // A holder that leases, and is never heard of again.
    let request = LeaseRequest {
        now: world.clock.now(),
        lease: LeaseToken::random(&*world.entropy),
        until: after(world.clock.now(), Duration::from_secs(30)),
        limit: 10,
        memory: usize::MAX,
        per_subscription: 10,
        busy: Default::default(),
        unlisted: Default::default(),
        again: vec![],
    };
    assert_eq!(world.store.lease_due(request).await.unwrap().deliveries.len(), 1);
    world.run();
    let other = world.subscriber(&receiver.url("/other")).await;
    world.lead(other).await;
    assert!(receiver.answer(Reply::status(200)).await.line.starts_with("POST /other "));
    world.until("the other one is delivered", |counts| counts.delivered == 1).await;
    receiver.assert_quiet();

    world.clock.advance(Duration::from_secs(30));

    receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 2).await;
}

async fn what_was_leased_when_the_process_died_is_sent_by_the_next_one() {
    let (mut world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let lost = receiver.next().await;
    // The file is opened again as after a death: the old driver can record nothing any more.
    world.reopen().await;
    world.run();
    let request = receiver.answer(Reply::status(200)).await;
    assert_eq!(request.header("webhook-id"), lost.request.header("webhook-id"));
    world.until("it is delivered", |counts| counts.delivered == 1).await;
    assert_eq!(world.only(subscriber).await.delivery.state, State::Delivered);
}

async fn an_outcome_that_cannot_be_recorded_does_not_keep_the_driver_from_stopping_and_is_sent_again() {
    let (mut world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let arrival = receiver.next().await;
    world.store.close().await;
    arrival.answer(Reply::status(200));
    world.until("the answer has come", |counts| counts.in_flight == 0).await;

    let stopped = tokio::spawn(world.stop());
    let end = after(world.clock.now(), Duration::from_millis(1500));
    world.clock.awaited(end).await;
    world.clock.advance_to(end);
    assert_eq!(stopped.await.expect("it ends").now().delivered, 0);

    world.reopen().await;
    world.run();
    receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 1).await;
}
