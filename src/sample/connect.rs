//! Step 1: connecting a site, and disconnecting it.
//!
//! The browser leaves us for the gateway, where the user logs in, chooses a site and allows us to receive its leads. It
//! comes back to `/callback` with a code, which our server exchanges for tokens.

use axum::extract::{Path, Query, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::gateway::{CallError, Tokens};
use super::page::Notice;
use super::{ConnectedSite, Sample};

/// Remembers, in the user's own browser, what we began there.
const COOKIE_NAME: &str = "sample_connect";

/// "Connect your site": sends the browser to the gateway.
pub async fn begin(State(sample): State<Sample>) -> Response {
    // `state` proves at the callback that this browser began the connection: without it, an attacker could make somebody
    // else's browser finish the attacker's connection. `verifier` proves to the gateway that the one who exchanges the
    // code is the one who asked for it (PKCE, RFC 7636): a code that leaks on its way is worthless.
    let (state, verifier) = (random_text(), random_text());
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    // Lax, because the browser comes back from another site.
    let cookie = format!("{COOKIE_NAME}={state}.{verifier}; Path=/callback; Max-Age=900; HttpOnly; SameSite=Lax");
    go_to(&sample.gateway.authorize_url(&state, &challenge), Some(&cookie))
}

/// What the gateway appends to our redirect URI (RFC 6749 §4.1.2): a code, or an error.
#[derive(Deserialize)]
pub struct Callback {
    state: Option<String>,
    iss: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// The browser is back from the gateway.
pub async fn finish(State(sample): State<Sample>, Query(answer): Query<Callback>, headers: HeaderMap) -> Response {
    // Whatever comes of it, the cookie has served its purpose.
    let done = format!("{COOKIE_NAME}=; Path=/callback; Max-Age=0; HttpOnly; SameSite=Lax");
    let notice = match connect(&sample, answer, &headers).await {
        Ok(()) => "/".to_owned(),
        Err(notice) => notice.address(),
    };
    go_to(&notice, Some(&done))
}

async fn connect(sample: &Sample, answer: Callback, headers: &HeaderMap) -> Result<(), Notice> {
    // Is this the answer to a question that this browser asked?
    let (state, verifier) = begun(headers).ok_or(Notice::NotBegun)?;
    if answer.state.as_deref() != Some(state) {
        return Err(Notice::NotBegun);
    }
    // Does it come from the gateway that we asked? It matters as soon as there is a second one (RFC 9207).
    if answer.iss.as_deref() != Some(sample.gateway.issuer()) {
        return Err(Notice::Failed);
    }
    if let Some(error) = answer.error {
        return Err(if error == "access_denied" { Notice::Denied } else { Notice::Failed });
    }
    let code = answer.code.ok_or(Notice::Failed)?;
    let tokens = sample.gateway.exchange(&code, verifier).await.map_err(failed)?;
    subscribe(sample, tokens).await.map_err(failed)
}

/// Asks for the leads of the site that the tokens are for.
async fn subscribe(sample: &Sample, tokens: Tokens) -> Result<(), CallError> {
    let site = ConnectedSite { uuid: tokens.site_uuid.clone(), domain: tokens.site_domain.clone() };
    // The first lead can come before the PUT has answered: whatever checks its signature must be kept before.
    let secret = sample.memory.connect(tokens.clone(), random_text());
    let url = format!("{}/leads/{}", sample.own_url, site.uuid);
    if let Err(error) = sample.gateway.subscribe(&tokens, &url, &secret).await {
        sample.memory.disconnect(&site.uuid);
        return Err(error);
    }
    // Nobody may be listening; that is no fault.
    let _ = sample.announce.send(site);
    Ok(())
}

/// "Disconnect": ends the subscription.
pub async fn disconnect(State(sample): State<Sample>, Path(site): Path<String>) -> Response {
    let Some(tokens) = sample.memory.tokens(&site) else { return go_to("/", None) };
    match unsubscribe(&sample, tokens).await {
        Ok(()) => {
            sample.memory.disconnect(&site);
            go_to("/", None)
        }
        Err(error) => go_to(&failed(error).address(), None),
    }
}

async fn unsubscribe(sample: &Sample, tokens: Tokens) -> Result<(), CallError> {
    match sample.gateway.unsubscribe(&tokens).await {
        // The access token's hour is over: refresh it, keep what comes, and try once more.
        Err(CallError::Unauthorized) => {
            let fresh = sample.gateway.refresh(&tokens.refresh_token).await?;
            sample.memory.keep_tokens(fresh.clone());
            sample.gateway.unsubscribe(&fresh).await
        }
        answered => answered,
    }
}

/// The state and the verifier that this browser's cookie holds.
fn begun(headers: &HeaderMap) -> Option<(&str, &str)> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME)?.1.split_once('.')
}

/// The user sees a kind sentence, the operator the reason. It holds no secrets: a code that failed is worth nothing.
fn failed(error: CallError) -> Notice {
    tracing::warn!(%error, "the sample partner's call to the gateway failed");
    Notice::Failed
}

/// 256 random bits: nobody guesses them.
fn random_text() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn go_to(address: &str, cookie: Option<&str>) -> Response {
    let mut answer = (StatusCode::SEE_OTHER, [(LOCATION, address.to_owned())]).into_response();
    if let Some(cookie) = cookie {
        let cookie = HeaderValue::from_str(cookie).expect("we write only visible ASCII into cookies");
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}
