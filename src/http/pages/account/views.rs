//! The account pages' data. What the templates print is escaped by them.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::domain::forms::Form;
use crate::domain::links::RESET_LIFE;
use crate::domain::new_password::InvalidPassword;
use crate::http::App;
use crate::http::pages::assets::{ICON, STYLESHEET};
use crate::http::pages::views::render;
use crate::http::pages::visit::Visitor;
use crate::model::person::User;
use crate::model::session::{LiveSession, SignedIn};
use crate::model::token::{PasswordLink, Plain};
use crate::model::{SessionId, Timestamp};

/// The two fields for the new password differ.
pub(super) const DIFFERENT: &str = "The two new passwords differ. Please type them again.";

#[derive(Template)]
#[template(path = "account/login.html")]
struct SignInPage<'a> {
    email: &'a str,
    refused: bool,
    mail: bool,
    token: String,
}

#[derive(Template)]
#[template(path = "account/sessions.html")]
struct SessionsPage<'a> {
    email: &'a str,
    browsers: Vec<BrowserRow>,
    end_token: String,
    end_others_token: String,
    sign_out_token: String,
}

/// A browser in which the person is signed in.
struct BrowserRow {
    id: SessionId,
    name: String,
    created: String,
    used: String,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "account/change_password.html")]
struct ChangePasswordPage<'a> {
    email: &'a str,
    fault: Option<&'a str>,
    token: String,
}

#[derive(Template)]
#[template(path = "account/set_password.html")]
struct SetPasswordPage<'a> {
    email: &'a str,
    link: &'a str,
    fault: Option<&'a str>,
    token: String,
}

#[derive(Template)]
#[template(path = "account/forgotten.html")]
struct ForgottenPage {
    token: String,
}

#[derive(Template)]
#[template(path = "account/done.html")]
struct DonePage<'a> {
    title: &'a str,
    message: &'a str,
}

/// The sign-in page; `refused` is the e-mail of an attempt that failed.
pub(super) fn sign_in(app: &App, visitor: &Visitor, refused: Option<&str>) -> Response {
    let page = SignInPage {
        email: refused.unwrap_or_default(),
        refused: refused.is_some(),
        mail: app.gateway.sends_mail(),
        token: visitor.account_token(app, Form::Login),
    };
    render(status(page.refused), &page)
}

/// Where the person is signed in; this browser first.
pub(super) fn sessions(app: &App, visitor: &Visitor, own: &SignedIn, sessions: &[LiveSession]) -> Response {
    let mut browsers: Vec<_> = sessions.iter().map(|session| row(session, session.id == own.session.id)).collect();
    browsers.sort_by_key(|browser| !browser.is_this);
    let page = SessionsPage {
        email: own.user.email.as_str(),
        browsers,
        end_token: visitor.account_token(app, Form::EndSession),
        end_others_token: visitor.account_token(app, Form::EndOtherSessions),
        sign_out_token: visitor.account_token(app, Form::SignOut),
    };
    render(StatusCode::OK, &page)
}

fn row(session: &LiveSession, is_this: bool) -> BrowserRow {
    let LiveSession { id, created, used, .. } = *session;
    BrowserRow { id, name: session.agent.in_words(), created: in_words(created), used: in_words(used), is_this }
}

fn in_words(time: Timestamp) -> String {
    time.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// The form for another password; `fault` is why the last one was refused.
pub(super) fn change_password(app: &App, visitor: &Visitor, user: &User, fault: Option<&str>) -> Response {
    let token = visitor.account_token(app, Form::ChangePassword);
    render(status(fault.is_some()), &ChangePasswordPage { email: user.email.as_str(), fault, token })
}

/// The form behind a link.
pub(super) fn set_password(
    app: &App,
    visitor: &Visitor,
    user: &User,
    link: &Plain<PasswordLink>,
    fault: Option<&str>,
) -> Response {
    let token = visitor.account_token(app, Form::SetPassword);
    let page = SetPasswordPage { email: user.email.as_str(), link: link.expose(), fault, token };
    render(status(fault.is_some()), &page)
}

/// The form that asks for a link.
pub(super) fn forgotten(app: &App, visitor: &Visitor) -> Response {
    render(StatusCode::OK, &ForgottenPage { token: visitor.account_token(app, Form::Forgotten) })
}

/// A password was set.
pub(super) async fn password_is_set() -> Response {
    let message = "It is good from now on. All other browsers are signed out.";
    render(StatusCode::OK, &DonePage { title: "Your new password is set", message })
}

/// A link was asked for. It does not say whether there is such a person.
pub(super) async fn link_is_sent() -> Response {
    let message = format!(
        "If there is an account with this e-mail address, a link to set a new password is on its way. It is good for {} \
         minutes. If nothing arrives, look among the unwanted mail, or try again in a quarter of an hour.",
        RESET_LIFE.as_secs() / 60
    );
    render(StatusCode::OK, &DonePage { title: "Look at your mail", message: &message })
}

/// Why a new password is refused, as a sentence.
pub(super) fn sentence(invalid: InvalidPassword) -> String {
    let text = invalid.to_string();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

/// A refusal is 403, as at the other sign-in page.
fn status(refused: bool) -> StatusCode {
    if refused { StatusCode::FORBIDDEN } else { StatusCode::OK }
}
