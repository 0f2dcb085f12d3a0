//! The scene of most tests: one owner, one site, one partner that asks.

use leadgate::config::Settings;
use leadgate::model::person::User;
use leadgate::model::site::Site;
use reqwest::RequestBuilder;
use serde_json::Value;

use super::visitor::{SentBack, Visitor};
use crate::harness::{Answer, Gate, PartnerPersona, answer};

/// A verifier and its S256 challenge (RFC 7636 Appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Where the partner's users are sent back to.
pub const CALLBACK: &str = "https://piesync.example/callback";

pub struct Door {
    pub gate: Gate,
    pub owner: User,
    pub site: Site,
    pub partner: PartnerPersona,
}

impl Door {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn open_with(change: impl FnOnce(&mut Settings)) -> Self {
        let gate = Gate::start_with(change).await;
        let owner = gate.person("kim@example.com").await;
        let site = gate.site("www.site.com", &[&owner]).await;
        let partner = gate.partner("piesync").await;
        Self { gate, owner, site, partner }
    }

    /// The same at another node.
    pub async fn beside(&self) -> Self {
        self.beside_with(|_| {}).await
    }

    /// The same at another node with other settings.
    pub async fn beside_with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let (owner, site, partner) = (self.owner.clone(), self.site.clone(), self.partner.clone());
        Self { gate: self.gate.beside_with(change).await, owner, site, partner }
    }

    /// The parameters of a request that has nothing wrong with it.
    pub fn good(&self) -> Vec<(&str, &str)> {
        let client_id = self.partner.partner.client_id.as_str();
        vec![("client_id", client_id), ("response_type", "code"), ("redirect_uri", CALLBACK), ("state", "s-1")]
    }

    /// The path of a request with these parameters set, or removed where there is no value.
    pub fn asking<'a>(&'a self, changes: &[(&'a str, Option<&'a str>)]) -> String {
        let mut params = self.good();
        for (name, value) in changes {
            params.retain(|(known, _)| known != name);
            params.extend(value.map(|value| (*name, value)));
        }
        path(&params)
    }

    /// What the partner is told of a request with these changes, without the user having to do anything.
    pub async fn told<'a>(&'a self, changes: &[(&'a str, Option<&'a str>)]) -> SentBack {
        SentBack::read(&Visitor::new(&self.gate).get(&self.asking(changes)).await)
    }

    /// A code that the owner has approved.
    pub async fn code(&self) -> String {
        self.code_for(&[]).await
    }

    /// A code for a request with these changes.
    pub async fn code_for<'a>(&'a self, changes: &[(&'a str, Option<&'a str>)]) -> String {
        let mut owner = Visitor::logged_in(&self.gate, &self.owner).await;
        let consent = owner.get(&self.asking(changes)).await;
        SentBack::read(&owner.approve(&consent).await).code().to_owned()
    }

    /// A form for this path, without client authentication.
    pub fn form_request(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.gate.post(path).header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// A token request without client authentication.
    pub fn token_request(&self, form: &[(&str, &str)]) -> RequestBuilder {
        self.form_request("/piesync/oauth/token/", form)
    }

    /// The partner's own request.
    pub fn partners_request(&self, form: &[(&str, &str)]) -> RequestBuilder {
        self.as_partner(self.token_request(form))
    }

    /// With the partner's credentials.
    pub fn as_partner(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(self.partner.partner.client_id.as_str(), Some(&self.partner.secret))
    }

    /// The answer to the partner's own request.
    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        answer(self.partners_request(form)).await
    }

    /// The answer to the partner's own revocation request.
    pub async fn revocation(&self, form: &[(&str, &str)]) -> Answer {
        answer(self.as_partner(self.form_request("/piesync/oauth/revoke/", form))).await
    }

    /// Revokes a token as the partner should.
    pub async fn revoke(&self, token: &str) {
        let answer = self.revocation(&[("token", token)]).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
    }

    /// The answer to the partner's own introspection request.
    pub async fn introspection(&self, form: &[(&str, &str)]) -> Answer {
        answer(self.as_partner(self.form_request("/piesync/oauth/introspect/", form))).await
    }

    /// What introspection says of a token.
    pub async fn introspect(&self, token: &str) -> Value {
        let answer = self.introspection(&[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Another partner.
    pub async fn stranger(&self) -> Stranger {
        Stranger(self.gate.partner("cinc").await)
    }

    /// Redeems a code as the partner should.
    pub async fn redeem(&self, code: &str) -> Answer {
        self.token(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)]).await
    }

    /// Refreshes as the partner should.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// A pair of tokens that is good: access and refresh.
    pub async fn tokens(&self) -> (String, String) {
        pair(&self.redeem(&self.code().await).await)
    }

    /// The path of the partner's subscription to the site.
    pub fn subscription(&self) -> String {
        format!("/piesync/subscription/{}/", self.site.id)
    }

    /// Whether the access token opens the subscription.
    pub async fn opens(&self, access: &str) -> bool {
        let answer = answer(self.gate.get(&self.subscription()).bearer_auth(access)).await;
        match answer.status {
            401 => false,
            404 => true, // the site is the token's; there is no subscription yet
            other => panic!("{other} {}", answer.text),
        }
    }
}

/// A partner that has no business with the tokens of the first.
pub struct Stranger(PartnerPersona);

impl Stranger {
    /// The answer to a form that it sends to its own endpoint of this name.
    pub async fn post(&self, door: &Door, endpoint: &str, form: &[(&str, &str)]) -> Answer {
        let request = door.form_request(&format!("/cinc/oauth/{endpoint}/"), form);
        answer(request.basic_auth(self.0.partner.client_id.as_str(), Some(&self.0.secret))).await
    }
}

/// The path of an authorization request with these parameters.
pub fn path(params: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    format!("/piesync/oauth/authorize/?{query}")
}

/// The tokens of a success.
pub fn pair(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// Asserts an OAuth error, and that it is told as RFC 6749 §5.2 wants.
#[track_caller]
pub fn assert_refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("pragma"), "no-cache");
    assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
}

/// Asserts a page that tells a person, and sends nobody anywhere.
#[track_caller]
pub fn assert_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(!answer.headers.contains_key("location"));
}
