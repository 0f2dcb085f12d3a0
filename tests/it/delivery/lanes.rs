//! Order: of one lead strictly, between leads not at all.

use serde_json::json;

use super::world::World;
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply};

on_every_engine!(
    an_update_waits_for_its_leads_creation,
    a_failing_head_holds_its_own_lead_and_no_other,
    leads_of_one_subscription_flow_side_by_side,
);

async fn an_update_waits_for_its_leads_creation() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    let lead = world.lead(subscriber).await;
    for city in ["Kailua", "Hilo"] {
        world.update(subscriber, lead, json!({ "city": city })).await;
    }
    let created = receiver.next().await;
    assert_eq!(created.request.header("x-lead-router-action"), "created");
    receiver.assert_quiet();
    created.answer(Reply::status(200));
    for city in ["Kailua", "Hilo"] {
        assert_eq!(receiver.answer(Reply::status(200)).await.json()["city"], city);
    }
    world.until("all are delivered", |counts| counts.delivered == 3).await;
}

async fn a_failing_head_holds_its_own_lead_and_no_other() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    let stuck = world.lead(subscriber).await;
    world.update(subscriber, stuck, json!({"city": "Kailua"})).await;
    receiver.answer(Reply::status(500)).await;
    world.until("the head is put off", |counts| counts.retried == 1).await;

    for _ in 0..5 {
        let other = world.lead(subscriber).await;
        world.update(subscriber, other, json!({"city": "Hilo"})).await;
    }
    for _ in 0..10 {
        let request = receiver.answer(Reply::status(200)).await;
        assert_ne!(request.json()["id"], json!(stuck.to_string()));
    }
    world.until("the others are delivered", |counts| counts.delivered == 10).await;
    receiver.assert_quiet();

    let head = world.log(subscriber).await.into_iter().find_map(|delivery| delivery.due).unwrap();
    world.clock.advance_to(head);
    for action in ["created", "updated"] {
        let request = receiver.answer(Reply::status(200)).await;
        assert_eq!(request.json()["id"], json!(stuck.to_string()));
        assert_eq!(request.header("x-lead-router-action"), action);
    }
}

async fn leads_of_one_subscription_flow_side_by_side() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    let first = world.lead(subscriber).await;
    let held = receiver.next().await;
    assert_eq!(held.request.json()["id"], json!(first.to_string()));
    world.lead(subscriber).await;
    receiver.answer(Reply::status(200)).await;
    world.until("the second lead is delivered", |counts| counts.delivered == 1).await;
}
