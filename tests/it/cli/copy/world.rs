//! A gateway on SQLite with something of everything, and a picture of what a gateway holds.

use std::sync::Arc;
use std::time::Duration;

use leadgate::config::Settings;
use leadgate::model::delivery::DeliveryFilter;
use leadgate::model::password::{LinkKind, NewLink};
use leadgate::model::site::Site;
use leadgate::model::source::Reach;
use leadgate::model::subscription::secret_context;
use leadgate::model::token::{Hashed, PasswordLink, Plain, Session};
use leadgate::model::{LeadId, OsEntropy, Scopes, SubscriptionId, Timestamp, time};
use leadgate::store::{NewSubscription, SharedStore};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::clock::ManualClock;
use crate::harness::engine::Data;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::{Cast, Gate, JsonBody, answer, make};

/// A gateway that has stopped, and who is around it.
pub struct World {
    pub data: Data,
    pub clock: Arc<ManualClock>,
    pub cast: Cast,
    pub session: Hashed<Session>,
    /// Where the site's leads go.
    pub receiver: Receiver,
    /// The lead whose creation failed once, and two updates behind it; under its other id.
    pub stuck: LeadId,
    sites: Vec<Site>,
}

/// One retry, after half a minute.
pub fn settings(settings: &mut Settings) {
    settings.delivery.retry_schedule = vec![Duration::from_secs(30)];
}

impl World {
    /// Lets a gateway live: what it has done and left undone is of every kind.
    pub async fn new() -> Self {
        let mut receiver = Receiver::start().await;
        let gate = Gate::start_in(Data::new(), Arc::new(ManualClock::new()), settings).await;
        let cast = gate.cast().await;
        let session = log_in(&gate, &cast).await;
        gate.source("one-site", Reach::Only(vec![cast.site.id])).await;
        let sites = vec![cast.site.clone(), doubled(&gate, &cast).await, gone(&gate).await, paused(&gate, &cast).await];
        let put = gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token);
        done(put.json_body(&json!({"url": receiver.url("/"), "secret": "s3cret"})), 200).await;
        post(&gate, &cast, "failed", json!({"phone": "1"})).await;
        receiver.answer(Reply::with(500, &[], "a\0b")).await;
        let gate = next_minute(gate).await;
        for (phone, status) in [("1", 500), ("2", 200), ("3", 406)] {
            if phone != "1" {
                post(&gate, &cast, phone, json!({ "phone": phone })).await;
            }
            receiver.answer(Reply::status(status)).await;
        }
        let stuck = get_stuck(&gate, &cast, &mut receiver).await;
        gate.store.purge(gate.now(), Timestamp::MIN, 1000).await.unwrap();
        let (data, clock) = gate.stop().await;
        Self { data, clock, cast, session, receiver, stuck, sites }
    }

    /// Everything that a store tells of itself.
    pub async fn picture(&self, store: &SharedStore) -> Vec<String> {
        let mut seen = vec![
            format!("{:?}", store.users().await.unwrap()),
            format!("{:?}", store.partners().await.unwrap()),
            format!("{:?}", store.sources().await.unwrap()),
            format!("{:?}", store.sites().await.unwrap()),
            format!("{:?}", store.session(&self.session, Timestamp::MIN).await.unwrap()),
            format!("{:?}", store.lead(self.cast.site.id, self.stuck).await.unwrap()),
            format!("{:?}", store.key_check().await.unwrap()),
        ];
        for site in &self.sites {
            seen.push(format!("{:?}", store.owners_of(site.id).await.unwrap()));
            for partner in store.partners().await.unwrap() {
                seen.push(format!("{:?}", store.subscription(partner.id, site.id).await.unwrap()));
            }
        }
        for delivery in store.deliveries(DeliveryFilter { site: None, state: None, limit: 1000 }).await.unwrap() {
            seen.push(format!("{:?}", store.delivery(delivery.id).await.unwrap()));
        }
        seen
    }
}

/// A minute later, and another process.
async fn next_minute(gate: Gate) -> Gate {
    let (data, clock) = gate.stop().await;
    clock.advance(Duration::from_secs(60));
    Gate::start_in(data, clock, settings).await
}

