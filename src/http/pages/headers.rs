//! The headers that every page and every redirect between pages carries.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

/// There is no `form-action` on purpose: Chromium applies it also to the redirects that follow a POST, and the consent's
/// goes to the partner, and on to wherever the partner sends its user (CSP 3 §6.4.2; OAuth checklist 33). Without markup
/// injection, which `default-src 'none'` and the templates' escaping are there for, it would protect nothing.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Nobody may frame, sniff, keep or be referred to by a page (RFC 9700 §4.2.4, §4.3.1, §4.16).
pub(super) async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    set(headers, CONTENT_SECURITY_POLICY, POLICY);
    set(headers, X_FRAME_OPTIONS, "DENY");
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, REFERRER_POLICY, "no-referrer");
    set(headers, CACHE_CONTROL, "no-store");
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
