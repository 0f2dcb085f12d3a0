//! The program with real processes: what its operator does, and a caller that sends leads.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leadgate::model::seal::Keyring;
use leadgate::model::subscription::secret_context;
use leadgate::model::{Clock, OsEntropy, SubscriptionId};
use leadgate::store::{self, DatabaseUrl, NewSubscription, Purpose, Replaced};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::harness::clock::ManualClock;
use crate::harness::process::{Home, Running};
use crate::harness::receiver::{Receiver, Request};
use crate::harness::{JsonBody, install_crypto, soon};

const KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// How long an attempt may take, as the programs are told. Their leases last twice as long, and a dead one's deliveries have
/// to wait for that: short, but long enough for a busy machine.
const ATTEMPT: &str = "3s";

/// How long the caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A database with a site, a source and a subscription, the programs on it, and a caller.
pub struct Crm {
    database: DatabaseUrl,
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
    /// One on an empty database, whose leads go to `receiver`.
    pub async fn at(database_url: &str, receiver: &Receiver) -> Self {
        install_crypto();
        let home = home(database_url);
        home.document("migrate");
        let site = home.document("site add www.site.com")["uuid"].as_str().unwrap().to_owned();
        home.document("partner add piesync --name PieSync --redirect-uri https://a.example/cb");
        let password = home.document("source add portal")["password"].as_str().unwrap().to_owned();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let crm = Self { database: database_url.parse().unwrap(), home, site, password, http };
        crm.subscribe(&receiver.url("/hook")).await;
        crm
    }

    /// The same with a variable in the gateways' environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.home = self.home.with(name, value);
        self
    }

    async fn subscribe(&self, url: &str) {
        let keys = Keyring::parse(KEY).unwrap();
        let store = store::open(&self.database, Purpose::Command).await.unwrap();
        let partner = store.partners().await.unwrap()[0].id;
        let site = self.site.parse().unwrap();
        let subscription = NewSubscription {
            id: SubscriptionId::random(&OsEntropy),
            site,
            partner,
            url: url.parse().unwrap(),
            secret: keys.seal(b"s3cret", &secret_context(partner, site), &OsEntropy),
            by: None,
            now: ManualClock::new().now(),
        };
        assert_eq!(store.replace_subscription(subscription).await.unwrap().outcome, Replaced::Done);
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

    /// How many attempts at a delivery failed, as the log has it.
    pub fn failed_attempts(&self, delivery: &str) -> usize {
        let shown = self.home.document(&format!("delivery show {delivery}"));
        shown["attempts"].as_array().unwrap().iter().filter(|attempt| !attempt["error"].is_null()).count()
    }

    /// Sends the `n`th lead with this version of its notes. Whether it was acknowledged: a caller sees that, or 503, or a
    /// connection that breaks or says nothing.
    pub async fn send(&self, address: &str, n: usize, version: usize) -> bool {
        let lead = json!({"id": lead_id(n), "source": "test", "first_name": "Ann", "notes": version.to_string()});
        let request = self.http.post(format!("http://{address}/rest/sites/{}/leads", self.site));
        let request = request.basic_auth("portal", Some(&self.password)).json_body(&lead);
        let Ok(answer) = request.header("idempotency-key", format!("{n}-{version}")).send().await else { return false };
        assert!(answer.status().is_success() || is_away(&answer), "{answer:?}");
        answer.status().is_success()
    }

    /// Whether this gateway says that its database is away.
    pub async fn is_away(&self, address: &str) -> bool {
        let users = self.http.get(format!("http://{address}/rest/sites/{}/users", self.site));
        is_away(&users.basic_auth("portal", Some(&self.password)).send().await.unwrap())
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

/// Whether a caller is asked to come back later.
fn is_away(answer: &reqwest::Response) -> bool {
    answer.status() == 503 && answer.headers().contains_key("retry-after")
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

/// One caller for each lead. Each sends a change until it is acknowledged, and then the next; the last third of them when it
/// is told to go on.
pub struct Callers {
    allowed: watch::Sender<usize>,
    changes: usize,
    tasks: Vec<JoinHandle<()>>,
}

impl Callers {
    /// They begin at once, and choose among these gateways.
    pub fn start(crm: &Arc<Crm>, addresses: &[String], leads: usize, changes: usize) -> Self {
        let allowed = watch::Sender::new(changes * 2 / 3);
        let call = |n| {
            let (crm, addresses, mut allowed) = (crm.clone(), addresses.to_owned(), allowed.subscribe());
            tokio::spawn(async move {
                for change in 0..changes {
                    // Fails when the test has failed.
                    let Ok(_) = allowed.wait_for(|allowed| change < *allowed).await else { return };
                    crm.insist(&addresses, n, change).await;
                }
            })
        };
        Self { tasks: (0..leads).map(call).collect(), allowed, changes }
    }

    /// Has them send the rest.
    pub fn go_on(&self) {
        self.allowed.send_replace(self.changes);
    }

    /// Waits until everything is acknowledged.
    pub async fn end(self) {
        soon("all is acknowledged", join_all(self.tasks)).await.into_iter().for_each(Result::unwrap);
    }
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
