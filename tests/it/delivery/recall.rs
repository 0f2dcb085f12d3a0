//! DELETE and PUT while deliveries are under way or put off.

use std::time::Duration;

use leadgate::model::delivery::State;

use super::world::World;
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(
    after_delete_nothing_more_is_sent,
    after_put_everything_goes_to_the_new_url,
    put_sends_at_once_what_was_put_off,
    other_subscriptions_are_not_disturbed_by_a_delete,
);

async fn after_delete_nothing_more_is_sent() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    for _ in 0..30 {
        world.lead(subscriber).await;
    }
    let mut under_way = Vec::new();
    for _ in 0..16 {
        under_way.push(receiver.next().await);
    }

    world.delete(subscriber).await;

    for arrival in under_way {
        arrival.hung_up().await;
    }
    world.until("all are put back", |counts| counts.in_flight == 0 && counts.released >= 16).await;
    let log = world.log(subscriber).await;
    assert_eq!(log.len(), 30);
    assert!(log.iter().all(|delivery| delivery.state == State::Cancelled), "{log:?}");
    world.clock.advance(Duration::from_secs(3600));
    let other = world.subscriber(&receiver.url("/other")).await;
    world.lead(other).await;
    assert!(receiver.answer(Reply::status(200)).await.line.starts_with("POST /other "));
    receiver.assert_quiet();
}

async fn after_put_everything_goes_to_the_new_url() {
    let (world, mut old, mut new) = (World::start().await, Receiver::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&old.url("/")).await;
    for _ in 0..20 {
        world.lead(subscriber).await;
    }
    let mut under_way = Vec::new();
    for _ in 0..16 {
        under_way.push(old.next().await);
    }

    world.put(subscriber, &new.url("/")).await;

    for arrival in under_way {
        arrival.hung_up().await;
    }
    for _ in 0..20 {
        new.answer(Reply::status(200)).await;
    }
    world.until("all are delivered", |counts| counts.delivered == 20).await;
    old.assert_quiet();
    new.assert_quiet();
}

async fn put_sends_at_once_what_was_put_off() {
    let (world, mut old, mut new) = (World::start().await, Receiver::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&old.url("/")).await;
    for failed in 1..=3 {
        world.lead(subscriber).await;
        old.answer(Reply::status(500)).await;
        world.until("it is put off", |counts| counts.retried == failed).await;
    }

    world.put(subscriber, &new.url("/")).await;

    for _ in 0..3 {
        new.answer(Reply::status(200)).await;
    }
    world.until("all are delivered", |counts| counts.delivered == 3).await;
    old.assert_quiet();
}

async fn other_subscriptions_are_not_disturbed_by_a_delete() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let (one, other) = (world.subscriber(&receiver.url("/one")).await, world.subscriber(&receiver.url("/other")).await);
    world.lead(other).await;
    let arrival = receiver.next().await;
    world.delete(one).await;
    arrival.answer(Reply::status(200));
    world.until("it is delivered", |counts| counts.delivered == 1).await;
}
