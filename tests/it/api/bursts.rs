//! Many changes at once: of one lead, of several, and what the partner gets of them.

use futures_util::future::join_all;
use leadgate::model::partner::PartnerChange;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{Answer, Cast, Gate, JsonBody, answer, on_every_engine};

on_every_engine!(
    patches_of_one_lead_at_once_lose_nothing_and_are_sent_one_after_the_other,
    patches_of_many_leads_at_once_each_reach_their_own,
    a_burst_reaches_a_partner_that_wants_updates_merged_as_one,
);

/// How many changes come at once.
const MANY: usize = 16;

/// A gateway, who is around it, and where the site's leads go.
struct World {
    gate: Gate,
    cast: Cast,
    receiver: Receiver,
}

impl World {
    async fn start() -> Self {
        let (gate, receiver) = (Gate::start().await, Receiver::start().await);
        let cast = gate.cast().await;
        let put = gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token);
        let put = answer(put.json_body(&json!({"url": receiver.url("/"), "secret": "s3cret"}))).await;
        assert_eq!(put.status, 200, "{}", put.text);
        Self { gate, cast, receiver }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let (username, password) = &self.cast.source;
        answer(self.gate.request(method, path).basic_auth(username, Some(password)).json_body(body)).await
    }

    /// A new lead; where it is.
    async fn lead(&self, name: &str) -> String {
        let body = json!({"source": "test", "first_name": name});
        let answer = self.call(Method::POST, &self.cast.rest("/leads"), &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.header("location").to_owned()
    }

    /// The `n`th change.
    async fn patch(&self, location: &str, n: usize) {
        let body = json!({"notes": n.to_string(), format!("field {n}"): n});
        let answer = self.call(Method::PATCH, location, &body).await;
        assert_eq!((answer.status, answer.header("x-leadgate-result")), (200, "updated"), "{}", answer.text);
    }

    /// The fields of a lead.
    async fn fields(&self, location: &str) -> Map<String, Value> {
        let shown = self.call(Method::GET, location, &Value::Null).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        fields(shown.json())
    }
}

/// The fields of a body, without those that tell of which lead, site and change it is.
fn fields(body: Value) -> Map<String, Value> {
    let Value::Object(mut fields) = body else { panic!("{body}") };
    fields.retain(|name, _| !leadgate::model::lead::ENVELOPE.contains(&name.as_str()));
    fields
}

async fn patches_of_one_lead_at_once_lose_nothing_and_are_sent_one_after_the_other() {
    let mut world = World::start().await;
    let location = world.lead("Ann").await;
    let created = world.receiver.next().await;
    join_all((0..MANY).map(|n| world.patch(&location, n))).await;
    let lead = world.fields(&location).await;
    assert!((0..MANY).all(|n| lead[&format!("field {n}")] == n), "{lead:?}");

    let mut received = fields(created.request.json());
    created.answer(Reply::status(200));
    for _ in 0..MANY {
        let change = fields(world.receiver.answer(Reply::status(200)).await.json());
        assert_eq!(change.len(), 3, "the source, the notes, and a field of its own: {change:?}");
        received.extend(change);
    }
    assert_eq!(received, lead, "the last that is sent is the last that was carried out");
    world.receiver.assert_quiet();
}

async fn patches_of_many_leads_at_once_each_reach_their_own() {
    let world = World::start().await;
    let mut locations = Vec::new();
    for n in 0..MANY {
        locations.push(world.lead(&format!("Ann {n}")).await);
    }
    join_all(locations.iter().enumerate().map(|(n, location)| world.patch(location, n))).await;
    for (n, location) in locations.iter().enumerate() {
        let lead = world.fields(location).await;
        assert_eq!((&lead["first_name"], &lead["notes"]), (&json!(format!("Ann {n}")), &json!(n.to_string())));
        assert_eq!(lead.keys().filter(|name| name.starts_with("field")).count(), 1, "{lead:?}");
    }
}

async fn a_burst_reaches_a_partner_that_wants_updates_merged_as_one() {
    let mut world = World::start().await;
    world
        .gate
        .store
        .change_partner(
            &world.cast.partner.partner.slug,
            PartnerChange { merge_updates: Some(true), ..PartnerChange::default() },
        )
        .await
        .unwrap();
    let location = world.lead("Ann").await;
    let created = world.receiver.next().await;
    join_all((0..MANY).map(|n| world.patch(&location, n))).await;
    let mut received = fields(created.request.json());
    created.answer(Reply::status(200));
    let updated = world.receiver.answer(Reply::status(200)).await;
    assert_eq!(updated.header("x-lead-router-action"), "updated");
    received.extend(fields(updated.json()));
    assert_eq!(received, world.fields(&location).await);
    world.receiver.assert_quiet();
}
