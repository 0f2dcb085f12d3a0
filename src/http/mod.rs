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
mod request_id;
pub mod routes;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::Method;
use axum::response::Response;
use axum::routing::get;
use ipnet::IpNet;

use crate::domain::Gateway;
use request_id::RequestIds;

/// What every handler is given. One count of its users for all of it: every request takes it several times, and all cores
/// count in the same place.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What it is made of.
pub struct Parts {
    /// The verbs.
    pub gateway: Arc<Gateway>,
    /// What the operator set about HTTP.
    pub settings: HttpSettings,
    /// Is told of every request that was answered.
    pub witness: Witness,
    ids: RequestIds,
}

impl App {
    /// All of it.
    pub fn new(gateway: Arc<Gateway>, settings: HttpSettings, witness: Witness) -> Self {
        let ids = RequestIds::new(&*gateway.entropy);
        Self(Arc::new(Parts { gateway, settings, witness, ids }))
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Is told of a request by its method, its route, if it had one, and its answer.
pub type Witness = Box<dyn Fn(&Method, Option<MatchedPath>, &Response) + Send + Sync>;

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
