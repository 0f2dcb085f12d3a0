//! `GET /.well-known/oauth-authorization-server/{partner}` (RFC 8414): what clients can find out by themselves.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::OAuthError;
use crate::http::routes::PartnerSlug;
use crate::http::{App, fallback, json};
use crate::model::scope::Scope;

/// How partners authenticate at every endpoint that wants it.
const AUTHENTICATION: [&str; 1] = ["client_secret_basic"];

/// Shows the metadata of a partner's authorization server. All URLs come from the settings, and none from the request.
pub(super) async fn show(
    State(app): State<App>,
    PartnerSlug(slug): PartnerSlug,
    headers: HeaderMap,
) -> Result<Response, Response> {
    match app.gateway.issuer_at(slug.as_ref()).await {
        Ok(Some(issuer)) => Ok(json::answer(StatusCode::OK, &Metadata::of(&issuer))),
        Ok(None) => Err(fallback::not_found(headers).await),
        Err(cause) => Err(OAuthError::from(&cause).into_response()),
    }
}

/// What is true, and nothing else: no empty list, no null (RFC 8414 §2, RFC 9207 §3).
#[derive(Serialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    scopes_supported: [&'static str; Scope::ALL.len()],
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 2],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
    code_challenge_methods_supported: [&'static str; 1],
    authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    fn of(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: format!("{issuer}/oauth/authorize/"),
            token_endpoint: format!("{issuer}/oauth/token/"),
            revocation_endpoint: format!("{issuer}/oauth/revoke/"),
            introspection_endpoint: format!("{issuer}/oauth/introspect/"),
            scopes_supported: Scope::ALL.map(Scope::as_str),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: ["authorization_code", "refresh_token"],
            token_endpoint_auth_methods_supported: AUTHENTICATION,
            revocation_endpoint_auth_methods_supported: AUTHENTICATION,
            introspection_endpoint_auth_methods_supported: AUTHENTICATION,
            code_challenge_methods_supported: ["S256"],
            authorization_response_iss_parameter_supported: true,
        }
    }
}
