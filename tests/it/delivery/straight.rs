//! Straight from the commit to the socket; and what happens where there is no room for that.

use leadgate::delivery::Policy;
use leadgate::model::{Clock, time};

use super::world::{LEASE, World};
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(
    a_lead_is_committed_under_the_lease_of_its_own_driver,
    what_there_is_no_memory_for_is_sent_from_the_store,
);

async fn a_lead_is_committed_under_the_lease_of_its_own_driver() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    assert_eq!(world.due(subscriber).await, time::after(world.clock.now(), LEASE));
    receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 1).await;
    assert_eq!(world.only(subscriber).await.attempts.len(), 1);
}

async fn what_there_is_no_memory_for_is_sent_from_the_store() {
    let world = World::with(Policy { memory: 1, ..Policy::default() }).await;
    let mut receiver = Receiver::start().await;
    let subscriber = world.subscriber(&receiver.url("/")).await;
    for _ in 0..20 {
        world.lead(subscriber).await;
    }
    for _ in 0..20 {
        let arrival = receiver.next().await;
        let counts = world.until("it is under way", |counts| counts.in_flight > 0).await;
        assert_eq!(counts.in_flight, 1, "there is memory for one body, since that is never too long");
        arrival.answer(Reply::status(200));
    }
    world.until("all are delivered", |counts| counts.delivered == 20).await;
    receiver.assert_quiet();
}
