//! Who takes part: a database with a site, a partner with a token, a source, and perhaps a subscription.

use std::time::Duration;

use leadgate::model::oauth::{Issued, NewCode, NewTokens, Redemption};
use leadgate::model::partner::{ClientId, Partner};
use leadgate::model::person::User;
use leadgate::model::seal::Keyring;
use leadgate::model::site::Site;
use leadgate::model::source::{Reach, Source};
use leadgate::model::subscription::secret_context;
use leadgate::model::token::{Access, Code, Credential, Plain, Refresh};
use leadgate::model::{
    Clock, FlowId, GrantId, OsEntropy, PartnerId, Scopes, SiteId, SourceId, SubscriptionId, SystemClock, Timestamp,
    UserId, time,
};
use leadgate::store::{self, DatabaseUrl, NewSubscription, Purpose, SharedStore};
use serde_json::{Value, json};

use crate::data::Data;
use crate::setup::Engine;

/// The secret that deliveries are signed with.
pub const SECRET: &str = "benchmark-secret";

pub struct Cast {
    pub data: Data,
    pub key: String,
    pub site: SiteId,
    pub partner: PartnerId,
    pub token: String,
    pub password: String,
}

impl Cast {
    /// A fresh database with everybody in it.
    pub async fn new(engine: Engine) -> Self {
        let (token, password) = (Plain::<Access>::generate(&OsEntropy), Plain::<Credential>::generate(&OsEntropy));
        let cast = Self {
            data: Data::new(engine).await,
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

    /// Has the partner's deliveries sent to `url`.
    pub async fn subscribe(&self, url: &str) -> SubscriptionId {
        let store = self.store().await;
        let keys = Keyring::parse(&self.key).expect("a generated key");
        let id = SubscriptionId::random(&OsEntropy);
        let subscription = NewSubscription {
            id,
            site: self.site,
            partner: self.partner,
            url: url.parse().expect("a URL"),
            secret: keys.seal(SECRET.as_bytes(), &secret_context(self.partner, self.site), &OsEntropy),
            by: None,
            now: now(),
        };
        store.replace_subscription(subscription).await.expect("a subscription");
        store.close().await;
        id
    }

    async fn store(&self) -> SharedStore {
        let url: DatabaseUrl = self.data.url().parse().expect("a database URL");
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