/// The owner's session; the owner is also sent a link.
async fn log_in(gate: &Gate, cast: &Cast) -> Hashed<Session> {
    let expires = time::after(gate.now(), Duration::from_secs(3600));
    let session = make::session(&OsEntropy, gate.now(), cast.owner.id, expires);
    gate.store.start_session(session.clone()).await.unwrap();
    let link = NewLink {
        hash: Plain::<PasswordLink>::generate(&OsEntropy).hash(),
        user: cast.owner.id,
        kind: LinkKind::Invitation,
        created: gate.now(),
        expires,
    };
    assert!(gate.store.offer_link(link, None).await.unwrap());
    session.hash
}

/// A site with two subscriptions of one partner, as old data can hold them.
async fn doubled(gate: &Gate, cast: &Cast) -> Site {
    let (site, partner) = (gate.site("doubled.site.com", &[]).await, cast.partner.partner.id);
    for _ in 0..2 {
        let another = NewSubscription {
            id: SubscriptionId::random(&OsEntropy),
            site: site.id,
            partner,
            url: "https://one.example/".parse().unwrap(),
            secret: gate.gateway().keys.seal(b"old", &secret_context(partner, site.id), &OsEntropy),
            by: None,
            now: gate.now(),
        };
        gate.store.import_subscription(another).await.unwrap();
    }
    site
}

/// A site whose partner was removed while something waited.
async fn gone(gate: &Gate) -> Site {
    let (owner, mut receiver) = (gate.person("gone@example.com").await, Receiver::start().await);
    let site = gate.site("gone.site.com", &[&owner]).await;
    let partner = gate.partner("gone").await;
    let token = gate.connect(&partner, &owner, &site, Scopes::ALL).await;
    let source = gate.source("gone", Reach::All).await;
    let cast = Cast { owner, site, partner, token, source };
    let put = gate.request(Method::PUT, &cast.subscription()).bearer_auth(&cast.token);
    done(put.json_body(&json!({"url": receiver.url("/"), "secret": "s3cret"})), 200).await;
    post(gate, &cast, "gone", json!({"phone": "1"})).await;
    let held = receiver.next().await;
    gate.store.remove_partner(&cast.partner.partner.slug, gate.now()).await.unwrap();
    held.hung_up().await;
    cast.site
}

/// A site whose receiver has said that it is gone.
async fn paused(gate: &Gate, cast: &Cast) -> Site {
    let mut receiver = Receiver::start().await;
    let site = gate.site("paused.site.com", &[&cast.owner]).await;
    let token = gate.connect(&cast.partner, &cast.owner, &site, Scopes::ALL).await;
    let put = gate.request(Method::PUT, &format!("/piesync/subscription/{}/", site.id)).bearer_auth(token);
    done(put.json_body(&json!({"url": receiver.url("/"), "secret": "s3cret"})), 200).await;
    let (username, password) = &cast.source;
    let path = format!("/rest/sites/{}/leads", site.id);
    let lead = json!({"source": "portal", "phone": "1"});
    done(gate.post(&path).basic_auth(username, Some(password)).json_body(&lead), 201).await;
    receiver.answer(Reply::status(410)).await;
    site
}

/// A lead whose creation has failed once, with two updates behind it, an activity, and another id. Returns that.
async fn get_stuck(gate: &Gate, cast: &Cast, receiver: &mut Receiver) -> LeadId {
    let note = json!({"type": "note", "source": "portal", "description": "Rang twice"});
    post(gate, cast, "stuck", json!({"email": "Ann@example.com", "activities": [note]})).await;
    receiver.answer(Reply::status(500)).await;
    let alias = LeadId::random(&OsEntropy);
    for city in ["Kailua", "Hilo"] {
        let update = json!({"id": alias.to_string(), "email": "ann@example.com", "city": city});
        post(gate, cast, city, update).await;
    }
    alias
}

/// The portal sends a lead.
pub async fn post(gate: &Gate, cast: &Cast, key: &str, fields: Value) {
    let (username, password) = &cast.source;
    let mut lead = fields;
    lead["source"] = json!("portal");
    let request = gate.post(&cast.rest("/leads")).basic_auth(username, Some(password)).header("idempotency-key", key);
    let answer = answer(request.json_body(&lead)).await;
    assert!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.text);
}

async fn done(request: RequestBuilder, status: u16) {
    let answer = answer(request).await;
    assert_eq!(answer.status, status, "{}", answer.text);
}
