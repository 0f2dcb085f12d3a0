//! Everything that gateways do often, once: what the plans are checked of, in the tests on an empty database and in the
//! benchmark on a full one.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leadgate::model::delivery::{
    Attempt, DeliveryFilter, LeaseRequest, Leased, Outcome, Replay, Space, State, Unlisted, Verdict,
};
use leadgate::model::lead::{Activity, Idempotency, LeadAction, LeadCommand, LeadOutcome, Origin, Patch};
use leadgate::model::oauth::Revocation;
use leadgate::model::seal::Sealed;
use leadgate::model::site::Site;
use leadgate::model::source::{Presumption, Reach, Source};
use leadgate::model::throttle::{Bucket, BucketKey, Limit};
use leadgate::model::token::{Access, AnyToken, Credential, Plain, Refresh, Session};
use leadgate::model::{
    ChangeId, Entropy, LeadId, LeaseToken, PartnerId, SiteId, SourceId, SubscriptionId, Timestamp, time,
};
use leadgate::store::{AddSource, NewSite, NewSubscription, Replaced, Store};
use serde_json::{Map, Value, json};

/// How long finished deliveries are kept: the gateway's own default.
const RETENTION: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A store, and a site of it that a partner has subscribed to.
pub struct HotOperations<'a> {
    pub store: &'a dyn Store,
    pub entropy: &'a dyn Entropy,
    pub site: SiteId,
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    pub now: Timestamp,
}

