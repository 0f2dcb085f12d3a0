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
}

/// Which of the user's sites.
#[derive(Template)]
#[template(path = "site.html")]
struct SitePage<'a> {
    frame: Frame<'a>,
    account: Account<'a>,
    sites: &'a [Site],
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
    /// What stands for its name in its badge.
    initial: char,
    /// Where its users are sent back to.
    host: String,
    /// What the forms' paths begin with.
    path: String,
    /// The sealed request.
    flow: String,
    /// Lets the page's own form be sent.
    token: String,
    /// Lets the form turn back.
    cancel_token: String,
}

/// Who is logged in.
struct Account<'a> {
    email: &'a str,
    /// Lets the form sign out.
    sign_out_token: String,
}

/// The pages that lead one visitor through one authorization request.
pub(super) struct Steps<'a> {
    pub(super) app: &'a App,
    pub(super) asking: &'a Asking,
    pub(super) visitor: &'a Visitor,
}

impl<'a> Steps<'a> {
    /// The login page; `refused` is the e-mail of an attempt that failed.
    ///
    /// A refusal is 403: the credentials are not sufficient (RFC 9110 §15.5.4). 401 would need a challenge, and 200 would
    /// make password managers offer to save what is wrong.
    pub(super) fn login(&self, refused: Option<&str>) -> Response {
        let email = refused.unwrap_or_default();
        let mail = self.app.gateway.sends_mail();
        let page = LoginPage { frame: self.frame(Form::Login), email, refused: refused.is_some(), mail };
        render(if page.refused { StatusCode::FORBIDDEN } else { StatusCode::OK }, &page)
    }

    /// The choice between several sites.
    pub(super) fn choose_site(&self, user: &User, sites: &[Site]) -> Response {
        render(StatusCode::OK, &SitePage { frame: self.frame(Form::Site), account: self.account(user), sites })
    }

    /// The question itself.
    pub(super) fn consent(&self, user: &User, site: &Site) -> Response {
        let scopes = &self.asking.request.scopes;
        let page = ConsentPage {
            frame: self.frame(Form::Decision(site.id)),
            account: self.account(user),
            site,
            receives: scopes.contains(Scope::Connect),
            sends: scopes.contains(Scope::Send),
        };
        render(StatusCode::OK, &page)
    }

    /// For users without a site: all that they can do is turn back.
    pub(super) fn no_site(&self, user: &User) -> Response {
        render(StatusCode::OK, &NoSitePage { frame: self.frame(Form::Cancel), account: self.account(user) })
    }

    fn frame(&self, form: Form) -> Frame<'a> {
        let Asking { partner, request, .. } = self.asking;
        let initial = partner.name.chars().find(|letter| letter.is_alphanumeric());
        Frame {
            partner: &partner.name,
            initial: initial.and_then(|letter| letter.to_uppercase().next()).unwrap_or('•'),
            host: request.redirect_uri.host(),
            path: authorize_path(&partner.slug),
            flow: self.app.gateway.seal_request(request, &self.visitor.browser),
            token: self.token(form),
            cancel_token: self.token(Form::Cancel),
        }
    }

    fn account<'u>(&self, user: &'u User) -> Account<'u> {
        Account { email: user.email.as_str(), sign_out_token: self.token(Form::SignOut) }
    }

    fn token(&self, form: Form) -> String {
        self.visitor.form_token(self.app, form, &self.asking.request)
    }
}

/// A template as an answer.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("templates print only strings, and memory takes what is written");
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}
