//! How an authorization request gets through the pages: sealed, in the form itself.
//!
//! Nothing is stored until the user approves, so arriving costs the database nothing and any number of tabs can be open.
//! The seal is bound to the browser's cookie: the same form is worthless in another browser (RFC 9700 §4.7).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::authorize::{Asking, AuthorizationRequest};
use crate::domain::Gateway;
use crate::model::partner::{ClientId, Slug};
use crate::model::seal::Sealed;
use crate::model::time;
use crate::model::token::{Browser, Plain};
use crate::store::StoreError;

/// How long a user may take from arriving to approving.
pub const FLOW_LIFE: Duration = Duration::from_secs(60 * 60);

/// Why a form that came back is not acted upon.
#[derive(Debug, thiserror::Error)]
pub enum FormRefused {
    /// It was not made for this browser, or it was changed.
    #[error("not a form of this browser")]
    Foreign,
    /// What it asks for cannot be asked for any more: partner or redirect URI are gone, or PKCE is wanted now.
    #[error("the partner has changed meanwhile")]
    Gone,
    /// It is older than [`FLOW_LIFE`].
    #[error("too old")]
    Expired(Box<Asking>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gateway {
    /// The request as a form carries it through one browser.
    pub fn seal_request(&self, request: &AuthorizationRequest, browser: &Plain<Browser>) -> String {
        let text = serde_json::to_vec(&Carried::from(request)).expect("strings and numbers are always JSON");
        let sealed = self.keys.seal(&text, &context(browser), &*self.entropy);
        URL_SAFE_NO_PAD.encode(sealed.as_bytes())
    }

    /// The request that a form carried, if it was sealed for this browser and can still be granted.
    pub async fn open_request(
        &self,
        slug: &Slug,
        sealed: &str,
        browser: &Plain<Browser>,
    ) -> Result<Asking, FormRefused> {
        let request = self.unseal(sealed, browser).ok_or(FormRefused::Foreign)?;
        let partner = self.store.partner_by_slug(slug).await?.ok_or(FormRefused::Gone)?;
        if partner.id != request.partner {
            return Err(FormRefused::Foreign);
        }
        let without_pkce = partner.require_pkce && request.challenge.is_none();
        let unregistered = !partner.redirect_uris.contains(&request.redirect_uri);
        if partner.client_id != request.client_id || unregistered || without_pkce {
            return Err(FormRefused::Gone);
        }
        let address = self.return_address(slug, request.redirect_uri.clone(), request.state.clone());
        let expires = time::after(request.created, FLOW_LIFE);
        let asking = Asking { partner, request, address };
        if self.clock.now() >= expires { Err(FormRefused::Expired(Box::new(asking))) } else { Ok(asking) }
    }

    fn unseal(&self, sealed: &str, browser: &Plain<Browser>) -> Option<AuthorizationRequest> {
        let sealed = Sealed::from_bytes(URL_SAFE_NO_PAD.decode(sealed).ok()?);
        let text = self.keys.open(&sealed, &context(browser)).ok()?;
        serde_json::from_slice::<Carried>(&text).ok()?.into_request()
    }
}

/// The flow's seal is bound to the browser.
fn context(browser: &Plain<Browser>) -> Vec<u8> {
    [b"flow".as_slice(), browser.hash().as_bytes()].concat()
}

/// A request as text.
#[derive(Serialize, Deserialize)]
struct Carried {
    flow: String,
    partner: String,
    client: String,
    uri: String,
    scopes: String,
    state: Option<String>,
    challenge: Option<String>,
    created: i64,
}

impl From<&AuthorizationRequest> for Carried {
    fn from(request: &AuthorizationRequest) -> Self {
        Self {
            flow: request.flow.to_string(),
            partner: request.partner.to_string(),
            client: request.client_id.as_str().to_owned(),
            uri: request.redirect_uri.as_str().to_owned(),
            scopes: request.scopes.to_string(),
            state: request.state.clone(),
            challenge: request.challenge.as_ref().map(|challenge| challenge.as_str().to_owned()),
            created: request.created.as_millisecond(),
        }
    }
}

impl Carried {
    /// `None` only for what an older version sealed in another form.
    fn into_request(self) -> Option<AuthorizationRequest> {
        Some(AuthorizationRequest {
            flow: self.flow.parse().ok()?,
            partner: self.partner.parse().ok()?,
            client_id: ClientId::received(self.client),
            redirect_uri: self.uri.parse().ok()?,
            scopes: self.scopes.parse().ok()?,
            state: self.state,
            challenge: self.challenge.map(|challenge| challenge.parse()).transpose().ok()?,
            created: time::from_millis(self.created),
        })
    }
}