impl HotOperations<'_> {
    /// Does everything once.
    pub async fn run(&self) {
        self.recognise().await;
        let lead = self.change_leads().await;
        self.store.lead(self.site, lead).await.unwrap().expect("it was created");
        self.deliver().await;
        self.read_the_log().await;
        self.replay().await;
        self.come_and_go().await;
        self.tidy().await;
    }

    /// The partner leaves the site, whatever waits there; and housekeeping begins to write down that nothing of it is sent.
    pub async fn leave(&self) {
        assert!(self.store.remove_subscription(self.partner, self.site, self.now).await.unwrap().outcome);
        self.tidy().await;
        self.tidy().await;
    }

    async fn tidy(&self) {
        let finished_before = self.now.checked_sub(RETENTION).unwrap();
        self.store.purge(self.now, finished_before, 500).await.unwrap();
    }

    /// What each request is checked by.
    async fn recognise(&self) {
        let token = Plain::<Access>::generate(self.entropy).hash();
        assert!(self.store.access_grant(&token, self.now).await.unwrap().is_none());
        assert!(self.store.held_subscription(&token, self.now).await.unwrap().is_none());
        let refresh = Plain::<Refresh>::generate(self.entropy).hash();
        for token in [AnyToken::Access(token), AnyToken::Refresh(refresh)] {
            assert!(self.store.live_token(token, self.now).await.unwrap().is_none());
            let revocation = Revocation { token, partner: self.partner, now: self.now };
            assert!(self.store.revoke_token(revocation).await.unwrap().is_none());
        }
        let session = Plain::<Session>::generate(self.entropy).hash();
        assert!(self.store.session(&session, self.now).await.unwrap().is_none());
        self.store.source_by_username(&"portal".parse().unwrap()).await.unwrap();
        self.store.subscription(self.partner, self.site).await.unwrap();
        self.store.site(self.site).await.unwrap().expect("it is there");
        let limit = Limit::new(10, Duration::from_secs(600)).expect("within bounds");
        let bucket = [Bucket { key: BucketKey::new("test", &[]), limit }];
        self.store.see_guess(&bucket, self.now).await.unwrap().expect("nobody has guessed");
        self.store.take_guess(&bucket, self.now).await.unwrap().expect("nobody has guessed");
        self.store.give_guess_back(&bucket).await.unwrap();
    }

    /// A new lead, updated under its e-mail, another id, and its id. Returns the id.
    async fn change_leads(&self) -> LeadId {
        let fresh = LeadId::random(self.entropy);
        let upsert = |given: Option<LeadId>, city: &str| {
            let fields = json!({"source": "test", "email": format!("{fresh}@example.com"), "city": city});
            let activity = Activity(object(json!({"type": "note", "source": "test", "description": city})));
            LeadAction::Upsert { given, fresh, patch: patch(fields), activities: vec![activity] }
        };
        self.change(upsert(None, "Kailua")).await;
        self.change(upsert(None, "Hilo")).await;
        self.change(upsert(Some(LeadId::random(self.entropy)), "Hana")).await;
        self.change(LeadAction::Patch { lead: fresh, patch: patch(json!({"city": "Wailea"})), activities: Vec::new() })
            .await;
        fresh
    }

    /// Of a source that may send to this site alone.
    async fn presumption(&self) -> Presumption {
        let source = Source {
            id: SourceId::random(self.entropy),
            username: LeadId::random(self.entropy).to_string().parse().expect("a user name"),
            password: Plain::<Credential>::generate(self.entropy).hash(),
            reach: Reach::Only(vec![self.site]),
            created: self.now,
        };
        let presumption = Presumption { source: source.id, full: vec![BucketKey::new("full", &[])] };
        assert_eq!(self.store.add_source(source).await.unwrap(), AddSource::Added);
        presumption
    }

    async fn change(&self, action: LeadAction) {
        let change = ChangeId::at(self.now, self.entropy);
        let command = LeadCommand {
            site: self.site,
            origin: Origin { system: "test".into(), partner: None },
            change,
            now: self.now,
            action,
            idempotency: Some(Idempotency {
                key: LeadId::random(self.entropy).to_string(),
                request: [7; 32],
                expires: time::after(self.now, Duration::from_secs(60)),
            }),
            presumes: Some(self.presumption().await),
        };
        let outcome = self.store.apply_lead_change(command).await.unwrap();
        assert!(matches!(outcome, LeadOutcome::Done(_)), "{outcome:?}");
    }

    /// Leases: when many are down, then when they are called, and at last what is lost because the leases have run out. Records
    /// every kind of outcome.
    async fn deliver(&self) {
        let request = LeaseRequest {
            now: self.now,
            lease: LeaseToken::random(self.entropy),
            until: time::after(self.now, Duration::from_secs(30)),
            limit: 256,
            memory: 1 << 25,
            per_subscription: 16,
            busy: HashMap::new(),
            unlisted: first_are_down(500),
            again: Vec::new(),
        };
        assert!(!self.store.in_line(self.now, 100).await.unwrap().is_empty(), "a lead was changed");
        let again = self.store.lease_due(request.clone()).await.unwrap().passed_over;
        assert!(!again.is_empty(), "a lead was changed");
        let request = LeaseRequest { unlisted: Unlisted::default(), again, ..request };
        let leased = self.store.lease_due(request).await.unwrap().deliveries;
        assert!(!leased.is_empty(), "a lead was changed");
        let leased = self.lease_again(leased).await;
        let verdicts = [
            Verdict::Delivered,
            Verdict::Delivered,
            Verdict::Refused,
            Verdict::Failed,
            Verdict::Retry(time::after(self.now, Duration::from_secs(60))),
            Verdict::Release,
        ];
        let outcomes = leased.iter().zip(verdicts.into_iter().cycle());
        let outcomes = outcomes.map(|(leased, verdict)| self.outcome(leased, verdict)).collect();
        self.store.record_outcomes(outcomes, self.now).await.unwrap();
    }

    /// Whoever leased these has died. Another one leases what is due of the same subscriptions once the leases have run out.
    async fn lease_again(&self, lost: Vec<Leased>) -> Vec<Leased> {
        let now = time::after(self.now, Duration::from_secs(31));
        let subscriptions: HashSet<_> = lost.iter().map(|lost| lost.subscription).collect();
        let request = LeaseRequest {
            now,
            lease: LeaseToken::random(self.entropy),
            until: time::after(now, Duration::from_secs(30)),
            limit: 256,
            per_subscription: 16,
            memory: usize::MAX,
            busy: HashMap::new(),
            unlisted: Unlisted::default(),
            again: subscriptions.into_iter().collect(),
        };
        let leased = self.store.lease_due(request).await.unwrap().deliveries;
        // Of many, these need not be the first: they are due since then.
        assert!(!leased.is_empty(), "leases have run out");
        leased
    }

    fn outcome(&self, leased: &Leased, verdict: Verdict) -> Outcome {
        let attempt = Attempt {
            started: self.now,
            duration: Duration::from_millis(3),
            status: Some(200),
            error: None,
            response: "OK".into(),
        };
        Outcome::of(leased, (verdict != Verdict::Release).then_some(attempt), verdict)
    }

    /// Each listing, and one delivery with its story.
    async fn read_the_log(&self) {
        for site in [None, Some(self.site)] {
            for state in [None].into_iter().chain(State::ALL.map(Some)) {
                let listed = self.store.deliveries(DeliveryFilter { site, state, limit: 50 }).await.unwrap();
                if let Some(newest) = listed.first() {
                    self.store.delivery(newest.id).await.unwrap().expect("it was listed");
                }
            }
        }
    }

    /// One delivery, the failed ones of the site, and the retries of the subscription.
    async fn replay(&self) {
        let failed = DeliveryFilter { site: Some(self.site), state: Some(State::Failed), limit: 1 };
        let failed = self.store.deliveries(failed).await.unwrap();
        let ids = failed.iter().map(|delivery| delivery.id).collect();
        self.store.replay(Replay::These(ids), self.now).await.unwrap();
        self.store.replay(Replay::FailedOf(self.site), self.now).await.unwrap();
        self.store.hasten(self.subscription, None, self.now, 250).await.unwrap();
    }

    /// A partner that subscribes to another site, changes its mind, and leaves while something waits.
    async fn come_and_go(&self) {
        let site =
            Site { id: SiteId::random(self.entropy), domain: "www.guest.com".parse().unwrap(), created: self.now };
        let guest = Self { site: site.id, ..*self };
        assert_eq!(self.store.add_site(site, &[]).await.unwrap(), NewSite::Done);
        guest.subscribe("http://127.0.0.1:9/one").await;
        guest.subscribe("http://127.0.0.1:9/other").await;
        guest.change_leads().await;
        assert!(self.store.remove_subscription(guest.partner, guest.site, self.now).await.unwrap().outcome);
    }

    async fn subscribe(&self, url: &str) {
        let subscription = NewSubscription {
            id: SubscriptionId::random(self.entropy),
            site: self.site,
            partner: self.partner,
            url: url.parse().unwrap(),
            secret: Sealed::from_bytes(vec![7; 64]),
            by: None,
            now: self.now,
        };
        assert_eq!(self.store.replace_subscription(subscription).await.unwrap().outcome, Replaced::Done);
    }
}

/// The first so many of those that are met in line are down.
fn first_are_down(count: usize) -> Unlisted {
    let met = AtomicUsize::new(0);
    Unlisted::new(move |_| (met.fetch_add(1, Ordering::Relaxed) < count).then_some(Space::Down))
}

fn patch(fields: Value) -> Patch {
    let fields = object(fields).into_iter().map(|(name, value)| (name, Some(value)));
    Patch { fields: fields.collect(), if_absent: Vec::new() }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}
