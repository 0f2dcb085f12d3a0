//! A fresh store of an engine, and short ways to fill it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leadgate::model::delivery::{
    Attempt, Delivery, DeliveryFilter, LeaseBatch, LeaseRequest, Leased, Outcome, State, Verdict,
};
use leadgate::model::lead::{Activity, LeadAction, LeadCommand, LeadOutcome, LeadReceipt, Origin, Patch};
use leadgate::model::oauth::{Granted, Issued, NewCode, NewTokens, Redemption};
use leadgate::model::partner::Partner;
use leadgate::model::person::User;
use leadgate::model::site::Site;
use leadgate::model::{ChangeId, Clock, LeadId, LeaseToken, PartnerId, SiteId, SubscriptionId, Timestamp, time};
use leadgate::store::{AddUser, Found, NewPartner, NewSite, NewSubscription, Purpose, Replaced, SharedStore, Signal};
use serde_json::{Map, Value};

use crate::harness::clock::ManualClock;
use crate::harness::entropy::SeededEntropy;
use crate::harness::make;
use crate::harness::postgres::Database;

/// Stamps cases over every engine: each becomes a test under the engine's name. A case that is not listed is dead code,
/// and so a warning.
macro_rules! engines {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let fixture = $crate::store::fixture::Fixture::sqlite().await;
                    super::$case(&fixture).await;
                    fixture.store.close().await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let fixture = $crate::store::fixture::Fixture::postgres().await;
                    super::$case(&fixture).await;
                    fixture.store.close().await;
                }
            )*
        }
    };
}
pub(super) use engines;

