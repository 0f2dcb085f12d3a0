//! Passwords for those who have none, or have forgotten it: links.

use axum::extract::{Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::submission::Submission;
use super::{FORGOTTEN, LINK_IS_SENT, PASSWORD_IS_SET, views};
use crate::domain::account::SetPassword;
use crate::domain::forms::Form;
use crate::domain::links::{Asked, LINK_PATH};
use crate::http::form::Params;
use crate::http::middleware::ClientAddress;
use crate::http::pages::error::PageError;
use crate::http::pages::visit::{Visitor, see_page, sign_out};
use crate::http::{App, cookies};
use crate::model::token::Plain;

/// The form behind a link. It uses nothing up, however often it is looked at: mail is read by scanners, too.
pub(super) async fn show_link(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, PageError> {
    let params = Params::parse(uri.query().unwrap_or_default().as_bytes()).map_err(|_| PageError::Malformed)?;
    let link = Plain::received(params.get("token").ok_or(PageError::DeadLink)?);
    let user = app.gateway.link_user(&link).await?.ok_or(PageError::DeadLink)?;
    let visitor = Visitor::read(&app, &headers).await?;
    Ok(visitor.greet(&app, views::set_password(&app, &visitor, &user, &link, None)))
}

/// Sets the password, and leads to where it is asked for. A session of this browser, whose ever it was, ends with that.
pub(super) async fn set_password(State(app): State<App>, request: Request) -> Result<Response, PageError> {
    let sent = Submission::read(&app, Form::SetPassword, request).await?;
    let link = Plain::received(sent.field("token"));
    if sent.field("new") != sent.field("again") {
        let user = app.gateway.link_user(&link).await?.ok_or(PageError::DeadLink)?;
        return Ok(views::set_password(&app, &sent.visitor, &user, &link, Some(views::DIFFERENT)));
    }
    match app.gateway.set_password(&link, sent.field("new"), &sent.visitor.device).await? {
        SetPassword::Done(device) => {
            if let Some(cookie) = &sent.visitor.cookie {
                app.gateway.log_out(cookie).await?;
            }
            let mut response = sign_out(&app, see_page(PASSWORD_IS_SET));
            response.headers_mut().append(SET_COOKIE, cookies::of_device(&app, &device));
            Ok(response)
        }
        SetPassword::Dead => Err(PageError::DeadLink),
        SetPassword::Invalid(user, invalid) => {
            let fault = views::sentence(invalid);
            Ok(views::set_password(&app, &sent.visitor, &user, &link, Some(&fault)))
        }
        SetPassword::Busy => Err(PageError::Busy(format!("{LINK_PATH}?token={}", link.expose()))),
    }
}

/// The form that asks for a link; without mail there is none.
pub(super) async fn show_forgotten(State(app): State<App>, headers: HeaderMap) -> Result<Response, PageError> {
    if !app.gateway.sends_mail() {
        return Err(PageError::NotFound);
    }
    let visitor = Visitor::read(&app, &headers).await?;
    Ok(visitor.greet(&app, views::forgotten(&app, &visitor)))
}

/// Whoever it is, the answer is the same, and takes the same time.
pub(super) async fn ask(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, PageError> {
    if !app.gateway.sends_mail() {
        return Err(PageError::NotFound);
    }
    let sent = Submission::read(&app, Form::Forgotten, request).await?;
    match app.gateway.ask_for_reset(sent.field("email"), address).await? {
        Asked::Noted => Ok(see_page(LINK_IS_SENT)),
        Asked::Throttled(throttled) => Err(PageError::TooManyLinks(FORGOTTEN.to_owned(), throttled)),
    }
}
