//! A store, a driver, a clock, and the few moves that delivery tests make.

use std::sync::Arc;
use std::time::Duration;

use leadgate::delivery::{Counts, DeliveryStats, Driver, DriverParts, Policy};
use leadgate::domain::admin::Admin;
use leadgate::domain::health::{is_alive, oldest_due};
use leadgate::egress::{Client, Guard};
use leadgate::model::delivery::{Delivery, DeliveryDetails, DeliveryFilter, State};
use leadgate::model::lead::{LeadAction, LeadCommand, LeadOutcome, Origin, Patch};
use leadgate::model::seal::Keyring;
use leadgate::model::subscription::secret_context;
use leadgate::model::vitals::Vitals;
use leadgate::model::{ChangeId, Clock, DeliveryId, LeadId, PartnerId, SiteId, SubscriptionId, Timestamp};
use leadgate::store::{NewPartner, NewSite, NewSubscription, Purpose, Replaced, SharedStore};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::clock::ManualClock;
use crate::harness::engine::Data;
use crate::harness::entropy::SeededEntropy;
use crate::harness::names::Names;
use crate::harness::{Gate, make, soon};

/// Everything around one driver.
pub struct World {
    pub store: SharedStore,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    pub keys: Arc<Keyring>,
    pub policy: Policy,
    guard: Arc<Guard>,
    partner: PartnerId,
    driver: Option<Running>,
    data: Data,
}

struct Running {
    stats: Arc<DeliveryStats>,
    vitals: Arc<dyn Vitals>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// A site with a subscription.
#[derive(Debug, Clone, Copy)]
pub struct Subscriber {
    pub site: SiteId,
    pub partner: PartnerId,
}

/// An operator at the command line.
pub struct Operator {
    pub admin: Admin,
    pub clock: Arc<ManualClock>,
}

/// The secret of every subscription.
pub const SECRET: &str = "s3cret";

/// How long a driver's lease lasts: what an attempt may take, and as long again to wait for its turn.
pub const LEASE: Duration = Duration::from_secs(30);

impl World {
    /// A running driver with the defaults of CLI.md, whose loopback receivers may be reached.
    pub async fn start() -> Self {
        let mut world = Self::still(&["127.0.0.0/8"], &[]).await;
        world.run();
        world
    }

    /// A running driver with these choices.
    pub async fn with(policy: Policy) -> Self {
        let mut world = Self::still(&["127.0.0.0/8"], &[]).await;
        world.policy = policy;
        world.run();
        world
    }

    /// A running driver that may reach `allowed` besides the internet, and knows these names.
    pub async fn reaching(allowed: &[&str], names: &[(&str, &[&str])]) -> Self {
        let mut world = Self::still(allowed, names).await;
        world.run();
        world
    }

    /// The same without a driver.
    pub async fn still(allowed: &[&str], names: &[(&str, &[&str])]) -> Self {
        let data = Data::new();
        let store = open(&data).await;
        let clock = Arc::new(ManualClock::at("2026-03-01T12:00:00Z"));
        let entropy = Arc::new(SeededEntropy::new(1));
        let guard = guard(allowed, names, clock.clone());
        let keys = Arc::new(Keyring::parse(&"11".repeat(32)).expect("a key"));
        let partner = make::partner(&*entropy, clock.now(), "piesync");
        assert_eq!(store.add_partner(partner.clone()).await.unwrap(), NewPartner::Added);
        Self { partner: partner.id, driver: None, policy: Policy::default(), data, store, clock, entropy, keys, guard }
    }

    /// Another node on the same data, without a driver: a store, a clock that shows the same, and random numbers of its own.
    pub async fn beside(&self) -> Self {
        let clock = Arc::new(ManualClock::at(&self.clock.now().to_string()));
        Self {
            store: open(&self.data).await,
            guard: guard(&["127.0.0.0/8"], &[], clock.clone()),
            clock,
            entropy: Arc::new(SeededEntropy::new(2)),
            keys: self.keys.clone(),
            policy: self.policy.clone(),
            partner: self.partner,
            driver: None,
            data: self.data.clone(),
        }
    }

