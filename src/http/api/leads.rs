//! The Incoming Leads API (API.md §4). Bodies of answers stay `{}`, as today; headers say the rest.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
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
    by_sender(&app, &site, request, Change::Create(Kind::Ordinary)).await
}

async fn create_potential_seller(
    State(app): State<App>,
    Path(site): OnSite,
    request: Request,
) -> Result<Response, ApiError> {
    by_sender(&app, &site, request, Change::Create(Kind::PotentialSeller)).await
}

async fn update(State(app): State<App>, Path((site, lead)): OnLead, request: Request) -> Result<Response, ApiError> {
    by_sender(&app, &site, request, Change::Update(&lead, Empties::LeftAlone)).await
}

async fn update_and_unset(
    State(app): State<App>,
    Path((site, lead)): OnLead,
    request: Request,
) -> Result<Response, ApiError> {
    by_sender(&app, &site, request, Change::Update(&lead, Empties::Unset)).await
}

async fn add_activities(
    State(app): State<App>,
    Path((site, lead)): OnLead,
    request: Request,
) -> Result<Response, ApiError> {
    by_sender(&app, &site, request, Change::AddActivities(&lead)).await
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

/// Makes a change for whoever may send leads, and for nobody else. A source that was admitted before is presumed to be so still,
/// which is looked at within the change. If it is not, or the request is at fault, the caller is admitted in earnest before it
/// hears anything; of all others, not even the body is read before that.
async fn by_sender(app: &App, site: &str, request: Request, change: Change<'_>) -> Result<Response, ApiError> {
    let from = ClientAddress::of(&request);
    let (head, body) = request.into_parts();
    let admitted = || caller::sender(app, &head.headers, from, site);
    let Some(presumed) = caller::presumed_sender(app, &head.headers, from, site) else {
        let caller = admitted().await?;
        return change.make(app, caller, &Received::read(&head, body).await?).await;
    };
    let fault = match Received::read(&head, body).await {
        Ok(received) => match change.make(app, presumed, &received).await {
            Ok(done) => return Ok(done),
            Err(ApiError::WrongCredentials) => return change.make(app, admitted().await?, &received).await,
            // What became of it is not known: it is not made twice, and nobody waits twice for a store that does not answer.
            Err(ApiError::Unavailable) => return Err(ApiError::Unavailable),
            Err(fault) => fault,
        },
        Err(fault) => fault,
    };
    admitted().await?;
    Err(fault)
}

/// What is asked for; leads as they are named in the path.
#[derive(Clone, Copy)]
enum Change<'a> {
    Create(Kind),
    Update(&'a str, Empties),
    AddActivities(&'a str),
}

impl Change<'_> {
    async fn make(self, app: &App, caller: Sender, received: &Received<'_>) -> Result<Response, ApiError> {
        let (site, body) = (caller.site, &received.body);
        let (status, receipt) = match self {
            Self::Create(kind) => {
                let receipt = app.gateway.accept_lead(caller, kind, json::object(body)?, received.posted()?);
                (StatusCode::CREATED, receipt.await?)
            }
            Self::Update(lead, empties) => {
                let receipt = app.gateway.update_lead(caller, lead, empties, json::object(body)?);
                (StatusCode::OK, receipt.await?)
            }
            Self::AddActivities(lead) => {
                let receipt = app.gateway.add_activities(caller, lead, json::list(body)?, received.posted()?);
                (StatusCode::CREATED, receipt.await?)
            }
        };
        Ok(done(status, site, receipt))
    }
}

/// A request with a body.
struct Received<'a> {
    headers: &'a HeaderMap,
    path: &'a str,
    body: Bytes,
}

impl<'a> Received<'a> {
    async fn read(head: &'a Parts, body: Body) -> Result<Self, ApiError> {
        Ok(Self { headers: &head.headers, path: head.uri.path(), body: json::read(body).await? })
    }

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
