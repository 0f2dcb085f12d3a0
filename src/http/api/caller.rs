//! Who calls, read from the `Authorization` header; whether it may is for the domain to say.

use axum::http::HeaderMap;

use crate::domain::access::{Sender, Subscriber};
use crate::http::App;
use crate::http::credentials::Credentials;
use crate::http::error::ApiError;
use crate::http::middleware::ClientAddress;
use crate::model::token::{Access, Plain};

/// A partner that calls for its subscription to `site`.
pub async fn subscriber(app: &App, headers: &HeaderMap, slug: &str, site: &str) -> Result<Subscriber, ApiError> {
    Ok(app.gateway.admit_subscriber(&bearer(headers)?, slug, site).await?)
}

/// The token of a partner that calls for its subscription.
pub fn bearer(headers: &HeaderMap) -> Result<Plain<Access>, ApiError> {
    match Credentials::from(headers) {
        Credentials::Bearer(token) => Ok(Plain::received(token)),
        // Basic is no credential here: the caller is told which one is (OAuth checklist: "code or Basic here -> 401").
        Credentials::Absent | Credentials::Basic(_) => Err(ApiError::NoToken),
        Credentials::Malformed | Credentials::Several => Err(ApiError::MalformedCredentials),
    }
}

/// A source that calls to change the leads of `site` and was admitted before: see
/// [`presume_source`](crate::domain::Gateway::presume_source).
pub fn presumed_sender(
    app: &App,
    headers: &HeaderMap,
    ClientAddress(address): ClientAddress,
    site: &str,
) -> Option<Sender> {
    match Credentials::from(headers) {
        Credentials::Basic(pair) => app.gateway.presume_source(pair.candidates(), site, address),
        _ => None,
    }
}

/// A partner or source that calls for the leads of `site`.
pub async fn sender(
    app: &App,
    headers: &HeaderMap,
    ClientAddress(address): ClientAddress,
    site: &str,
) -> Result<Sender, ApiError> {
    match Credentials::from(headers) {
        Credentials::Bearer(token) => Ok(app.gateway.admit_partner_sender(&Plain::received(token), site).await?),
        Credentials::Basic(pair) => Ok(app.gateway.admit_source(pair.candidates(), site, address).await?),
        Credentials::Absent => Err(ApiError::NoCredentials),
        Credentials::Malformed | Credentials::Several => Err(ApiError::MalformedCredentials),
    }
}
