//! Partners' servers that refresh and introspect, at a gateway or at its peer.

use serde_json::Value;

use crate::cast::{Cast, Connection};
use crate::client::{client, success};
use crate::gateway::Nodes;
use crate::load::{Caller, per_second};

/// Connections at once; each caller has a grant of its own.
pub const CALLERS: usize = 16;

/// Where tokens are issued and introspected, and to whom.
#[derive(Clone)]
pub struct Issuer {
    pub token_url: String,
    pub introspection_url: String,
    pub client_id: String,
    pub client_secret: String,
    pub connections: Vec<Connection>,
}

impl Issuer {
    /// Each node of a gateway, all with the same connections.
    pub async fn of_gateway(cast: &Cast, nodes: &Nodes) -> Vec<Self> {
        let connections = cast.connections(CALLERS).await;
        let urls = nodes.urls("/piesync/oauth");
        let issuer = |url: String| Self {
            token_url: format!("{url}/token/"),
            introspection_url: format!("{url}/introspect/"),
            client_id: cast.client_id.as_str().to_owned(),
            client_secret: cast.client_secret.clone(),
            connections: connections.clone(),
        };
        urls.into_iter().map(issuer).collect()
    }

    async fn post(&self, client: &reqwest::Client, url: &str, form: &[(&str, &str)]) -> Value {
        let request = client.post(url).basic_auth(&self.client_id, Some(&self.client_secret)).form(form);
        serde_json::from_slice(&success(request).await).expect("JSON")
    }
}

/// Refreshes per second, with the callers spread evenly over the nodes.
pub async fn refreshes(issuers: &[Issuer]) -> f64 {
    let (client, issuers) = (client(), issuers.to_vec());
    let callers = (0..CALLERS).map(move |n| {
        let issuer = issuers[n % issuers.len()].clone();
        Refresher { client: client.clone(), token: issuer.connections[n].refresh.clone(), issuer }
    });
    per_second(callers).await
}

/// Introspections of live access tokens per second.
pub async fn introspections(issuers: &[Issuer]) -> f64 {
    let (client, issuers) = (client(), issuers.to_vec());
    let callers = (0..CALLERS).map(move |n| {
        let issuer = issuers[n % issuers.len()].clone();
        Introspector { client: client.clone(), token: issuer.connections[n].access.clone(), issuer }
    });
    per_second(callers).await
}

/// Refreshes with the token that it was given last.
struct Refresher {
    client: reqwest::Client,
    issuer: Issuer,
    token: String,
}

impl Caller for Refresher {
    async fn call(&mut self) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", self.token.as_str())];
        let answer = self.issuer.post(&self.client, &self.issuer.token_url, &form).await;
        let token = answer["refresh_token"].as_str().expect("a refresh token").to_owned();
        assert_ne!(token, self.token, "it rotates");
        self.token = token;
    }
}

/// Introspects one token over and over.
struct Introspector {
    client: reqwest::Client,
    issuer: Issuer,
    token: String,
}

impl Caller for Introspector {
    async fn call(&mut self) {
        let answer = self.issuer.post(&self.client, &self.issuer.introspection_url, &[("token", &self.token)]).await;
        assert_eq!(answer["active"], true);
    }
}
