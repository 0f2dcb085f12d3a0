//! The outside: extract, one domain call, render.

pub mod cookies;
pub mod credentials;
pub mod form;
pub mod oauth;
pub mod pages;
pub mod routes;

use std::sync::Arc;

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
