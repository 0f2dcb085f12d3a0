//! Who calls, read from the `Authorization` header; whether it may is for the domain to say.

use axum::http::HeaderMap;

use crate::domain::access::{Sender, Subscriber};
use crate::http::App;
use crate::http::credentials::Credentials;
use crate::http::error::ApiError;
use crate::http::middleware::ClientAddress;
use crate::model::token::Plain;

/// A partner that calls for its subscription to `site`.
pub async fn subscriber(app: &App, headers: &HeaderMap, slug: &str, site: &str) -> Result<Subscriber, ApiError> {
    match Credentials::from(headers) {
        Credentials::Bearer(token) => Ok(app.gateway.admit_subscriber(&Plain::received(token), slug, site).await?),
        // Basic is no credential here: the caller is told which one is (OAuth checklist: "code or Basic here -> 401").
        Credentials::Absent | Credentials::Basic(_) => Err(ApiError::NoToken),
        Credentials::Malformed | Credentials::Several => Err(ApiError::MalformedCredentials),
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
