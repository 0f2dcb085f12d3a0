//! `POST /{partner}/oauth/revoke/` (RFC 7009).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::client::SignedForm;
use super::error::OAuthError;
use crate::http::{App, json};

/// Revokes a token. `token_type_hint` is not needed, and so not read. The answer is an empty JSON object, because some
/// clients parse every success.
pub(super) async fn revoke(
    State(app): State<App>,
    SignedForm { partner, form }: SignedForm,
) -> Result<Response, OAuthError> {
    app.gateway.revoke_token(&partner, form.get("token")).await?;
    Ok(json::answer(StatusCode::OK, &json!({})))
}
