//! Each row of API.md §5's list of answers.

use std::time::Duration;

use leadgate::model::Clock;
use leadgate::model::delivery::State;
use leadgate::model::time::{after, until};

use super::world::{Subscriber, World};
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(
    any_2xx_is_delivered,
    the_log_keeps_the_beginning_of_the_answer,
    a_406_ends_the_delivery_without_retry,
    a_410_pauses_the_subscription_until_it_is_set_again,
    a_410_wakes_also_with_an_unchanged_url,
    retry_after_in_seconds_is_waited_for,
    retry_after_as_a_date_is_waited_for,
    retry_after_is_at_most_a_day_and_never_shortens_the_schedule,
    retry_after_with_another_status_means_nothing,
    everything_else_is_tried_again,
    a_redirect_is_never_followed,
);

/// A world in which one delivery was answered so, and that was recorded.
async fn answered(reply: Reply) -> (World, Receiver, Subscriber) {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    receiver.answer(reply).await;
    let recorded = |counts: &leadgate::delivery::Counts| {
        counts.delivered + counts.refused + counts.retried + counts.paused + counts.failed == 1
    };
    world.until("the answer is recorded", recorded).await;
    (world, receiver, subscriber)
}

async fn any_2xx_is_delivered() {
    for status in [200, 201, 202, 204, 299] {
        let (world, _receiver, subscriber) = answered(Reply::status(status)).await;
        let delivery = world.only(subscriber).await;
        assert_eq!(delivery.delivery.state, State::Delivered, "{status}");
        assert_eq!(delivery.attempts[0].status, Some(status));
        assert_eq!(delivery.attempts[0].error, None);
    }
}

async fn the_log_keeps_the_beginning_of_the_answer() {
    let body = format!("thanks\0{}", "x".repeat(2000));
    let (world, _receiver, subscriber) = answered(Reply::with(200, &[], &body)).await;
    let delivery = world.only(subscriber).await;
    assert_eq!(delivery.attempts[0].response, format!("thanks\u{fffd}{}", "x".repeat(1024 - 7)));
}

async fn a_406_ends_the_delivery_without_retry() {
    let (world, mut receiver, subscriber) = answered(Reply::status(406)).await;
    let delivery = world.only(subscriber).await.delivery;
    assert_eq!((delivery.state, delivery.attempts, delivery.due), (State::Refused, 1, None));
    // Others go on.
    world.lead(subscriber).await;
    receiver.answer(Reply::status(200)).await;
}

async fn a_410_pauses_the_subscription_until_it_is_set_again() {
    let (world, mut receiver, subscriber) = answered(Reply::status(410)).await;
    assert_eq!(world.only(subscriber).await.delivery.state, State::Waiting);
    world.lead(subscriber).await;
    // Another subscription's delivery shows that the driver has been round since.
    let other = world.subscriber(&receiver.url("/other")).await;
    world.lead(other).await;
    assert!(receiver.answer(Reply::status(200)).await.line.starts_with("POST /other "));
    world.until("the other one is delivered", |counts| counts.delivered == 1).await;
    receiver.assert_quiet();

    world.put(subscriber, &receiver.url("/again")).await;
    for _ in 0..2 {
        assert!(receiver.answer(Reply::status(200)).await.line.starts_with("POST /again "));
    }
    world.until("both are delivered", |counts| counts.delivered == 3).await;
}

async fn a_410_wakes_also_with_an_unchanged_url() {
    let (world, mut receiver, subscriber) = answered(Reply::status(410)).await;
    world.put(subscriber, &receiver.url("/")).await;
    receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 1).await;
}

async fn retry_after_in_seconds_is_waited_for() {
    for status in [429, 503] {
        let (world, mut receiver, subscriber) = answered(Reply::with(status, &[("Retry-After", "3600")], "")).await;
        let due = world.due(subscriber).await;
        assert_eq!(due, after(world.clock.now(), Duration::from_secs(3600)), "{status}");
        world.clock.advance(Duration::from_secs(3599));
        world.clock.advance_to(due);
        receiver.answer(Reply::status(200)).await;
    }
}

async fn retry_after_as_a_date_is_waited_for() {
    let reply = Reply::with(503, &[("Retry-After", "Sun, 01 Mar 2026 14:30:00 GMT")], "");
    let (world, _receiver, subscriber) = answered(reply).await;
    assert_eq!(world.due(subscriber).await, "2026-03-01T14:30:00Z".parse().unwrap());
}

async fn retry_after_is_at_most_a_day_and_never_shortens_the_schedule() {
    let (world, _receiver, subscriber) = answered(Reply::with(429, &[("Retry-After", "999999")], "")).await;
    assert_eq!(until(world.clock.now(), world.due(subscriber).await), Duration::from_secs(86_400));

    let (world, _receiver, subscriber) = answered(Reply::with(503, &[("Retry-After", "1")], "")).await;
    assert!(until(world.clock.now(), world.due(subscriber).await) >= Duration::from_secs(27));
}

async fn retry_after_with_another_status_means_nothing() {
    let (world, _receiver, subscriber) = answered(Reply::with(500, &[("Retry-After", "3600")], "")).await;
    assert!(until(world.clock.now(), world.due(subscriber).await) <= Duration::from_secs(33));
}

async fn everything_else_is_tried_again() {
    for status in [300, 304, 400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503, 599, 999] {
        let (world, _receiver, subscriber) = answered(Reply::status(status)).await;
        let delivery = world.only(subscriber).await;
        assert_eq!((delivery.delivery.state, delivery.attempts[0].status), (State::Waiting, Some(status)));
        let wait = until(world.clock.now(), delivery.delivery.due.unwrap());
        assert!((Duration::from_secs(27)..=Duration::from_secs(33)).contains(&wait), "{status}: {wait:?}");
    }
}

async fn a_redirect_is_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        let mut elsewhere = Receiver::start().await;
        let target = elsewhere.url("/stolen");
        let (world, mut receiver, subscriber) = answered(Reply::with(status, &[("Location", &target)], "")).await;
        assert_eq!(world.only(subscriber).await.attempts[0].status, Some(status));
        assert_eq!(world.only(subscriber).await.delivery.state, State::Waiting);
        elsewhere.assert_quiet();
        receiver.assert_quiet();
    }
}
