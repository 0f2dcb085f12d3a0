//! `kill -9` while leads come in and deliveries go out.

use std::collections::{BTreeMap, BTreeSet};

use leadgate::model::seal::Keyring;
use leadgate::model::subscription::secret_context;
use leadgate::model::{Clock, LeadId, OsEntropy, SubscriptionId};
use leadgate::store::{self, DatabaseUrl, NewSubscription, Purpose, Replaced};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::clock::ManualClock;
use crate::harness::process::{Home, Running};
use crate::harness::receiver::{Receiver, Reply, Request};
use crate::harness::{JsonBody, install_crypto, soon};

const LEADS: usize = 40;
const UPDATES: usize = 3;

/// The program, its operator's doings, and a caller.
struct Crm {
    home: Home,
    site: String,
    password: String,
    http: reqwest::Client,
}

impl Crm {
    /// A database with a site, a source, and a subscription that leads to `receiver`.
    async fn new(receiver: &Receiver) -> Self {
        install_crypto();
        let home = Home::new()
            .with("LEADGATE_LISTEN", "127.0.0.1:0")
            .with("LEADGATE_DELIVERY_ALLOW_NETWORKS", "127.0.0.0/8")
            .with("LEADGATE_DELIVERY_RETRY_SCHEDULE", "1s,1s,1s,1s,1s,1s,1s,1s");
        let site = home.document("site add www.site.com")["uuid"].as_str().unwrap().to_owned();
        home.document("partner add piesync --name PieSync --redirect-uri https://a.example/cb");
        let password = home.document("source add portal")["password"].as_str().unwrap().to_owned();
        let crm = Self { home, site, password, http: reqwest::Client::new() };
        // The key file is made by the first start.
        assert_eq!(crm.serve().0.terminate(), Some(0));
        crm.subscribe(&receiver.url("/hook")).await;
        crm
    }

    async fn subscribe(&self, url: &str) {
        let key = std::fs::read_to_string(self.home.path("leadgate.db.key")).unwrap();
        let keys = Keyring::parse(key.trim()).unwrap();
        let store = store::open(&DatabaseUrl::Sqlite(self.home.path("leadgate.db")), Purpose::Command).await.unwrap();
        let partner = store.partners().await.unwrap()[0].id;
        let site = self.site.parse().unwrap();
        let subscription = NewSubscription {
            id: SubscriptionId::random(&OsEntropy),
            site,
            partner,
            url: url.parse().unwrap(),
            secret: keys.seal(b"s3cret", &secret_context(partner, site), &OsEntropy),
            now: ManualClock::new().now(),
        };
        assert_eq!(store.replace_subscription(subscription).await.unwrap(), Replaced::Done);
        store.close().await;
    }

    /// Starts the gateway; the other part of the answer is its address.
    fn serve(&self) -> (Running, String) {
        let mut gateway = self.home.start("serve");
        let line = gateway.reports("address=");
        let address = line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().to_owned();
        (gateway, address)
    }

    /// Sends one change of the `n`th lead. Whether it was acknowledged: a dead gateway acknowledges nothing.
    async fn send(&self, address: &str, n: usize, version: usize) -> bool {
        let id = lead_id(n);
        let rest = format!("http://{address}/rest/sites/{}/leads", self.site);
        let (method, url) = match version {
            0 => (Method::POST, rest),
            _ => (Method::PATCH, format!("{rest}/{id}")),
        };
        let lead = json!({"id": id.to_string(), "source": "test", "first_name": format!("lead {n}"), "notes": version.to_string()});
        let request = self.http.request(method, url).basic_auth("portal", Some(&self.password)).json_body(&lead);
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }
}

fn lead_id(n: usize) -> LeadId {
    format!("{n:032x}").parse().unwrap()
}

/// The versions of each lead, in the order in which they were first delivered; and how many requests were repeats.
#[derive(Default)]
struct Delivered {
    versions: BTreeMap<String, Vec<usize>>,
    messages: BTreeSet<String>,
    repeats: usize,
}

impl Delivered {
    fn take(&mut self, request: &Request) {
        if !self.messages.insert(request.header("x-lead-router-message-id").to_owned()) {
            self.repeats += 1;
            return;
        }
        let body: Value = request.json();
        let version = body["notes"].as_str().unwrap().parse().unwrap();
        self.versions.entry(body["id"].as_str().unwrap().to_owned()).or_default().push(version);
    }

    /// Whether every acknowledged change has arrived.
    fn has_all(&self, acknowledged: &BTreeSet<(usize, usize)>) -> bool {
        let has = |(n, version): &(usize, usize)| {
            self.versions.get(&lead_id(*n).to_string()).is_some_and(|versions| versions.contains(version))
        };
        acknowledged.iter().all(has)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_acknowledged_arrives_in_order_although_the_gateway_is_killed_three_times() {
    let mut receiver = Receiver::start().await;
    let crm = Crm::new(&receiver).await;
    let mut delivered = Delivered::default();
    let mut acknowledged = BTreeSet::new();

    // Each round, some changes are acknowledged, some requests are at the receiver without an answer, and then the
    // gateway is killed. What a caller got no 2xx for it sends again in the next round, as callers do.
    for version in 0..UPDATES {
        let (gateway, address) = crm.serve();
        for n in 0..LEADS {
            if crm.send(&address, n, version).await {
                acknowledged.insert((n, version));
            }
            if n % 3 == 0 {
                let arrival = receiver.next().await;
                delivered.take(&arrival.request);
                arrival.answer(Reply::status(200));
            }
        }
        let unanswered = receiver.next().await;
        gateway.kill();
        drop(unanswered);
    }
    assert_eq!(acknowledged.len(), LEADS * UPDATES);

    let (gateway, _) = crm.serve();
    while !delivered.has_all(&acknowledged) {
        delivered.take(&receiver.answer(Reply::status(204)).await);
    }
    for (lead, versions) in &delivered.versions {
        assert!(versions.is_sorted() && versions.len() == UPDATES, "{lead}: {versions:?}");
    }
    // Repeats are allowed, but only of what was under way when the gateway was killed: 16 requests at the receiver, and as
    // many answers that were not on disk yet.
    assert!(delivered.repeats <= UPDATES * 32, "{}", delivered.repeats);
    soon("it stops", tokio::task::spawn_blocking(|| gateway.terminate())).await.unwrap();
}
