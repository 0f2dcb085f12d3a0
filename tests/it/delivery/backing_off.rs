//! Receivers that cannot take everything at once: they are sent less, and what waits for them goes on by itself. How fast that is
//! over a long time is for the simulations beside the board to show.

use std::time::Duration;

use leadgate::model::Clock;
use leadgate::model::delivery::State;
use leadgate::model::time::after;

use super::world::{Subscriber, World};
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(
    a_receiver_that_refuses_is_sent_the_next_when_its_pace_allows_it,
    a_receiver_that_fails_each_time_is_tried_less_often_and_its_backlog_is_still_due_when_it_comes_back,
    a_put_forgets_the_pace_of_the_old_receiver,
);

async fn leads(world: &World, subscriber: Subscriber, count: usize) {
    for _ in 0..count {
        world.lead(subscriber).await;
    }
}

/// Moves the clock on far enough for the pace to let one more begin, and answers that one.
async fn pass_and_answer(world: &World, receiver: &mut Receiver, reply: Reply) {
    world.clock.advance(Duration::from_millis(100));
    receiver.answer(reply).await;
}

async fn a_receiver_that_refuses_is_sent_the_next_when_its_pace_allows_it() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    leads(&world, subscriber, 16).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(receiver.next().await);
    }
    // Refused all together: that counts once. Behind them, 20 wait.
    leads(&world, subscriber, 20).await;
    held.into_iter().for_each(|arrival| arrival.answer(Reply::status(429)));
    world.until("all are put off", |counts| counts.retried == 16).await;
    let mut delivered = 0;
    while delivered < 20 {
        pass_and_answer(&world, &mut receiver, Reply::status(200)).await;
        delivered += 1;
        world.until("it is delivered", |counts| counts.delivered == delivered).await;
    }
    let due = world.log(subscriber).await.into_iter().filter(|delivery| delivery.state == State::Waiting);
    let early = after(world.clock.now(), Duration::from_secs(10));
    assert!(due.map(|delivery| delivery.due.unwrap()).all(|due| due > early), "what was refused waits for its retry");
}

async fn a_receiver_that_fails_each_time_is_tried_less_often_and_its_backlog_is_still_due_when_it_comes_back() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    leads(&world, subscriber, 40).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(receiver.next().await);
    }
    held.into_iter().for_each(|arrival| arrival.answer(Reply::status(500)));
    // Once for those that were under way together, and seven more times at once.
    for _ in 0..7 {
        receiver.answer(Reply::status(500)).await;
    }
    world.until("all have failed", |counts| counts.retried == 23 && counts.in_flight == 0).await;
    receiver.assert_quiet();
    let start = world.clock.now();
    world.clock.advance(Duration::from_millis(49));
    receiver.assert_quiet();
    world.clock.advance_to(after(start, Duration::from_millis(50)));
    receiver.answer(Reply::status(500)).await;
    world.until("it is put off", |counts| counts.retried == 24 && counts.in_flight == 0).await;
    receiver.assert_quiet();

    // It comes back, and is sent one, and then more at a time. What was never tried comes now.
    for delivered in 1..=16 {
        pass_and_answer(&world, &mut receiver, Reply::status(200)).await;
        world.until("it is delivered", |counts| counts.delivered == delivered).await;
    }
    receiver.assert_quiet();
    let mut waiting = world.log(subscriber).await.into_iter().filter(|delivery| delivery.state == State::Waiting);
    assert!(waiting.all(|delivery| delivery.attempts == 1), "the others wait for their retries");
}

async fn a_put_forgets_the_pace_of_the_old_receiver() {
    let (world, mut old, mut new) = (World::start().await, Receiver::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&old.url("/")).await;
    leads(&world, subscriber, 20).await;
    let asked = Reply::with(503, &[("Retry-After", "50")], "");
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(old.next().await);
    }
    held.remove(0).answer(asked);
    held.into_iter().for_each(|arrival| arrival.answer(Reply::status(503)));
    world.until("all are put off", |counts| counts.retried == 16).await;
    old.assert_quiet();

    world.put(subscriber, &new.url("/")).await;

    for _ in 0..20 {
        new.answer(Reply::status(200)).await;
    }
    world.until("all are delivered", |counts| counts.delivered == 20).await;
    old.assert_quiet();
}
