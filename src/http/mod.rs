//! The outside: extract, one domain call, render.

pub mod api;
pub mod body;
pub mod cookies;
pub mod credentials;
pub mod error;
pub mod fallback;
pub mod form;
pub mod health;
pub mod json;
pub mod middleware;
pub mod oauth;
pub mod pages;
pub mod routes;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use ipnet::IpNet;

use crate::domain::Gateway;

/// What every handler is given.
#[derive(Clone)]
pub struct App {
    /// The verbs.
    pub gateway: Arc<Gateway>,
    /// What the operator set about HTTP.
    pub settings: Arc<HttpSettings>,
}

/// What the operator set about HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Whether `public_url` is https: cookies are then `__Host-` and `Secure`.
    pub secure: bool,
    /// The proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Everything that the gateway answers.
pub fn router(app: App) -> Router {
    let router = Router::new()
        .merge(api::routes())
        .merge(oauth::routes())
        .merge(pages::routes())
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed);
    middleware::around(router, app.clone()).with_state(app)
}
