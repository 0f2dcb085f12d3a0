//! Bursts: what a receiver gets whose partner wants updates merged that wait.

use std::time::Duration;

use leadgate::model::Clock;
use leadgate::model::partner::PartnerChange;
use leadgate::model::time::after;
use serde_json::json;

use super::world::{Subscriber, World};
use crate::harness::on_every_engine;
use crate::harness::receiver::{Arrival, Receiver, Reply, Request};

on_every_engine!(
    a_burst_behind_a_slow_answer_is_one_request,
    what_was_on_its_way_when_the_process_died_is_sent_again_as_it_was,
    what_was_broken_off_when_the_gateway_stopped_is_sent_again_as_it_was,
);

/// A running driver, and a receiver that wants updates merged.
async fn start() -> (World, Receiver, Subscriber) {
    let (world, receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world
        .store
        .change_partner(
            &"piesync".parse().unwrap(),
            PartnerChange { merge_updates: Some(true), ..PartnerChange::default() },
        )
        .await
        .unwrap();
    (world, receiver, subscriber)
}

fn message_id(request: &Request) -> &str {
    request.header("x-lead-router-message-id")
}

async fn a_burst_behind_a_slow_answer_is_one_request() {
    let (world, mut receiver, subscriber) = start().await;
    let lead = world.lead(subscriber).await;
    let created = receiver.next().await;
    for n in 0..5 {
        world.clock.advance(Duration::from_millis(1));
        world.update(subscriber, lead, json!({"n": n, format!("field {n}"): n})).await;
    }
    let waiting = world.log(subscriber).await.remove(0);
    created.answer(Reply::status(200));
    let updated = receiver.answer(Reply::status(200)).await;
    world.until("both are delivered", |counts| counts.delivered == 2).await;

    let mut expected = json!({
        "action": "updated", "id": lead.to_string(), "site_uuid": subscriber.site.to_string(),
        "site_domain": "www.site.com", "source": "test", "source_system": "test", "n": 4,
    });
    (0..5).for_each(|n| expected[format!("field {n}")] = json!(n));
    assert_eq!(updated.json(), expected);
    assert_eq!(updated.header("x-lead-router-timestamp"), "2026-03-01T12:00:00.005Z");
    assert_eq!(message_id(&updated), waiting.id.to_string());
    assert_eq!(world.log(subscriber).await.len(), 2);
    receiver.assert_quiet();
}

/// The same, with an update that has arrived and has no answer yet.
async fn an_update_under_way() -> (World, Receiver, Subscriber, Arrival) {
    let (world, mut receiver, subscriber) = start().await;
    let lead = world.lead(subscriber).await;
    receiver.answer(Reply::status(200)).await;
    world.until("the creation is delivered", |counts| counts.delivered == 1).await;
    world.update(subscriber, lead, json!({"n": 1})).await;
    let lost = receiver.next().await;
    (world, receiver, subscriber, lost)
}

/// An update has arrived, and its answer is not known. Later ones come, and a driver starts.
async fn goes_on_with(mut world: World, mut receiver: Receiver, subscriber: Subscriber, lost: Request) {
    let lead = lost.json()["id"].as_str().unwrap().parse().unwrap();
    for n in 2..5 {
        world.update(subscriber, lead, json!({ "n": n })).await;
    }
    world.run();
    let again = receiver.answer(Reply::status(200)).await;
    assert_eq!((message_id(&again), &again.body), (message_id(&lost), &lost.body));
    assert_eq!(receiver.answer(Reply::status(200)).await.json()["n"], 4);
    world.until("both are delivered", |counts| counts.delivered == 2).await;
    receiver.assert_quiet();
}

async fn what_was_on_its_way_when_the_process_died_is_sent_again_as_it_was() {
    let (mut world, receiver, subscriber, lost) = an_update_under_way().await;
    world.reopen().await;
    let request = lost.request.clone();
    goes_on_with(world, receiver, subscriber, request).await;
    drop(lost);
}

async fn what_was_broken_off_when_the_gateway_stopped_is_sent_again_as_it_was() {
    let (mut world, receiver, subscriber, lost) = an_update_under_way().await;
    let stopped = tokio::spawn(world.stop());
    world.clock.awaited(after(world.clock.now(), world.policy.grace)).await;
    world.clock.advance(world.policy.grace);
    let request = lost.request.clone();
    lost.hung_up().await;
    stopped.await.expect("it ends");
    goes_on_with(world, receiver, subscriber, request).await;
}