    /// Another node beside a whole gateway, without a driver.
    pub async fn beside_gate(gate: &Gate, partner: PartnerId) -> Self {
        let clock = Arc::new(ManualClock::at(&gate.now().to_string()));
        Self {
            store: open(&gate.data).await,
            guard: guard(&["127.0.0.0/8"], &[], clock.clone()),
            clock,
            entropy: Arc::new(SeededEntropy::new(2)),
            keys: gate.gateway().keys.clone(),
            policy: Policy::default(),
            partner,
            driver: None,
            data: gate.data.clone(),
        }
    }

    /// What the operator does by a command, in a process of its own, whose clock shows the same.
    pub async fn command(&self) -> Operator {
        let clock = Arc::new(ManualClock::at(&self.clock.now().to_string()));
        let url = self.data.url().parse().expect("a database's URL");
        let store = leadgate::store::open(&url, Purpose::Command).await.expect("the database opens");
        let (public_url, entropy) = (String::new(), self.entropy.clone());
        let admin = Admin { store, clock: clock.clone(), entropy, public_url, mailer: None };
        Operator { admin, clock }
    }

    /// Runs SQL behind the store's back.
    pub fn sql(&self, sql: &str) {
        self.data.sql(sql);
    }

    /// Starts a driver. It replaces the one before, which goes on if it was not stopped.
    pub fn run(&mut self) {
        let driver = self.idle_driver();
        let (stats, vitals) = (driver.stats(), driver.vitals());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(driver.run(shutdown.clone()));
        self.driver = Some(Running { stats, vitals, shutdown, task });
    }

    /// How long something that could be sent has been waiting.
    pub async fn oldest_due(&self) -> Duration {
        let driver = self.driver.as_ref().expect("a driver runs");
        oldest_due(&*self.store, &*driver.vitals, self.clock.now()).await.unwrap()
    }

    /// Whether the driver makes its rounds.
    pub fn is_alive(&self) -> bool {
        is_alive(&*self.driver.as_ref().expect("a driver runs").vitals, &*self.clock)
    }

    /// A driver that makes no rounds.
    pub fn idle_driver(&self) -> Driver {
        Driver::new(DriverParts {
            store: self.store.clone(),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            client: Client::new(self.guard.clone()).expect("a client"),
            policy: self.policy.clone(),
        })
    }

    /// Tells the driver to stop. The result completes when it has.
    pub fn stop(&mut self) -> impl Future<Output = Arc<DeliveryStats>> + use<> {
        let driver = self.driver.take().expect("a driver runs");
        driver.shutdown.cancel();
        async {
            soon("the driver stops", driver.task).await.expect("it ends well");
            driver.stats
        }
    }

    /// Closes the store, and opens the data again, as after a death. Where leases hold all the same, they run out.
    pub async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(&self.data).await;
        if self.data.is_shared() {
            self.clock.advance(LEASE);
        }
    }

    /// Waits until the driver's numbers are as they should be.
    pub async fn until(&self, what: &str, reached: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.driver.as_ref().expect("a driver runs").stats.subscribe();
        *soon(what, counts.wait_for(reached)).await.expect("the driver lives")
    }

    /// A new site whose leads go to `url`.
    pub async fn subscriber(&self, url: &str) -> Subscriber {
        let site = make::site(&*self.entropy, self.clock.now(), "www.site.com");
        let id = site.id;
        assert_eq!(self.store.add_site(site, &[]).await.unwrap(), NewSite::Done);
        let subscriber = Subscriber { site: id, partner: self.partner };
        self.put(subscriber, url).await;
        subscriber
    }

