//! Signing in and out, without a partner that asks for something.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::submission::Submission;
use super::{HOME, SIGN_IN, views};
use crate::domain::forms::Form;
use crate::domain::login::LogIn;
use crate::http::App;
use crate::http::middleware::ClientAddress;
use crate::http::pages::error::PageError;
use crate::http::pages::visit::{self, Visitor, see_page};

pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::read(&app, &headers).await?;
    if visitor.user().is_some() {
        return Ok(see_page(HOME));
    }
    Ok(visitor.greet(&app, views::sign_in(&app, &visitor, None)))
}

pub(super) async fn submit(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, PageError> {
    let sent = Submission::read(&app, Form::Login, request).await?;
    let (email, password) = (sent.field("email"), sent.field("password"));
    match app.gateway.log_in(email, password, sent.visitor.at(address)).await? {
        LogIn::Done(welcome) => Ok(visit::sign_in(&app, see_page(HOME), &welcome)),
        LogIn::Wrong => Ok(views::sign_in(&app, &sent.visitor, Some(email))),
        LogIn::Busy => Err(PageError::Busy(SIGN_IN.to_owned())),
        LogIn::Throttled(throttled) => Err(PageError::Throttled(SIGN_IN.to_owned(), throttled)),
    }
}

pub(super) async fn sign_out(State(app): State<App>, request: Request) -> Result<Response, PageError> {
    let sent = Submission::read(&app, Form::SignOut, request).await?;
    if let Some(cookie) = &sent.visitor.cookie {
        app.gateway.log_out(cookie).await?;
    }
    Ok(visit::sign_out(&app, see_page(SIGN_IN)))
}
