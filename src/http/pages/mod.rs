//! What people see: login, choice of site, consent, errors, and their own accounts. Server-rendered, without script.

mod account;
mod arrive;
mod assets;
pub mod error;
mod headers;
mod steps;
mod views;
mod visit;

use axum::Router;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use self::error::{PageError, method_not_allowed};
use super::App;
use super::routes::both;

/// The pages, and what they load.
pub fn routes() -> Router<App> {
    let step = |name: &str| format!("/{{partner}}/oauth/authorize/{name}/");
    let pages = both("/{partner}/oauth/authorize/", get(arrive::arrive).fallback(method_not_allowed))
        .merge(both(&step("login"), post(steps::log_in).fallback(method_not_allowed)))
        .merge(both(&step("logout"), post(steps::log_out).fallback(method_not_allowed)))
        .merge(both(&step("cancel"), post(steps::cancel).fallback(method_not_allowed)))
        .merge(both(&step("site"), post(steps::choose_site).fallback(method_not_allowed)))
        .merge(both(&step("decision"), post(steps::decide).fallback(method_not_allowed)));
    pages.merge(account::routes()).layer(map_response(headers::protect)).merge(assets::routes())
}

/// The page for an address that no route knows.
pub async fn not_found() -> Response {
    headers::protect(PageError::NotFound.into_response()).await
}
