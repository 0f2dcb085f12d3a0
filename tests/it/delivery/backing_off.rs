//! Receivers that cannot take everything at once: they are sent less, and what waits for them goes on by itself. How fast that is
//! over a long time is for the simulations beside the board to show.

use std::time::Duration;

use leadgate::model::Clock;
use leadgate::model::delivery::State;
use leadgate::model::time::after;

use super::world::{Subscriber, World};
use crate::harness::on_every_engine;
use crate::harness::receiver::{Arrival, Receiver, Reply};

on_every_engine!(
    a_receiver_that_refuses_is_sent_the_next_when_its_pace_allows_it,
    a_receiver_that_fails_each_time_is_tried_less_often_and_its_backlog_is_still_due_when_it_comes_back,
    a_put_forgets_the_pace_of_the_old_receiver,
    many_subscriptions_with_one_url_that_fails_are_tried_with_one_request_at_a_time,
    one_subscription_that_fails_alone_holds_up_none_that_share_its_url,
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

/// Sites with subscriptions of one partner that all lead to one URL, with a lead each under way.
async fn sharing(world: &World, receiver: &mut Receiver, count: usize) -> (Vec<Subscriber>, Vec<Arrival>) {
    let (mut subscribers, mut held) = (Vec::new(), Vec::new());
    for _ in 0..count {
        subscribers.push(world.subscriber(&receiver.url("/")).await);
    }
    for subscriber in &subscribers {
        world.lead(*subscriber).await;
        held.push(receiver.next().await);
    }
    (subscribers, held)
}

async fn many_subscriptions_with_one_url_that_fails_are_tried_with_one_request_at_a_time() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let (subscribers, held) = sharing(&world, &mut receiver, 20).await;
    held.into_iter().for_each(|arrival| arrival.answer(Reply::status(500)));
    world.until("all have failed", |counts| counts.retried == 20 && counts.in_flight == 0).await;
    for subscriber in &subscribers {
        world.lead(*subscriber).await;
    }
    for failed in 21..=26 {
        let arrival = receiver.next().await;
        world.until("one is under way", |counts| counts.in_flight == 1).await;
        receiver.assert_quiet();
        arrival.answer(Reply::status(500));
        world.until("it failed", |counts| counts.retried == failed).await;
    }
    // It comes back: those that were not tried yet.
    for delivered in 1..=14 {
        pass_and_answer(&world, &mut receiver, Reply::status(200)).await;
        world.until("it is delivered", |counts| counts.delivered == delivered).await;
    }
}

async fn one_subscription_that_fails_alone_holds_up_none_that_share_its_url() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let (subscribers, mut held) = sharing(&world, &mut receiver, 20).await;
    held.remove(0).answer(Reply::with(429, &[("Retry-After", "50")], ""));
    world.until("it is put off", |counts| counts.retried == 1).await;
    held.into_iter().for_each(|arrival| arrival.answer(Reply::status(200)));
    world.until("the others have theirs", |counts| counts.delivered == 19).await;
    leads(&world, subscribers[0], 3).await;
    receiver.assert_quiet();
    let mut held = Vec::new();
    for subscriber in &subscribers[1..] {
        world.lead(*subscriber).await;
        held.push(receiver.next().await);
    }
    world.until("all of them at once", |counts| counts.in_flight == 19).await;
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
