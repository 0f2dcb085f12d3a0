//! `GET /{partner}/oauth/authorize/`: a partner has sent its user here (RFC 6749 §3.1).

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::error::PageError;
use super::views::Steps;
use super::visit::{CHOSEN_SITE, Visitor};
use crate::domain::oauth::authorize::Asked;
use crate::domain::oauth::consent::Step;
use crate::http::App;
use crate::http::form::Params;
use crate::http::routes::PartnerSlug;

/// The longest query, in bytes: encoded again three times as long, it still fits a URL and a form.
const MAX_QUERY: usize = 16 * 1024;

/// Checks the request and shows the first page that it needs. Writes nothing: a HEAD does the same.
pub(super) async fn arrive(
    State(app): State<App>,
    PartnerSlug(slug): PartnerSlug,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let slug = slug.ok_or(PageError::UnknownPartner)?;
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY {
        return Err(PageError::TooLong);
    }
    let params = Params::parse(query.as_bytes()).map_err(|_| PageError::Malformed)?;
    let asking = app.gateway.check_authorization(&slug, asked(&params)).await?;
    let tell = |error| PageError::after_proof(&asking, error);
    let visitor = Visitor::read(&app, &headers).await.map_err(tell)?;
    let chosen = params.get(CHOSEN_SITE).and_then(|site| site.parse().ok());
    let next = app.gateway.next_step(visitor.user().cloned(), chosen).await.map_err(tell)?;
    let steps = Steps { app: &app, asking: &asking, visitor: &visitor };
    let page = match next {
        Step::LogIn => steps.login(None),
        Step::NoSite(user) => steps.no_site(&user),
        Step::ChooseSite(user, sites) => steps.choose_site(&user, &sites),
        Step::Decide(user, site) => steps.consent(&user, &site),
    };
    Ok(visitor.greet(&app, page))
}

/// Everything else in the query is ignored, also what extensions would ask for (`request`, `response_mode`, `prompt`).
fn asked(params: &Params) -> Asked<'_> {
    Asked {
        client_id: params.get("client_id"),
        redirect_uri: params.get("redirect_uri"),
        response_type: params.get("response_type"),
        scope: params.get("scope"),
        state: params.get("state"),
        code_challenge: params.get("code_challenge"),
        code_challenge_method: params.get("code_challenge_method"),
        repeated: params.repeated().is_some(),
    }
}
