//! The APIs that programs speak: subscriptions (API.md §3) and leads (§4).

mod caller;
mod leads;
mod subscription;

use axum::Router;

use super::App;

/// The routes of both APIs.
pub fn routes() -> Router<App> {
    Router::new().merge(subscription::routes()).merge(leads::routes())
}
