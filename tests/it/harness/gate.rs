//! A gateway in the process, on a free port, with a clock that the test moves and names that the test resolves.

use std::net::SocketAddr;
use std::sync::Arc;

use leadgate::app::{self, Parts, Running};
use leadgate::config::Settings;
use leadgate::domain::Gateway;
use leadgate::model::oauth::{Issued, NewCode, NewTokens, Redemption};
use leadgate::model::partner::{ClientId, Partner};
use leadgate::model::password::{PasswordChange, PasswordSet, Proof};
use leadgate::model::person::User;
use leadgate::model::seal::Keyring;
use leadgate::model::site::Site;
use leadgate::model::source::{Reach, Source};
use leadgate::model::token::{Access, Code, Credential, Plain, Refresh};
use leadgate::model::{
    Clock, Entropy, FlowId, GrantId, OsEntropy, PartnerId, Scopes, SiteId, SourceId, Timestamp, UserId, time,
};
use leadgate::store::SharedStore;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::clock::ManualClock;
use super::engine::Data;
use super::names::Names;

/// The password of every user of a test.
pub const PASSWORD: &str = "correct horse battery";

/// Settings with these keys.
pub fn keyed(keys: &str) -> impl FnOnce(&mut Settings) {
    let keys = Keyring::parse(keys).unwrap();
    |settings| settings.secret_key = Some(Arc::new(keys))
}

/// A gateway that runs in this process.
pub struct Gate {
    pub address: SocketAddr,
    pub store: SharedStore,
    pub clock: Arc<ManualClock>,
    pub names: Arc<Names>,
    pub http: reqwest::Client,
    pub data: Data,
    running: Option<Running>,
}

