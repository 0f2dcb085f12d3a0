//! What health and readiness say: they turn bad when the gateway is stuck, and not when receivers are.

use std::time::Duration;

use leadgate::delivery::Policy;
use leadgate::domain::health::{LATE, STUCK, is_alive, oldest_due};
use leadgate::model::Clock;

use super::world::World;
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(
    what_a_stuck_driver_does_not_send_is_late,
    what_waits_because_its_receiver_is_dead_or_hangs_or_is_full_or_gone_is_not_late,
    who_finds_no_place_because_others_have_them_all_is_late,
    the_time_without_a_gateway_does_not_count,
);

const SECOND: Duration = Duration::from_secs(1);

async fn what_a_stuck_driver_does_not_send_is_late() {
    let mut world = World::still(&["127.0.0.0/8"], &[]).await;
    let mut receiver = Receiver::start().await;
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let stuck = world.idle_driver().vitals();
    let late = async |world: &World| oldest_due(&*world.store, &*stuck, world.clock.now()).await.unwrap();
    assert_eq!(late(&world).await, Duration::ZERO);
    world.clock.advance(LATE + SECOND);
    assert_eq!(late(&world).await, LATE + SECOND);
    assert!(is_alive(&*stuck, &*world.clock));
    world.clock.advance(STUCK - LATE);
    assert!(!is_alive(&*stuck, &*world.clock));

    // One that makes its rounds mends both.
    world.run();
    receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 1).await;
    assert_eq!(world.oldest_due().await, Duration::ZERO);
    assert!(world.is_alive());
}

async fn what_waits_because_its_receiver_is_dead_or_hangs_or_is_full_or_gone_is_not_late() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let [failing, refusing, full, gone] = ["/failing", "/refusing", "/full", "/gone"].map(|path| receiver.url(path));
    let (failing, refusing) = (world.subscriber(&failing).await, world.subscriber(&refusing).await);
    let (full, gone) = (world.subscriber(&full).await, world.subscriber(&gone).await);
    for (subscriber, status) in [(failing, 500), (refusing, 503), (gone, 410)] {
        world.lead(subscriber).await;
        receiver.answer(Reply::status(status)).await;
    }
    world.until("all are known", |counts| counts.retried == 2 && counts.paused == 1).await;
    // Each has one more under way, which hangs, and others behind that.
    let mut held = Vec::new();
    for subscriber in [failing, refusing, gone] {
        for _ in 0..5 {
            world.lead(subscriber).await;
        }
    }
    for _ in 0..20 {
        world.lead(full).await;
    }
    for _ in 0..18 {
        held.push(receiver.next().await);
    }
    world.until("as much as may be is under way", |counts| counts.in_flight == 18).await;
    // A moment before the time is up: it goes on like this for longer, but then there are time-outs.
    world.clock.advance(Duration::from_secs(14));
    assert_eq!(world.oldest_due().await, Duration::ZERO);
    receiver.assert_quiet();
}

async fn who_finds_no_place_because_others_have_them_all_is_late() {
    let policy = Policy { max_in_flight: 2, timeout: Duration::from_secs(300), ..Policy::default() };
    let (world, mut one, mut other) = (World::with(policy).await, Receiver::start().await, Receiver::start().await);
    let mut held = Vec::new();
    for receiver in [&mut one, &mut other] {
        let subscriber = world.subscriber(&receiver.url("/")).await;
        world.lead(subscriber).await;
        held.push(receiver.next().await);
    }
    world.until("all places are taken", |counts| counts.in_flight == 2).await;
    let mut healthy = Receiver::start().await;
    let subscriber = world.subscriber(&healthy.url("/")).await;
    world.lead(subscriber).await;
    world.clock.advance(LATE + SECOND);
    assert_eq!(world.oldest_due().await, LATE + SECOND);

    held.remove(0).answer(Reply::status(200));
    healthy.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 2).await;
    assert_eq!(world.oldest_due().await, Duration::ZERO);
}

async fn the_time_without_a_gateway_does_not_count() {
    let world = World::still(&["127.0.0.0/8"], &[]).await;
    let receiver = Receiver::start().await;
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    world.clock.advance(Duration::from_secs(86_400));
    let new = world.idle_driver().vitals();
    world.clock.advance(SECOND);
    assert_eq!(oldest_due(&*world.store, &*new, world.clock.now()).await.unwrap(), SECOND);
}
