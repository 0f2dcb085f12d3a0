//! `POST /{partner}/oauth/introspect/` (RFC 7662).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::client::SignedForm;
use super::error::OAuthError;
use crate::domain::oauth::introspect::{Introspected, Kind};
use crate::http::{App, json};
use crate::model::partner::Partner;

/// Says what a token is worth. Of a token that is not live nothing is told but that (RFC 7662 §2.2).
pub(super) async fn introspect(
    State(app): State<App>,
    SignedForm { partner, form }: SignedForm,
) -> Result<Response, OAuthError> {
    let introspected = app.gateway.introspect_token(&partner, form.get("token")).await?;
    Ok(match introspected {
        Some(introspected) => {
            let issuer = app.gateway.issuer(&partner.slug);
            json::answer(StatusCode::OK, &Live::new(&introspected, &partner, issuer))
        }
        None => json::answer(StatusCode::OK, &json!({"active": false})),
    })
}

/// A live token (RFC 7662 §2.2), with its site. Times are whole seconds since 1970.
#[derive(Serialize)]
struct Live<'a> {
    active: bool,
    scope: String,
    client_id: &'a str,
    /// Of access tokens alone: a refresh token is no bearer token, and nobody may take it for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    exp: i64,
    iat: i64,
    sub: String,
    iss: String,
    site_uuid: String,
}

impl<'a> Live<'a> {
    fn new(introspected: &Introspected, partner: &'a Partner, issuer: String) -> Self {
        let token = introspected.token;
        Self {
            active: true,
            scope: token.scopes.to_string(),
            client_id: partner.client_id.as_str(),
            token_type: match introspected.kind {
                Kind::Access => Some("Bearer"),
                Kind::Refresh => None,
            },
            exp: token.expires.as_second(),
            iat: token.issued.as_second(),
            sub: token.user.to_string(),
            iss: issuer,
            site_uuid: token.site.to_string(),
        }
    }
}
