//! Another password, by somebody who knows the one until now.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::submission::Submission;
use super::{PASSWORD_IS_SET, SIGN_IN, views};
use crate::domain::account::{ChangedPassword, Wish};
use crate::domain::forms::Form;
use crate::http::App;
use crate::http::middleware::ClientAddress;
use crate::http::pages::error::PageError;
use crate::http::pages::visit::{Visitor, see_page, sign_in};

/// Where the form is.
const FORM: &str = "/account/password/";

pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, PageError> {
    let visitor = Visitor::read(&app, &headers).await?;
    let Some(user) = visitor.user() else { return Ok(see_page(SIGN_IN)) };
    Ok(visitor.greet(&app, views::change_password(&app, &visitor, user, None)))
}

pub(super) async fn submit(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, PageError> {
    let sent = Submission::read(&app, Form::ChangePassword, request).await?;
    let user = &sent.signed_in()?.user;
    let refuse = |fault: &str| Ok(views::change_password(&app, &sent.visitor, user, Some(fault)));
    if sent.field("new") != sent.field("again") {
        return refuse(views::DIFFERENT);
    }
    let disconnect = sent.field("disconnect") == "yes";
    let wish = Wish { old: sent.field("old"), new: sent.field("new"), disconnect };
    match app.gateway.change_password(user, wish, sent.visitor.at(address)).await? {
        ChangedPassword::Done(welcome) => Ok(sign_in(&app, see_page(PASSWORD_IS_SET), &welcome)),
        ChangedPassword::Wrong => refuse("Your current password is not right. Please try again."),
        ChangedPassword::Invalid(invalid) => refuse(&views::sentence(invalid)),
        ChangedPassword::Busy => Err(PageError::Busy(FORM.to_owned())),
        ChangedPassword::Throttled(throttled) => Err(PageError::Throttled(FORM.to_owned(), throttled)),
    }
}
