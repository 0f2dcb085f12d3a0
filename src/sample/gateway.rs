//! Step 2: the calls that a partner makes to the gateway. Four of them are all there is.

use reqwest::StatusCode;
use serde::Deserialize;

use super::Registration;

/// We want to receive leads, so we ask to manage the subscription, and for nothing else.
const SCOPE: &str = "leadrouter:connect";

/// The gateway, as one registered partner sees it.
pub struct Gateway {
    registration: Registration,
    http: reqwest::Client,
}

/// The answer of the token endpoint. An access token lives for an hour, a refresh token for months; `site_uuid` says
/// which site the user chose.
#[derive(Clone, Deserialize)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    pub site_uuid: String,
    pub site_domain: String,
}

/// A call that did not work.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The gateway could not be reached, or answered something that is not JSON.
    #[error("no usable answer: {0}")]
    Network(#[from] reqwest::Error),
    /// The access token is too old: get a new one with the refresh token.
    #[error("the access token is not valid (any more)")]
    Unauthorized,
    /// The gateway said no.
    #[error("the gateway answered {0}: {1}")]
    Refused(StatusCode, String),
}

impl Gateway {
    pub fn new(registration: Registration, http: reqwest::Client) -> Self {
        Self { registration, http }
    }

    /// Who signs the answers at our callback (RFC 9207).
    pub fn issuer(&self) -> &str {
        &self.registration.gateway
    }

    /// Where the user's browser is sent to be asked (RFC 6749 §4.1.1). `state` comes back to our callback unchanged;
    /// `challenge` belongs to the verifier that [`Gateway::exchange`] shows.
    pub fn authorize_url(&self, state: &str, challenge: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("scope", SCOPE)
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        format!("{}/oauth/authorize/?{query}", self.registration.gateway)
    }

    /// Exchanges a code for tokens. A code lives for a minute and works once, so this is done at once.
    pub async fn exchange(&self, code: &str, verifier: &str) -> Result<Tokens, CallError> {
        let redirect_uri = self.redirect_uri();
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", verifier),
        ])
        .await
    }

    /// Exchanges a refresh token for a new pair. Keep the new pair and forget the old one: showing an old refresh token
    /// again much later looks like theft, and ends the connection.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, CallError> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Asks for the site's leads at `url`, signed with `secret`. Doing it again replaces both.
    pub async fn subscribe(&self, tokens: &Tokens, url: &str, secret: &str) -> Result<(), CallError> {
        let call = self.http.put(self.subscription(tokens)).bearer_auth(&tokens.access_token);
        let body = serde_json::json!({ "url": url, "secret": secret });
        checked(call.json(&body).send().await?).await.map(|_| ())
    }

    /// Asks for no more leads. When this answers, none will come.
    pub async fn unsubscribe(&self, tokens: &Tokens) -> Result<(), CallError> {
        let call = self.http.delete(self.subscription(tokens)).bearer_auth(&tokens.access_token);
        checked(call.send().await?).await.map(|_| ())
    }

    fn redirect_uri(&self) -> String {
        format!("{}/callback", self.registration.own_url)
    }

    fn subscription(&self, tokens: &Tokens) -> String {
        format!("{}/subscription/{}/", self.registration.gateway, tokens.site_uuid)
    }

    /// The token endpoint: a form, and our own credentials by HTTP Basic.
    async fn token(&self, form: &[(&str, &str)]) -> Result<Tokens, CallError> {
        let Registration { gateway, client_id, client_secret, .. } = &self.registration;
        let call = self.http.post(format!("{gateway}/oauth/token/")).basic_auth(client_id, Some(client_secret));
        Ok(checked(call.form(form).send().await?).await?.json().await?)
    }
}

async fn checked(answer: reqwest::Response) -> Result<reqwest::Response, CallError> {
    match answer.status() {
        status if status.is_success() => Ok(answer),
        StatusCode::UNAUTHORIZED => Err(CallError::Unauthorized),
        status => Err(CallError::Refused(status, answer.text().await?)),
    }
}
