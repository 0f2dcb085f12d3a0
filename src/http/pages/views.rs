//! The pages' data, and how templates become answers. What the templates print is escaped by them.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::assets::{ICON, STYLESHEET};
use super::visit::{Visitor, authorize_path};
use crate::domain::forms::Form;
use crate::domain::oauth::authorize::Asking;
use crate::http::App;
use crate::model::person::User;
use crate::model::scope::Scope;
use crate::model::site::Site;

/// E-mail and password.
#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Frame<'a>,
    email: &'a str,
    refused: bool,
    /// Whether who has forgotten the password can be sent a link.
    mail: bool,
    token: String,
}

/// Which of the user's sites.
#[derive(Template)]
#[template(path = "site.html")]
struct SitePage<'a> {
    frame: Frame<'a>,
    account: Account<'a>,
    sites: &'a [Site],
    token: String,
}

/// Approve or deny.
#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    frame: Frame<'a>,
    account: Account<'a>,
    site: &'a Site,
    receives: bool,
    sends: bool,
    token: String,
}

/// Nothing to approve, and the way back.
#[derive(Template)]
#[template(path = "no_site.html")]
struct NoSitePage<'a> {
    frame: Frame<'a>,
    account: Account<'a>,
}

/// What went wrong, and the way on.
#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorPage<'a> {
    pub(super) title: &'a str,
    pub(super) message: &'a str,
    pub(super) way_on: Option<&'a str>,
}

/// What the pages of one authorization request have in common.
struct Frame<'a> {
    /// How the partner is called.
    partner: &'a str,
    /// Where it is.
    host: String,
    /// What the forms' paths begin with.
    path: String,
    /// The sealed request.
    flow: String,
    /// Lets the form turn back.
    cancel_token: String,
}

/// Who is logged in.
struct Account<'a> {
    email: &'a str,
    /// Lets the form sign out.
    sign_out_token: String,
}

/// The login page; `refused` is the e-mail of an attempt that failed.
///
/// A refusal is 403: the credentials are not sufficient (RFC 9110 §15.5.4). 401 would need a challenge, and 200 would
/// make password managers offer to save what is wrong.
pub(super) fn login(app: &App, asking: &Asking, visitor: &Visitor, refused: Option<&str>) -> Response {
    let page = LoginPage {
        frame: frame(app, asking, visitor),
        email: refused.unwrap_or_default(),
        refused: refused.is_some(),
        mail: app.gateway.sends_mail(),
        token: visitor.form_token(app, Form::Login, &asking.request),
    };
    render(if page.refused { StatusCode::FORBIDDEN } else { StatusCode::OK }, &page)
}

/// The choice between several sites.
pub(super) fn choose_site(app: &App, asking: &Asking, visitor: &Visitor, user: &User, sites: &[Site]) -> Response {
    let page = SitePage {
        frame: frame(app, asking, visitor),
        account: account(app, asking, visitor, user),
        sites,
        token: visitor.form_token(app, Form::Site, &asking.request),
    };
    render(StatusCode::OK, &page)
}

/// The question itself.
pub(super) fn consent(app: &App, asking: &Asking, visitor: &Visitor, user: &User, site: &Site) -> Response {
    let page = ConsentPage {
        frame: frame(app, asking, visitor),
        account: account(app, asking, visitor, user),
        site,
        receives: asking.request.scopes.contains(Scope::Connect),
        sends: asking.request.scopes.contains(Scope::Send),
        token: visitor.form_token(app, Form::Decision(site.id), &asking.request),
    };
    render(StatusCode::OK, &page)
}

/// For users without a site.
pub(super) fn no_site(app: &App, asking: &Asking, visitor: &Visitor, user: &User) -> Response {
    let page = NoSitePage { frame: frame(app, asking, visitor), account: account(app, asking, visitor, user) };
    render(StatusCode::OK, &page)
}

/// A template as an answer.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("templates print only strings, and memory takes what is written");
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

fn frame<'a>(app: &App, asking: &'a Asking, visitor: &Visitor) -> Frame<'a> {
    Frame {
        partner: &asking.partner.name,
        host: asking.request.redirect_uri.host(),
        path: authorize_path(&asking.partner.slug),
        flow: app.gateway.seal_request(&asking.request, &visitor.browser),
        cancel_token: visitor.form_token(app, Form::Cancel, &asking.request),
    }
}

fn account<'a>(app: &App, asking: &Asking, visitor: &Visitor, user: &'a User) -> Account<'a> {
    Account { email: user.email.as_str(), sign_out_token: visitor.form_token(app, Form::SignOut, &asking.request) }
}
