//! The program with real processes: what its operator does, and a caller that sends leads.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use leadgate::model::seal::Keyring;
use leadgate::model::subscription::secret_context;
use leadgate::model::{Clock, OsEntropy, SubscriptionId};
use leadgate::store::{self, NewSubscription, Purpose, Replaced};
use serde_json::json;

use crate::harness::clock::ManualClock;
use crate::harness::engine::Data;
use crate::harness::process::{Home, Running};
use crate::harness::receiver::{Receiver, Request};
use crate::harness::{JsonBody, install_crypto};

const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// How long an attempt may take, as the programs are told. Their leases last twice as long, and a dead one's deliveries have
/// to wait for that: short, but long enough for a busy machine.
const ATTEMPT: &str = "3s";

/// How long the caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A database with a site, a source and a subscription, the programs on it, and a caller.
pub struct Crm {
    pub data: Data,
    home: Home,
    site: String,
    password: String,
    http: reqwest::Client,
}

/// A gateway that serves.
pub struct Node {
    pub program: Running,
    pub address: String,
}

impl Crm {
    /// One on the engine of the case that runs, whose leads go to `receiver`.
    pub async fn new(receiver: &Receiver) -> Self {
        install_crypto();
        let data = Data::new();
        let home = home(&data.url());
        let site = home.document("site add www.site.com")["uuid"].as_str().unwrap().to_owned();
        home.document("partner add piesync --name PieSync --redirect-uri https://a.example/cb");
        let password = home.document("source add portal")["password"].as_str().unwrap().to_owned();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let crm = Self { data, home, site, password, http };
        crm.subscribe(&receiver.url("/hook")).await;
        crm
    }

    async fn subscribe(&self, url: &str) {
        let keys = Keyring::parse(KEY).unwrap();
        let store = store::open(&self.data.url().parse().unwrap(), Purpose::Command).await.unwrap();
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

    /// Starts a gateway.
    pub fn serve(&self) -> Node {
        Node::start(&self.home)
    }

    /// Starts a gateway that reaches the database in another way.
    pub fn serve_on(&self, database_url: &str) -> Node {
        Node::start(&home(database_url))
    }

    /// Sends the `n`th lead with this version of its notes. Whether it was acknowledged: a caller sees that, or 503, or a
    /// connection that breaks or says nothing.
    pub async fn send(&self, address: &str, n: usize, version: usize) -> bool {
        let lead = json!({"id": lead_id(n), "source": "test", "first_name": "Ann", "notes": version.to_string()});
        let request = self.http.post(format!("http://{address}/rest/sites/{}/leads", self.site));
        let request = request.basic_auth("portal", Some(&self.password)).json_body(&lead);
        let Ok(answer) = request.header("idempotency-key", format!("{n}-{version}")).send().await else { return false };
        let may_be_repeated = answer.status() == 503 && answer.headers().contains_key("retry-after");
        assert!(answer.status().is_success() || may_be_repeated, "{answer:?}");
        answer.status().is_success()
    }

    /// Sends it to one after the other of these gateways, until one acknowledges it.
    pub async fn insist(&self, addresses: &[String], n: usize, version: usize) {
        for address in addresses.iter().cycle().skip((n + version) % addresses.len()) {
            if self.send(address, n, version).await {
                break;
            }
        }
    }
}

fn home(database_url: &str) -> Home {
    Home::new()
        .with("LEADGATE_DATABASE_URL", database_url)
        .with("LEADGATE_SECRET_KEY", KEY)
        .with("LEADGATE_LISTEN", "127.0.0.1:0")
        .with("LEADGATE_DELIVERY_ALLOW_NETWORKS", "127.0.0.0/8")
        .with("LEADGATE_DELIVERY_TIMEOUT", ATTEMPT)
        .with("LEADGATE_DELIVERY_RETRY_SCHEDULE", "1s,1s,1s,1s,1s,1s,1s,1s")
}

impl Node {
    fn start(home: &Home) -> Self {
        let mut program = home.start("serve");
        let line = program.reports("address=");
        let address = line.split_once("address=").unwrap().1.split_whitespace().next().unwrap().to_owned();
        program.let_talk();
        Self { program, address }
    }
}

fn lead_id(n: usize) -> String {
    format!("{n:032x}")
}

/// What the receiver was sent.
#[derive(Default)]
pub struct Delivered {
    /// The versions of each lead, in the order in which they first arrived.
    versions: BTreeMap<String, Vec<usize>>,
    messages: HashSet<String>,
    /// How many requests were repeats.
    pub repeats: usize,
}

impl Delivered {
    pub fn take(&mut self, request: &Request) {
        if !self.messages.insert(message(request)) {
            self.repeats += 1;
            return;
        }
        let version = request.json()["notes"].as_str().unwrap().parse().unwrap();
        self.versions.entry(lead(request)).or_default().push(version);
    }

    /// How many deliveries have arrived.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// Fails unless so many versions of so many leads have arrived, each once, and those of a lead in order.
    pub fn assert_complete(&self, leads: usize, versions: usize) {
        assert_eq!(self.versions.len(), leads);
        for (lead, arrived) in &self.versions {
            assert_eq!(*arrived, (0..versions).collect::<Vec<_>>(), "{lead}");
        }
    }
}

/// The message that a request carries.
pub fn message(request: &Request) -> String {
    request.header("x-lead-router-message-id").to_owned()
}

/// The lead that a request is about.
pub fn lead(request: &Request) -> String {
    request.json()["id"].as_str().unwrap().to_owned()
}
