//! The Incoming Leads API (API.md §4). Bodies of answers stay `{}`, as today; headers say the rest.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing;
use serde_json::{Value, json};

use crate::domain::access::Sender;
use crate::domain::leads::{Empties, Kind, Posted};
use crate::http::error::ApiError;
use crate::http::middleware::ClientAddress;
use crate::http::routes::both;
use crate::http::{App, json};
use crate::model::SiteId;
use crate::model::lead::LeadReceipt;
use crate::model::person::User;

use super::caller;

const RESULT: HeaderName = HeaderName::from_static("x-leadgate-result");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

type OnSite = Path<String>;
type OnLead = Path<(String, String)>;

pub fn routes() -> Router<App> {
    Router::new()
        .merge(both("/rest/sites/{site}/leads/", routing::post(create)))
        .merge(both("/rest/sites/{site}/potential-seller-leads/", routing::post(create_potential_seller)))
        .merge(both("/rest/sites/{site}/leads/{lead}/", routing::get(show).patch(update)))
        .merge(both("/v2/rest/sites/{site}/leads/{lead}/", routing::patch(update_and_unset)))
        .merge(both("/rest/sites/{site}/leads/{lead}/activities/", routing::post(add_activities)))
        .merge(both("/rest/sites/{site}/users/", routing::get(users)))
}

async fn create(State(app): State<App>, Path(site): OnSite, request: Request) -> Result<Response, ApiError> {
    accept(&app, &site, request, Kind::Ordinary).await
}

async fn create_potential_seller(
    State(app): State<App>,
    Path(site): OnSite,
    request: Request,
) -> Result<Response, ApiError> {
    accept(&app, &site, request, Kind::PotentialSeller).await
}

async fn accept(app: &App, site: &str, request: Request, kind: Kind) -> Result<Response, ApiError> {
    let (caller, received) = receive(app, site, request).await?;
    let site = caller.site;
    let lead = json::object(&received.body)?;
    let receipt = app.gateway.accept_lead(caller, kind, lead, received.posted()?).await?;
    Ok(done(StatusCode::CREATED, site, receipt))
}

async fn update(State(app): State<App>, Path((site, lead)): OnLead, request: Request) -> Result<Response, ApiError> {
    change(&app, &site, &lead, request, Empties::LeftAlone).await
}

async fn update_and_unset(
    State(app): State<App>,
    Path((site, lead)): OnLead,
    request: Request,
) -> Result<Response, ApiError> {
    change(&app, &site, &lead, request, Empties::Unset).await
}

async fn change(app: &App, site: &str, lead: &str, request: Request, empties: Empties) -> Result<Response, ApiError> {
    let (caller, received) = receive(app, site, request).await?;
    let site = caller.site;
    let receipt = app.gateway.update_lead(caller, lead, empties, json::object(&received.body)?).await?;
    Ok(done(StatusCode::OK, site, receipt))
}

async fn add_activities(
    State(app): State<App>,
    Path((site, lead)): OnLead,
    request: Request,
) -> Result<Response, ApiError> {
    let (caller, received) = receive(&app, &site, request).await?;
    let site = caller.site;
    let activities = json::list(&received.body)?;
    let receipt = app.gateway.add_activities(caller, &lead, activities, received.posted()?).await?;
    Ok(done(StatusCode::CREATED, site, receipt))
}

async fn show(
    State(app): State<App>,
    Path((site, lead)): OnLead,
    from: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = caller::sender(&app, &headers, from, &site).await?;
    Ok(json::answer(StatusCode::OK, &app.gateway.lead(&caller, &lead).await?))
}

async fn users(
    State(app): State<App>,
    Path(site): OnSite,
    from: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = caller::sender(&app, &headers, from, &site).await?;
    let users = app.gateway.site_users(&caller).await?;
    Ok(json::answer(StatusCode::OK, &users.iter().map(user_json).collect::<Vec<_>>()))
}

fn user_json(user: &User) -> Value {
    json!({"id": user.id.to_string(), "name": user.name, "email": user.email.as_str()})
}

/// A request with a body, whose caller may send leads.
struct Received {
    headers: HeaderMap,
    path: String,
    body: Bytes,
}

/// Admits the caller first, so that a stranger's body is not even read.
async fn receive(app: &App, site: &str, request: Request) -> Result<(Sender, Received), ApiError> {
    let caller = caller::sender(app, request.headers(), ClientAddress::of(&request), site).await?;
    let (head, body) = request.into_parts();
    let body = json::read(body).await?;
    Ok((caller, Received { headers: head.headers, path: head.uri.path().to_owned(), body }))
}

impl Received {
    fn posted(&self) -> Result<Posted<'_>, ApiError> {
        let key = self.headers.get(IDEMPOTENCY_KEY).map(|value| value.to_str().map_err(|_| ApiError::InvalidKey));
        let key = key.transpose()?;
        if key.is_some_and(|key| !(1..=255).contains(&key.len())) {
            return Err(ApiError::InvalidKey);
        }
        Ok(Posted { key, path: self.path.trim_end_matches('/'), body: &self.body })
    }
}

fn done(status: StatusCode, site: SiteId, receipt: LeadReceipt) -> Response {
    let mut response = json::answer(status, &json!({}));
    let location = format!("/rest/sites/{site}/leads/{}", receipt.lead);
    let location = HeaderValue::from_str(&location).expect("ids are printable ASCII");
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(RESULT, HeaderValue::from_static(receipt.effect.as_str()));
    response
}
