//! `/{partner}/subscription/{site-uuid}/` (API.md §3).

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing;
use serde::Serialize;

use crate::domain::subscriptions::Shown;
use crate::http::error::ApiError;
use crate::http::routes::both;
use crate::http::{App, json};

use super::caller;

type Named = Path<(String, String)>;

pub fn routes() -> Router<App> {
    both("/{partner}/subscription/{site}/", routing::get(show).put(set).delete(remove))
}

async fn show(State(app): State<App>, Path((slug, site)): Named, headers: HeaderMap) -> Result<Response, ApiError> {
    Ok(shown(app.gateway.subscription(&caller::bearer(&headers)?, &slug, &site).await?))
}

async fn set(
    State(app): State<App>,
    Path((slug, site)): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let caller = caller::subscriber(&app, &headers, &slug, &site).await?;
    let wish = json::object(&json::read(body).await?)?;
    Ok(shown(app.gateway.subscribe(caller, &wish).await?))
}

async fn remove(State(app): State<App>, Path((slug, site)): Named, headers: HeaderMap) -> Result<Response, ApiError> {
    let caller = caller::subscriber(&app, &headers, &slug, &site).await?;
    app.gateway.unsubscribe(caller).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// A subscription as it is printed.
#[derive(Serialize)]
struct Printed<'a> {
    url: &'a str,
    secret: &'a str,
}

fn shown(Shown { url, secret }: Shown) -> Response {
    json::answer(StatusCode::OK, &Printed { url: &url, secret: &secret })
}
