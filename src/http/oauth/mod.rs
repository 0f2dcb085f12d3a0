//! The endpoints that partners' servers call. What browsers see is in `pages`.

mod client;
pub mod error;
mod token;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, PRAGMA};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::post;

use super::App;
use super::routes::both;

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The endpoints.
pub fn routes() -> Router<App> {
    both("/{partner}/oauth/token/", post(token::issue).fallback(error::method_not_allowed))
        .layer(map_response(no_store))
}

/// No answer may be kept, an error as little as a token (RFC 6749 §5.1).
async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