/// A store without contents, and what is needed to fill it.
pub struct Fixture {
    /// The store under test.
    pub store: SharedStore,
    /// What time it is.
    pub clock: ManualClock,
    /// The case's randomness.
    pub entropy: SeededEntropy,
    heard: Arc<Mutex<Vec<Signal>>>,
    /// What the engine keeps its data in; gone with the fixture.
    _data: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    /// A store in a SQLite file of its own.
    pub async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("leadgate.db").display()).parse().unwrap();
        let store = leadgate::store::open(&url, Purpose::Serve).await.unwrap();
        Self::new(store, Box::new(directory))
    }

    /// A store in a PostgreSQL database of its own.
    pub async fn postgres() -> Self {
        let database = Database::new();
        let store = leadgate::store::open(&database.url(), Purpose::Serve).await.unwrap();
        Self::new(store, Box::new(database))
    }

    /// A fixture around a store that is open, and the data that it needs.
    pub fn new(store: SharedStore, data: Box<dyn Any + Send + Sync>) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = heard.clone();
        store.signals().listen(move |signal| listener.lock().unwrap().push(signal));
        Self { store, clock: ManualClock::new(), entropy: SeededEntropy::new(1), heard, _data: data }
    }

    /// The same with other random numbers: beside another fixture on the same data, it must not draw the same ids.
    pub fn seeded(self, seed: u64) -> Self {
        Self { entropy: SeededEntropy::new(seed), ..self }
    }

    /// The signals since this was last asked.
    pub fn heard(&self) -> Vec<Signal> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets some seconds pass.
    pub fn pass(&self, seconds: u64) -> Timestamp {
        self.clock.advance(Duration::from_secs(seconds))
    }

    /// A person, added.
    pub async fn user(&self, email: &str) -> User {
        let user = make::user(&self.entropy, self.now(), email);
        assert_eq!(self.store.add_user(user.clone(), None).await.unwrap(), AddUser::Added);
        user
    }

    /// A site without owners, added.
    pub async fn site(&self, domain: &str) -> Site {
        let site = make::site(&self.entropy, self.now(), domain);
        assert_eq!(self.store.add_site(site.clone(), &[]).await.unwrap(), NewSite::Done);
        site
    }

    /// A partner, added.
    pub async fn partner(&self, slug: &str) -> Partner {
        self.add_partner(self.new_partner(slug)).await
    }

    /// A partner that does not want its own changes back, added.
    pub async fn partner_without_echo(&self, slug: &str) -> Partner {
        self.add_partner(Partner { echo: false, ..self.new_partner(slug) }).await
    }

    /// A partner that is yet to be added.
    pub fn new_partner(&self, slug: &str) -> Partner {
        make::partner(&self.entropy, self.now(), slug)
    }

    pub async fn add_partner(&self, partner: Partner) -> Partner {
        assert_eq!(self.store.add_partner(partner.clone()).await.unwrap(), NewPartner::Added);
        partner
    }

    /// A subscription that is yet to be set.
    pub fn subscription(&self, partner: PartnerId, site: SiteId, url: &str) -> NewSubscription {
        make::subscription(&self.entropy, self.now(), partner, site, url)
    }

    /// Sets a subscription. Returns the id that it has.
    pub async fn subscribe(&self, partner: &Partner, site: &Site) -> SubscriptionId {
        let url = format!("http://{}.example/leads", partner.slug);
        let new = self.subscription(partner.id, site.id, &url);
        assert_eq!(self.store.replace_subscription(new).await.unwrap().outcome, Replaced::Done);
        match self.store.subscription(partner.id, site.id).await.unwrap() {
            Found::One(found) => found.id,
            other => panic!("{other:?}"),
        }
    }

    /// A site to which `count` partners have subscribed.
    pub async fn subscribed_site(&self, count: usize) -> (Site, Vec<Partner>, Vec<SubscriptionId>) {
        let site = self.site("www.site.com").await;
        let (mut partners, mut subscriptions) = (Vec::new(), Vec::new());
        for number in 0..count {
            let partner = self.partner(&format!("partner-{number}")).await;
            subscriptions.push(self.subscribe(&partner, &site).await);
            partners.push(partner);
        }
        (site, partners, subscriptions)
    }

    /// A site to which a partner has subscribed that wants updates merged.
    pub async fn merging_site(&self) -> (Site, Partner, SubscriptionId) {
        let site = self.site("www.site.com").await;
        let partner = self.add_partner(Partner { merge_updates: true, ..self.new_partner("piesync") }).await;
        let subscription = self.subscribe(&partner, &site).await;
        (site, partner, subscription)
    }

    /// A command of the console.
    pub fn command(&self, site: SiteId, action: LeadAction) -> LeadCommand {
        let now = self.now();
        LeadCommand {
            site,
            origin: Origin { system: "console".into(), partner: None },
            change: ChangeId::at(now, &self.entropy),
            now,
            action,
            idempotency: None,
            presumes: None,
        }
    }

    /// A POST of these fields.
    pub fn upsert(&self, site: SiteId, given: Option<LeadId>, fields: Value) -> LeadCommand {
        let fresh = self.lead_id();
        self.command(site, LeadAction::Upsert { given, fresh, patch: patch(fields), activities: Vec::new() })
    }

    /// A PATCH with these fields; `null` unsets one.
    pub fn patch(&self, site: SiteId, lead: LeadId, fields: Value) -> LeadCommand {
        self.command(site, LeadAction::Patch { lead, patch: patch(fields), activities: Vec::new() })
    }

    /// A random id.
    pub fn lead_id(&self) -> LeadId {
        LeadId::random(&self.entropy)
    }

    /// Carries out a command that is expected to succeed.
    pub async fn apply(&self, command: LeadCommand) -> LeadReceipt {
        match self.store.apply_lead_change(command).await.unwrap() {
            LeadOutcome::Done(receipt) => receipt,
            other => panic!("{other:?}"),
        }
    }

    /// Creates a lead.
    pub async fn lead(&self, site: &Site, email: &str) -> LeadId {
        let fields = serde_json::json!({"source": "test", "email": email});
        self.apply(self.upsert(site.id, None, fields)).await.lead
    }

    /// Leases for a minute whatever is due, with plenty of room.
    pub async fn lease(&self) -> Vec<Leased> {
        self.lease_as(self.request()).await.deliveries
    }

    /// A request for plenty, for a minute, under a lease of its own.
    pub fn request(&self) -> LeaseRequest {
        let now = self.now();
        LeaseRequest {
            now,
            lease: LeaseToken::random(&self.entropy),
            until: time::after(now, Duration::from_secs(60)),
            limit: 1000,
            memory: usize::MAX,
            per_subscription: 1000,
            busy: HashMap::new(),
            unlisted: Default::default(),
            again: Vec::new(),
        }
    }

    /// Leases as the request says.
    pub async fn lease_as(&self, request: LeaseRequest) -> LeaseBatch {
        self.store.lease_due(request).await.unwrap()
    }

    /// The same delivery under a new lease, after the old one has run out.
    pub async fn lease_again(&self, leased: &Leased) -> Leased {
        self.pass(60);
        self.lease().await.into_iter().find(|again| again.id == leased.id).unwrap()
    }

    /// Records one outcome of an attempt that took place just now. Whether it was recorded.
    pub async fn record(&self, leased: &Leased, verdict: Verdict) -> bool {
        let outcome = Outcome::of(leased, (verdict != Verdict::Release).then(|| self.attempt()), verdict);
        self.store.record_outcomes(vec![outcome], self.now()).await.unwrap() == 1
    }

    /// An attempt that was answered.
    pub fn attempt(&self) -> Attempt {
        Attempt {
            started: self.now(),
            duration: Duration::from_micros(1_234_567),
            status: Some(200),
            error: None,
            response: "OK".into(),
        }
    }

    /// All deliveries, oldest first.
    pub async fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter { site: None, state: None, limit: usize::MAX };
        let mut listed = self.store.deliveries(filter).await.unwrap();
        listed.reverse();
        listed
    }

    /// How many deliveries are in each state.
    pub async fn states(&self) -> HashMap<&'static str, usize> {
        let mut states = HashMap::new();
        for delivery in self.deliveries().await {
            *states.entry(delivery.state.as_str()).or_default() += 1;
        }
        states
    }

    /// The states of all deliveries, oldest first.
    pub async fn story(&self) -> Vec<State> {
        self.deliveries().await.iter().map(|delivery| delivery.state).collect()
    }

    /// An approval of all scopes by an owner of the site, stored.
    pub async fn approve(&self, partner: &Partner, site: &Site, owner: &User) -> NewCode {
        let code = make::approval(&self.entropy, self.now(), partner, site.id, owner.id);
        assert_eq!(self.store.issue_code(code.clone()).await.unwrap(), Issued::Code);
        code
    }

    /// The right way to redeem a code, now.
    pub fn redemption(&self, code: &NewCode) -> Redemption {
        Redemption {
            code: code.code,
            partner: code.partner,
            redirect_uri: code.redirect_uri.as_str().to_owned(),
            challenge: code.challenge.clone(),
            tokens: make::tokens(&self.entropy, self.now()),
            now: self.now(),
        }
    }

    /// Redeems a code that is expected to be good.
    pub async fn redeem(&self, code: &NewCode) -> (Granted, NewTokens) {
        let redemption = self.redemption(code);
        let tokens = redemption.tokens.clone();
        (self.store.redeem_code(redemption).await.unwrap().unwrap(), tokens)
    }

    /// Purges until nothing is left to purge. Returns how many rows, and in how many steps.
    pub async fn purge(&self, finished_before: Timestamp, limit: usize) -> (usize, usize) {
        let (mut rows, mut steps) = (0, 0);
        loop {
            let purged = self.store.purge(self.now(), finished_before, limit).await.unwrap();
            if purged == 0 {
                return (rows, steps);
            }
            rows += purged;
            steps += 1;
        }
    }
}

/// A patch of these fields; `null` unsets one.
pub fn patch(fields: Value) -> Patch {
    let fields = object(fields).into_iter().map(|(name, value)| (name, Some(value).filter(|value| !value.is_null())));
    Patch { fields: fields.collect(), if_absent: Vec::new() }
}

/// An activity with this description.
pub fn activity(description: &str) -> Activity {
    Activity(object(serde_json::json!({"type": "note", "source": "test", "description": description})))
}

/// The object that the JSON is.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}
