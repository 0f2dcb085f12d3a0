//! The APIs that programs speak: subscriptions (API.md §3) and leads (§4).

mod caller;
mod leads;
mod subscription;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::{App, fallback};

/// The routes of both APIs.
pub fn routes() -> Router<App> {
    Router::new().merge(subscription::routes()).merge(leads::routes()).layer(from_fn(refuse_garbled_paths))
}

/// A path that is not UTF-8 names nothing of ours. Extractors would answer it in words of their own.
async fn refuse_garbled_paths(request: Request, next: Next) -> Response {
    match percent_decode_str(request.uri().path()).decode_utf8() {
        Ok(_) => next.run(request).await,
        Err(_) => fallback::not_found(request.headers().clone()).await,
    }
}
