//! What no route answers.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::{json, pages};

/// No route knows the path. A browser gets a page, everybody else JSON.
pub async fn not_found(headers: HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    match accepted.is_some_and(|types| types.contains("text/html")) {
        true => pages::not_found().await,
        false => json::answer(StatusCode::NOT_FOUND, &json!({"error": "Not found"})),
    }
}

/// The path exists, the method does not; `Allow` is added by the router (RFC 9110 §15.5.6).
pub async fn method_not_allowed() -> Response {
    json::answer(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "Method not allowed"}))
}
