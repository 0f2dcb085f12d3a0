//! The browsers in which somebody is signed in, and ending that.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::submission::Submission;
use super::{HOME, SIGN_IN, views};
use crate::domain::forms::Form;
use crate::http::App;
use crate::http::pages::error::PageError;
use crate::http::pages::visit::{Visitor, see_page};

pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::read(&app, &headers).await?;
    let Some(signed_in) = &visitor.signed_in else { return Ok(see_page(SIGN_IN)) };
    let sessions = app.gateway.sessions(&signed_in.user).await?;
    Ok(visitor.greet(&app, views::sessions(&app, &visitor, signed_in, &sessions)))
}

/// Ends one session. One that has ended already is no fault: a double click ends well.
pub(super) async fn end(State(app): State<App>, request: Request) -> Result<Response, PageError> {
    let sent = Submission::read(&app, Form::EndSession, request).await?;
    let session = sent.field("session").parse().map_err(|_| PageError::Malformed)?;
    app.gateway.end_session(&sent.signed_in()?.user, session).await?;
    Ok(see_page(HOME))
}

pub(super) async fn end_others(State(app): State<App>, request: Request) -> Result<Response, PageError> {
    let sent = Submission::read(&app, Form::EndOtherSessions, request).await?;
    app.gateway.end_other_sessions(sent.signed_in()?).await?;
    Ok(see_page(HOME))
}
