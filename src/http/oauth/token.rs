//! `POST /{partner}/oauth/token/` (RFC 6749 §3.2).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::client::SignedForm;
use super::error::OAuthError;
use crate::domain::oauth::error::TokenError;
use crate::domain::oauth::token::{CodeGrant, RefreshGrant, Tokens};
use crate::http::{App, json};

/// Issues tokens.
pub(super) async fn issue(
    State(app): State<App>,
    SignedForm { partner, form }: SignedForm,
) -> Result<Response, OAuthError> {
    let tokens = match form.get("grant_type") {
        Some("authorization_code") => {
            let (code, redirect_uri) = (form.get("code"), form.get("redirect_uri"));
            let grant = CodeGrant { code, redirect_uri, verifier: form.get("code_verifier") };
            app.gateway.redeem_code(&partner, grant).await?
        }
        Some("refresh_token") => {
            let grant = RefreshGrant { refresh: form.get("refresh_token"), scope: form.get("scope") };
            app.gateway.rotate_refresh(&partner, grant).await?
        }
        Some(_) => return Err(TokenError::UnsupportedGrantType.into()),
        None => return Err(TokenError::InvalidRequest("grant_type is missing").into()),
    };
    Ok(json::answer(StatusCode::OK, &Issued::from(&tokens)))
}

/// RFC 6749 §5.1, with the site (API.md §1).
#[derive(Serialize)]
struct Issued<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: &'a str,
    scope: String,
    site_uuid: String,
    site_domain: &'a str,
}

impl<'a> From<&'a Tokens> for Issued<'a> {
    fn from(tokens: &'a Tokens) -> Self {
        Self {
            access_token: tokens.access.expose(),
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
            refresh_token: tokens.refresh.expose(),
            scope: tokens.granted.scopes.to_string(),
            site_uuid: tokens.granted.site.id.to_string(),
            site_domain: tokens.granted.site.domain.as_str(),
        }
    }
}