    /// A partner's PUT.
    pub async fn put(&self, subscriber: Subscriber, url: &str) {
        let Subscriber { site, partner } = subscriber;
        let subscription = NewSubscription {
            id: SubscriptionId::random(&*self.entropy),
            site,
            partner,
            url: url.parse().expect("a URL"),
            secret: self.keys.seal(SECRET.as_bytes(), &secret_context(partner, site), &*self.entropy),
            by: None,
            now: self.clock.now(),
        };
        assert_eq!(self.store.replace_subscription(subscription).await.unwrap().outcome, Replaced::Done);
    }

    /// A partner's DELETE.
    pub async fn delete(&self, subscriber: Subscriber) {
        let Subscriber { site, partner } = subscriber;
        assert!(self.store.remove_subscription(partner, site, self.clock.now()).await.unwrap().outcome);
    }

    /// A new lead comes in.
    pub async fn lead(&self, subscriber: Subscriber) -> LeadId {
        let fresh = LeadId::random(&*self.entropy);
        let patch = patch(json!({"source": "test", "first_name": "Ann", "email": format!("{fresh}@a.example")}));
        let action = LeadAction::Upsert { given: None, fresh, patch, activities: vec![] };
        self.apply(subscriber, action).await
    }

    /// A lead changes.
    pub async fn update(&self, subscriber: Subscriber, lead: LeadId, fields: Value) {
        self.apply(subscriber, LeadAction::Patch { lead, patch: patch(fields), activities: vec![] }).await;
    }

    async fn apply(&self, subscriber: Subscriber, action: LeadAction) -> LeadId {
        let command = LeadCommand {
            site: subscriber.site,
            origin: Origin { system: "test".into(), partner: None },
            change: ChangeId::at(self.clock.now(), &*self.entropy),
            now: self.clock.now(),
            action,
            idempotency: None,
            presumes: None,
        };
        match self.store.apply_lead_change(command).await.unwrap() {
            LeadOutcome::Done(receipt) => receipt.lead,
            other => panic!("{other:?}"),
        }
    }

    /// The delivery log of a site, newest first.
    pub async fn log(&self, subscriber: Subscriber) -> Vec<Delivery> {
        let filter = DeliveryFilter { site: Some(subscriber.site), state: None, limit: 10_000 };
        self.store.deliveries(filter).await.unwrap()
    }

    /// A site's only delivery, in full.
    pub async fn only(&self, subscriber: Subscriber) -> DeliveryDetails {
        let log = self.log(subscriber).await;
        assert_eq!(log.len(), 1, "{log:?}");
        self.details(log[0].id).await
    }

    /// A delivery in full.
    pub async fn details(&self, id: DeliveryId) -> DeliveryDetails {
        self.store.delivery(id).await.unwrap().expect("it is in the log")
    }

    /// When a site's only delivery is due.
    pub async fn due(&self, subscriber: Subscriber) -> Timestamp {
        let delivery = self.only(subscriber).await.delivery;
        assert_eq!(delivery.state, State::Waiting);
        delivery.due.expect("it is the head of its lane")
    }
}

fn guard(allowed: &[&str], names: &[(&str, &[&str])], clock: Arc<ManualClock>) -> Arc<Guard> {
    let known = Names::default();
    names.iter().for_each(|(name, addresses)| known.set(name, addresses));
    let allowed = allowed.iter().map(|network| network.parse().expect("a network")).collect();
    Arc::new(Guard::new(allowed, Arc::new(known), clock))
}

async fn open(data: &Data) -> SharedStore {
    let url = data.url().parse().expect("a database's URL");
    leadgate::store::open(&url, Purpose::Serve).await.expect("the database opens")
}

fn patch(fields: Value) -> Patch {
    let Value::Object(fields) = fields else { panic!("not an object: {fields}") };
    Patch { fields: fields.into_iter().map(|(name, value)| (name, Some(value))).collect(), if_absent: vec![] }
}
