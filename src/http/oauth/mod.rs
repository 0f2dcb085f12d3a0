//! The endpoints that partners' servers call. What browsers see is in `pages`.

mod client;
pub mod error;
mod introspect;
mod metadata;
mod revoke;
mod token;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, PRAGMA};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use super::App;
use super::routes::both;

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The endpoints.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(both("/{partner}/oauth/token/", only(post(token::issue))))
        .merge(both("/{partner}/oauth/revoke/", only(post(revoke::revoke))))
        .merge(both("/{partner}/oauth/introspect/", only(post(introspect::introspect))))
        .layer(map_response(no_store))
        .merge(both("/.well-known/oauth-authorization-server/{partner}/", get(metadata::show)))
}

/// The endpoint's one method; others are refused in OAuth's words.
fn only(post: MethodRouter<App>) -> MethodRouter<App> {
    post.fallback(error::method_not_allowed)
}

/// No answer may be kept, an error as little as a token (RFC 6749 §5.1).
async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