impl Gate {
    /// Starts one with the settings of most tests: loopback may be delivered to.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_in(Data::new(), Arc::new(ManualClock::new()), change).await
    }

    /// Starts one on data that another may have left.
    pub async fn start_in(data: Data, clock: Arc<ManualClock>, change: impl FnOnce(&mut Settings)) -> Self {
        super::install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let environment = [
            ("LEADGATE_DATABASE_URL", data.url()),
            ("LEADGATE_SECRET_KEY", "5e".repeat(32)),
            ("LEADGATE_LISTEN", address.to_string()),
            ("LEADGATE_DELIVERY_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let mut settings = Settings::load(None, environment.into_iter()).unwrap();
        change(&mut settings);
        let names = Arc::new(Names::default());
        let entropy = Arc::new(OsEntropy);
        let parts = Parts { settings, listener, clock: clock.clone(), entropy, resolver: names.clone() };
        let running = app::start(parts).await.unwrap();
        // A connection for each request: when the clock is moved, the gateway closes those that are idle.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let store = running.gateway.store.clone();
        Self { address, store, clock, names, http, data, running: Some(running) }
    }

    /// Starts another node on the same data, with the same clock.
    pub async fn beside_with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_in(self.data.clone(), self.clock.clone(), change).await
    }

    /// The verbs, for what no caller can do.
    pub fn gateway(&self) -> &Gateway {
        &self.running.as_ref().unwrap().gateway
    }

    /// Runs SQL behind the gateway's back.
    pub fn sql(&self, sql: &str) {
        self.data.sql(sql);
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> i64 {
        self.data.count(table)
    }

    /// Stops it as SIGTERM would; the data stay.
    pub async fn stop(mut self) -> (Data, Arc<ManualClock>) {
        self.running.take().unwrap().stop().await;
        (self.data, self.clock)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A partner that may be sent back to `https://<slug>.example/callback`.
    pub async fn partner(&self, slug: &str) -> PartnerPersona {
        self.partner_with(slug, &[&format!("https://{slug}.example/callback")], true).await
    }

    pub async fn partner_with(&self, slug: &str, redirect_uris: &[&str], echo: bool) -> PartnerPersona {
        let secret = Plain::<Credential>::generate(&OsEntropy);
        let partner = Partner {
            id: PartnerId::random(&OsEntropy),
            slug: slug.parse().unwrap(),
            name: format!("{slug} Inc."),
            client_id: ClientId::generate(&OsEntropy),
            secret: secret.hash(),
            redirect_uris: redirect_uris.iter().map(|uri| uri.parse().unwrap()).collect(),
            echo,
            merge_updates: false,
            require_pkce: false,
            created: self.now(),
        };
        self.store.add_partner(partner.clone()).await.unwrap();
        PartnerPersona { partner, secret: secret.expose().to_owned() }
    }

    /// A person with [`PASSWORD`].
    pub async fn person(&self, email: &str) -> User {
        let user = User {
            id: UserId::random(&OsEntropy),
            email: email.parse().unwrap(),
            name: "Kim Owner".into(),
            operator: false,
            created: self.now(),
        };
        let hash = super::password_hash();
        self.store.add_user(user.clone(), Some(hash)).await.unwrap();
        user
    }

    /// Gives a person another password, as the operator does.
    pub async fn set_password(&self, user: &User, password: &str) {
        let password = super::hashed(password);
        let change =
            PasswordChange { user: user.id, proof: Proof::Operator, password, disconnect: false, now: self.now() };
        assert_eq!(self.store.set_password(change).await.unwrap().outcome, PasswordSet::Done);
    }

    /// A site with these owners.
    pub async fn site(&self, domain: &str, owners: &[&User]) -> Site {
        let site = Site { id: SiteId::random(&OsEntropy), domain: domain.parse().unwrap(), created: self.now() };
        let owners: Vec<_> = owners.iter().map(|owner| owner.email.clone()).collect();
        self.store.add_site(site.clone(), &owners).await.unwrap();
        site
    }

    /// A source; the answer is its user name and password.
    pub async fn source(&self, username: &str, reach: Reach) -> (String, String) {
        let password = Plain::<Credential>::generate(&OsEntropy);
        let source = Source {
            id: SourceId::random(&OsEntropy),
            username: username.parse().unwrap(),
            password: password.hash(),
            reach,
            created: self.now(),
        };
        self.store.add_source(source).await.unwrap();
        (username.to_owned(), password.expose().to_owned())
    }

    /// A site, its owner, a partner that the owner has connected with both scopes, and a source: the usual cast.
    pub async fn cast(&self) -> Cast {
        let owner = self.person("kim@example.com").await;
        let site = self.site("www.site.com", &[&owner]).await;
        let partner = self.partner("piesync").await;
        let token = self.connect(&partner, &owner, &site, Scopes::ALL).await;
        let source = self.source("portal", Reach::All).await;
        Cast { owner, site, partner, token, source }
    }

    /// What the browser would do: the owner consents and the partner redeems the code. Returns the access token.
    pub async fn connect(&self, partner: &PartnerPersona, owner: &User, site: &Site, scopes: Scopes) -> String {
        let entropy: &dyn Entropy = &OsEntropy;
        let (code, access, refresh) =
            (Plain::<Code>::generate(entropy), Plain::<Access>::generate(entropy), Plain::<Refresh>::generate(entropy));
        let (now, hour) = (self.now(), std::time::Duration::from_secs(3600));
        let uri = partner.partner.redirect_uris[0].clone();
        let new = NewCode {
            flow: FlowId::random(entropy),
            grant: GrantId::random(entropy),
            code: code.hash(),
            partner: partner.partner.id,
            user: owner.id,
            site: site.id,
            scopes,
            redirect_uri: uri.clone(),
            challenge: None,
            now,
            expires: time::after(now, hour),
        };
        assert_eq!(self.store.issue_code(new).await.unwrap(), Issued::Code);
        let tokens = NewTokens {
            access: access.hash(),
            access_expires: time::after(now, hour),
            refresh: refresh.hash(),
            refresh_expires: time::after(now, hour * 24),
        };
        let redemption = Redemption {
            code: code.hash(),
            partner: partner.partner.id,
            redirect_uri: uri.as_str().to_owned(),
            challenge: None,
            tokens,
            now,
        };
        self.store.redeem_code(redemption).await.unwrap().unwrap();
        access.expose().to_owned()
    }
}

/// A partner as its developer knows it.
#[derive(Clone)]
pub struct PartnerPersona {
    pub partner: Partner,
    pub secret: String,
}

/// The usual cast of a test.
pub struct Cast {
    pub owner: User,
    pub site: Site,
    pub partner: PartnerPersona,
    pub token: String,
    pub source: (String, String),
}

impl Cast {
    /// Path of the partner's subscription to the site.
    pub fn subscription(&self) -> String {
        format!("/{}/subscription/{}/", self.partner.partner.slug, self.site.id)
    }

    /// Path below the site in the leads API.
    pub fn rest(&self, below: &str) -> String {
        format!("/rest/sites/{}{below}", self.site.id)
    }
}

/// An answer, taken apart: status, headers, text.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request and takes the answer apart.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response: Response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}
