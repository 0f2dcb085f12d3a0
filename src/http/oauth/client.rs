//! Client authentication: HTTP Basic, and nothing beside it (RFC 6749 §2.3).

use super::error::OAuthError;
use crate::domain::oauth::client::Presented;
use crate::domain::oauth::error::TokenError;
use crate::http::App;
use crate::http::credentials::Credentials;
use crate::http::form::Params;
use crate::http::middleware::ClientAddress;
use crate::model::partner::{Partner, Slug};
use crate::model::token::Plain;

/// The partner that sends this request.
pub(super) async fn authenticate(
    app: &App,
    slug: Option<&Slug>,
    credentials: Credentials,
    ClientAddress(address): ClientAddress,
    form: &Params,
) -> Result<Partner, OAuthError> {
    let presented = presented(credentials, form)?;
    let partner = app.gateway.authenticate_client(slug, &presented, address).await?;
    match form.get("client_id") {
        Some(other) if other != partner.client_id.as_str() => {
            Err(TokenError::InvalidRequest("client_id is not that of the authenticated client").into())
        }
        _ => Ok(partner),
    }
}

/// A secret in the body is no authentication here (`client_secret_post` is not offered); beside Basic it is a second one.
fn presented(credentials: Credentials, form: &Params) -> Result<Presented, TokenError> {
    match credentials {
        Credentials::Several => Err(TokenError::InvalidRequest("several Authorization headers")),
        Credentials::Basic(_) if form.get("client_secret").is_some() => {
            Err(TokenError::InvalidRequest("several kinds of client authentication"))
        }
        Credentials::Basic(pair) => {
            let pairs = pair.candidates().map(|(id, secret)| (id.to_owned(), Plain::received(secret)));
            Ok(Presented::Pairs(pairs.collect()))
        }
        Credentials::Absent | Credentials::Bearer(_) | Credentials::Malformed => Ok(Presented::Nothing),
    }
}
