//! Who takes part: a database with a site, a partner with a token, a source, and perhaps a backlog.

use std::time::Duration;

use leadgate::model::lead::{LeadAction, LeadCommand, LeadOutcome, Origin, Patch};
use leadgate::model::oauth::{Issued, NewCode, NewTokens, Redemption};
use leadgate::model::partner::{ClientId, Partner};
use leadgate::model::person::User;
use leadgate::model::seal::Keyring;
use leadgate::model::site::Site;
use leadgate::model::source::{Reach, Source};
use leadgate::model::subscription::secret_context;
use leadgate::model::token::{Access, Code, Credential, Plain, Refresh};
use leadgate::model::{
    ChangeId, Clock, FlowId, GrantId, LeadId, OsEntropy, PartnerId, Scopes, SiteId, SourceId, SubscriptionId,
    SystemClock, Timestamp, UserId, time,
};
use leadgate::store::{self, DatabaseUrl, NewSubscription, Purpose, SharedStore};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The secret that deliveries are signed with.
pub const SECRET: &str = "benchmark-secret";

pub struct Cast {
    pub folder: TempDir,
    pub key: String,
    pub site: SiteId,
    pub partner: PartnerId,
    pub token: String,
    pub password: String,
}

impl Cast {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (token, password) = (Plain::<Access>::generate(&OsEntropy), Plain::<Credential>::generate(&OsEntropy));
        let cast = Self {
            folder,
            key: Keyring::generate(&OsEntropy),
            site: SiteId::random(&OsEntropy),
            partner: PartnerId::random(&OsEntropy),
            token: token.expose().to_owned(),
            password: password.expose().to_owned(),
        };
        let store = cast.store().await;
        cast.introduce(&*store, &password).await;
        cast.connect(&*store, &token).await;
        store.close().await;
        cast
    }

    pub fn database_url(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("leadgate.db").display())
    }

    pub async fn subscribe(&self, url: &str) {
        let store = self.store().await;
        let keys = Keyring::parse(&self.key).expect("a generated key");
        let subscription = NewSubscription {
            id: SubscriptionId::random(&OsEntropy),
            site: self.site,
            partner: self.partner,
            url: url.parse().expect("a URL"),
            secret: keys.seal(SECRET.as_bytes(), &secret_context(self.partner, self.site), &OsEntropy),
            now: now(),
        };
        store.replace_subscription(subscription).await.expect("a subscription");
        store.close().await;
    }

    /// Puts `leads` new leads, and so as many deliveries, into the database.
    pub async fn backlog(&self, leads: usize) {
        let store = self.store().await;
        for batch in (0..leads).collect::<Vec<_>>().chunks(500) {
            let commands = batch.iter().map(|n| store.apply_lead_change(self.command(*n)));
            for outcome in futures_util::future::join_all(commands).await {
                assert!(matches!(outcome.expect("a commit"), LeadOutcome::Done(_)));
            }
        }
        store.close().await;
    }

    fn command(&self, n: usize) -> LeadCommand {
        let Value::Object(lead) = lead(n) else { unreachable!("lead() makes objects") };
        let fields = lead.into_iter().map(|(name, value)| (name, Some(value))).collect();
        LeadCommand {
            site: self.site,
            origin: Origin { system: "bench".into(), partner: None },
            change: ChangeId::at(now(), &OsEntropy),
            now: now(),
            action: LeadAction::Upsert {
                given: None,
                fresh: LeadId::random(&OsEntropy),
                patch: Patch { fields, if_absent: Vec::new() },
                activities: Vec::new(),
            },
            idempotency: None,
        }
    }

    async fn store(&self) -> SharedStore {
        let url: DatabaseUrl = self.database_url().parse().expect("a database URL");
        store::open(&url, Purpose::Command).await.expect("a database")
    }

    async fn introduce(&self, store: &dyn store::Store, password: &Plain<Credential>) {
        let created = now();
        let user = owner();
        store.add_user(user.clone(), None).await.expect("a user");
        let site = Site { id: self.site, domain: "www.site.com".parse().expect("a domain"), created };
        store.add_site(site, &[user.email]).await.expect("a site");
        let partner = Partner {
            id: self.partner,
            slug: "piesync".parse().expect("a slug"),
            name: "PieSync".into(),
            client_id: ClientId::generate(&OsEntropy),
            secret: Plain::<Credential>::generate(&OsEntropy).hash(),
            redirect_uris: vec!["https://piesync.example/cb".parse().expect("a URI")],
            echo: true,
            created,
        };
        store.add_partner(partner).await.expect("a partner");
        let source = Source {
            id: SourceId::random(&OsEntropy),
            username: "portal".parse().expect("a name"),
            password: password.hash(),
            reach: Reach::All,
            created,
        };
        store.add_source(source).await.expect("a source");
    }

    async fn connect(&self, store: &dyn store::Store, access: &Plain<Access>) {
        let (code, now) = (Plain::<Code>::generate(&OsEntropy), now());
        let later = time::after(now, Duration::from_secs(24 * 60 * 60));
        let user = store.users().await.expect("users").remove(0);
        let uri = "https://piesync.example/cb";
        let new = NewCode {
            flow: FlowId::random(&OsEntropy),
            grant: GrantId::random(&OsEntropy),
            code: code.hash(),
            partner: self.partner,
            user: user.id,
            site: self.site,
            scopes: Scopes::ALL,
            redirect_uri: uri.parse().expect("a URI"),
            challenge: None,
            now,
            expires: later,
        };
        assert_eq!(store.issue_code(new).await.expect("a code"), Issued::Code);
        let tokens = NewTokens {
            access: access.hash(),
            access_expires: later,
            refresh: Plain::<Refresh>::generate(&OsEntropy).hash(),
            refresh_expires: later,
        };
        let redemption = Redemption {
            code: code.hash(),
            partner: self.partner,
            redirect_uri: uri.into(),
            challenge: None,
            tokens,
            now,
        };
        store.redeem_code(redemption).await.expect("a commit").expect("tokens");
    }
}

/// The `n`th lead: about one KiB, like those of real portals.
pub fn lead(n: usize) -> Value {
    json!({
        "source": "Zillow", "source_details": "https://www.zillow.com/homes/", "email": format!("lead{n}@example.com"),
        "first_name": "Ann", "last_name": format!("Number {n}"), "phone": "+1 808 555 0100",
        "street_address": "12 Main St", "city": "Kailua", "state": "HI", "zip": "96734", "role": "Buyer",
        "timeframe": "3-6 months", "urgency": "Warm", "tags": ["portal", "web"], "notes": "n".repeat(600),
    })
}

fn owner() -> User {
    User {
        id: UserId::random(&OsEntropy),
        email: "kim@example.com".parse().expect("an address"),
        name: "Kim".into(),
        operator: false,
        created: now(),
    }
}

pub fn now() -> Timestamp {
    SystemClock.now()
}
