//! What a receiver gets: every header of the table, both signatures, the body byte for byte.

use leadgate::model::Clock;
use leadgate::model::signature::{WebhookHeaders, verify_lead_router, verify_standard_webhook};
use serde_json::json;

use super::world::{SECRET, World};
use crate::harness::on_every_engine;
use crate::harness::receiver::{Receiver, Reply, Request};

on_every_engine!(
    a_new_lead_is_posted_with_all_headers,
    a_change_is_posted_as_updated,
    a_retry_has_the_same_message_id_and_a_signature_of_its_own_time,
);

fn assert_signed(request: &Request, world: &World) {
    let secret = SECRET.as_bytes();
    verify_lead_router(secret, &request.body, request.header("x-lead-router-signature")).unwrap();
    let received = WebhookHeaders {
        id: request.header("webhook-id"),
        timestamp: request.header("webhook-timestamp"),
        signature: request.header("webhook-signature"),
    };
    verify_standard_webhook(secret, received, &request.body, world.clock.now()).unwrap();
}

async fn a_new_lead_is_posted_with_all_headers() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/v1/realgeeks?key=a%20b")).await;
    let lead = world.lead(subscriber).await;

    let request = receiver.answer(Reply::status(200)).await;
    world.until("it is delivered", |counts| counts.delivered == 1).await;

    assert_eq!(request.line, "POST /v1/realgeeks?key=a%20b HTTP/1.1");
    let delivery = world.only(subscriber).await;
    let expected = [
        ("content-type", "application/json"),
        ("x-lead-router-action", "created"),
        ("x-lead-router-message-id", &delivery.delivery.id.to_string()),
        ("x-lead-router-timestamp", "2026-03-01T12:00:00.000Z"),
        ("webhook-id", &delivery.delivery.id.to_string()),
        ("webhook-timestamp", "1772366400"),
        ("user-agent", concat!("Leadgate/", env!("CARGO_PKG_VERSION"))),
        ("content-length", &request.body.len().to_string()),
    ];
    for (name, value) in expected {
        assert_eq!(request.header(name), value, "{name}");
    }
    for unwanted in ["cookie", "referer", "authorization", "accept-encoding", "transfer-encoding"] {
        assert!(!request.headers.iter().any(|(name, _)| name == unwanted), "{unwanted}");
    }
    assert_signed(&request, &world);
    assert_eq!(request.body, delivery.body);
    assert_eq!(request.json()["id"], json!(lead.to_string()));
}

async fn a_change_is_posted_as_updated() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    let lead = world.lead(subscriber).await;
    receiver.answer(Reply::status(204)).await;

    world.update(subscriber, lead, json!({"city": "Kailua"})).await;

    let request = receiver.answer(Reply::status(204)).await;
    assert_eq!(request.header("x-lead-router-action"), "updated");
    assert_eq!(request.json()["city"], "Kailua");
    assert_signed(&request, &world);
}

async fn a_retry_has_the_same_message_id_and_a_signature_of_its_own_time() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let subscriber = world.subscriber(&receiver.url("/")).await;
    world.lead(subscriber).await;
    let first = receiver.answer(Reply::status(500)).await;
    world.until("it is put off", |counts| counts.retried == 1).await;

    world.clock.advance_to(world.due(subscriber).await);

    let second = receiver.answer(Reply::status(200)).await;
    assert_eq!(second.body, first.body);
    for same in ["x-lead-router-message-id", "x-lead-router-timestamp", "x-lead-router-signature", "webhook-id"] {
        assert_eq!(second.header(same), first.header(same), "{same}");
    }
    assert_ne!(second.header("webhook-timestamp"), first.header("webhook-timestamp"));
    assert_signed(&second, &world);
}
