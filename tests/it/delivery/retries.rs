//! The schedule, from the first failure to the last.

use std::time::Duration;

use leadgate::model::Clock;
use leadgate::model::delivery::{Replay, State};
use leadgate::model::time::until;

use super::world::World;
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(twelve_failures_and_then_failed_and_replayable,);

async fn twelve_failures_and_then_failed_and_replayable() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let seconds = [30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 86400];
    for (made, seconds) in (1..).zip(seconds) {
        receiver.answer(Reply::status(500)).await;
        world.until("it is put off", |counts| counts.retried == made).await;
        let due = world.due(subscriber).await;
        let wait = until(world.clock.now(), due).as_secs_f64() / f64::from(seconds);
        assert!((0.899..=1.101).contains(&wait), "after attempt {made}: {wait} of {seconds} s");
        world.clock.advance(until(world.clock.now(), due) - Duration::from_millis(1));
        receiver.assert_quiet();
        world.clock.advance_to(due);
    }
    receiver.answer(Reply::status(500)).await;
    world.until("it is given up", |counts| counts.failed == 1).await;
    let delivery = world.only(subscriber).await;
    assert_eq!((delivery.delivery.state, delivery.delivery.due), (State::Failed, None));
    assert_eq!(delivery.attempts.len(), 12);

    let replayed = world.store.replay(Replay::FailedOf(subscriber.site), world.clock.now()).await.unwrap();
    assert_eq!(replayed, [delivery.delivery.id]);
    // A receiver that has failed each time is tried every five seconds at most, also by hand.
    receiver.assert_quiet();
    world.clock.advance(Duration::from_secs(5));
    let request = receiver.answer(Reply::status(200)).await;
    assert_eq!(request.header("webhook-id"), delivery.delivery.id.to_string());
    world.until("it is delivered", |counts| counts.delivered == 1).await;
}
