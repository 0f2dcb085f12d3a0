//! Who takes part: a database with a site, a partner with a token, a source, and perhaps a subscription.

use std::time::Duration;

use leadgate::domain::new_password::NewPassword;
use leadgate::domain::passwords::hash_password;
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

use crate::data::Data;
use crate::setup::Engine;

/// The secret that deliveries are signed with.
pub const SECRET: &str = "benchmark-secret";

/// Where the partner's users are sent back to.
pub const CALLBACK: &str = "https://piesync.example/cb";

/// The password of those who log in.
pub const LOGIN_PASSWORD: &str = "correct horse battery";

/// A partner's pair of tokens.
#[derive(Clone)]
pub struct Connection {
    pub access: String,
    pub refresh: String,
}

pub struct Cast {
    pub data: Data,
    pub key: String,
    pub site: SiteId,
    pub partner: PartnerId,
    pub client_id: ClientId,
    pub client_secret: String,
    pub token: String,
    pub password: String,
}

impl Cast {
    /// A fresh database with everybody in it.
    pub async fn new(engine: Engine) -> Self {
        let [password, client_secret] = [(); 2].map(|()| Plain::<Credential>::generate(&OsEntropy));
        let mut cast = Self {
            data: Data::new(engine).await,
            key: Keyring::generate(&OsEntropy),
            site: SiteId::random(&OsEntropy),
            partner: PartnerId::random(&OsEntropy),
            client_id: ClientId::generate(&OsEntropy),
            client_secret: client_secret.expose().to_owned(),
            token: String::new(),
            password: password.expose().to_owned(),
        };
        let store = cast.store().await;
        cast.introduce(&*store, &password, &client_secret).await;
        cast.token = cast.connect(&*store).await.access;
        store.close().await;
        cast
    }

    /// So many connections of the partner to the site, each a grant of its own.
    pub async fn connections(&self, count: usize) -> Vec<Connection> {
        let store = self.store().await;
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(self.connect(&*store).await);
        }
        store.close().await;
        connections
    }

    /// People with [`LOGIN_PASSWORD`] who own the site: `0@example.com`, `1@example.com` …
    pub async fn owners(&self, count: usize) {
        let store = self.store().await;
        let password = NewPassword::parse(LOGIN_PASSWORD, &person("0@example.com").email).expect("a password");
        let hash = hash_password(&password, &OsEntropy);
        for n in 0..count {
            let user = person(&format!("{n}@example.com"));
            store.add_user(user.clone(), Some(hash.clone())).await.expect("a user");
            store.grant_site(self.site, &user.email).await.expect("a site");
        }
        store.close().await;
    }

    /// Another site, which the same people may send leads to.
    pub async fn another_site(&self) -> SiteId {
        let store = self.store().await;
        let id = SiteId::random(&OsEntropy);
        let site = Site { id, domain: "www.other.com".parse().expect("a domain"), created: now() };
        store.add_site(site, &[person("kim@example.com").email]).await.expect("a site");
        store.close().await;
        id
    }

    /// Has the partner's deliveries sent to `url`.
    pub async fn subscribe(&self, url: &str) {
        self.subscribe_to(self.site, url).await;
    }

    /// Has the partner's deliveries of a site sent to `url`.
    pub async fn subscribe_to(&self, site: SiteId, url: &str) {
        let store = self.store().await;
        let keys = Keyring::parse(&self.key).expect("a generated key");
        let subscription = NewSubscription {
            id: SubscriptionId::random(&OsEntropy),
            site,
            partner: self.partner,
            url: url.parse().expect("a URL"),
            secret: keys.seal(SECRET.as_bytes(), &secret_context(self.partner, site), &OsEntropy),
            by: None,
            now: now(),
        };
        store.replace_subscription(subscription).await.expect("a subscription");
        store.close().await;
    }

    async fn store(&self) -> SharedStore {
        let url: DatabaseUrl = self.data.url().parse().expect("a database URL");
        store::open(&url, Purpose::Command).await.expect("a database")
    }

    async fn introduce(&self, store: &dyn store::Store, password: &Plain<Credential>, secret: &Plain<Credential>) {
        let created = now();
        let user = person("kim@example.com");
        store.add_user(user.clone(), None).await.expect("a user");
        let site = Site { id: self.site, domain: "www.site.com".parse().expect("a domain"), created };
        store.add_site(site, &[user.email]).await.expect("a site");
        let partner = Partner {
            id: self.partner,
            slug: "piesync".parse().expect("a slug"),
            name: "PieSync".into(),
            client_id: self.client_id.clone(),
            secret: secret.hash(),
            redirect_uris: vec![CALLBACK.parse().expect("a URI")],
            echo: true,
            merge_updates: false,
            require_pkce: false,
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

    async fn connect(&self, store: &dyn store::Store) -> Connection {
        let (access, refresh) = (Plain::<Access>::generate(&OsEntropy), Plain::<Refresh>::generate(&OsEntropy));
        let (code, now) = (Plain::<Code>::generate(&OsEntropy), now());
        let later = time::after(now, Duration::from_secs(24 * 60 * 60));
        let user = store.users().await.expect("users").remove(0);
        let new = NewCode {
            flow: FlowId::random(&OsEntropy),
            grant: GrantId::random(&OsEntropy),
            code: code.hash(),
            partner: self.partner,
            user: user.id,
            site: self.site,
            scopes: Scopes::ALL,
            redirect_uri: CALLBACK.parse().expect("a URI"),
            challenge: None,
            now,
            expires: later,
        };
        assert_eq!(store.issue_code(new).await.expect("a code"), Issued::Code);
        let tokens =
            NewTokens { access: access.hash(), access_expires: later, refresh: refresh.hash(), refresh_expires: later };
        let redemption = Redemption {
            code: code.hash(),
            partner: self.partner,
            redirect_uri: CALLBACK.into(),
            challenge: None,
            tokens,
            now,
        };
        store.redeem_code(redemption).await.expect("a commit").expect("tokens");
        Connection { access: access.expose().to_owned(), refresh: refresh.expose().to_owned() }
    }
}

fn person(email: &str) -> User {
    User {
        id: UserId::random(&OsEntropy),
        email: email.parse().expect("an address"),
        name: "Kim".into(),
        operator: false,
        created: now(),
    }
}

pub fn now() -> Timestamp {
    SystemClock.now()
}
