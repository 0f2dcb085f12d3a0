//! Who is visiting, and with which authorization request under way.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{LOCATION, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::error::PageError;
use crate::domain::StoreError;
use crate::domain::forms::Form;
use crate::domain::login::{At, Welcome};
use crate::domain::oauth::authorize::{Answer, Asking, AuthorizationRequest};
use crate::http::form::{self, Params};
use crate::http::{App, cookies};
use crate::model::device::Device;
use crate::model::partner::Slug;
use crate::model::person::User;
use crate::model::session::{SignedIn, UserAgent};
use crate::model::token::{Browser, Plain, Session};
use crate::model::{FlowId, UserId};

/// The longest form that is read, in bytes: it carries a sealed request with a state of any length that fits a URL.
const MAX_FORM: usize = 64 * 1024;

/// The parameter with which a user who has chosen a site arrives again. From anywhere else it is as good: what it names is
/// shown before anything is approved, and only if it is the user's own.
pub(super) const CHOSEN_SITE: &str = "site";

/// A browser, as its cookies tell.
pub(super) struct Visitor {
    /// What its forms are bound to.
    pub(super) browser: Plain<Browser>,
    /// Whether the browser has to be given that cookie first.
    new: bool,
    /// The session's cookie that it presented.
    pub(super) cookie: Option<Plain<Session>>,
    /// That session, if it is alive, and whose it is.
    pub(super) signed_in: Option<SignedIn>,
    /// What the browser is known by.
    pub(super) device: Device,
    /// What the browser calls itself.
    agent: UserAgent,
}

impl Visitor {
    /// Reads the cookies. A browser without one gets an identity, which reaches it with [`Visitor::greet`].
    pub(super) async fn read(app: &App, headers: &HeaderMap) -> Result<Self, StoreError> {
        let secure = app.settings.secure;
        let cookie = cookies::read::<Session>(headers, secure);
        let signed_in = match &cookie {
            Some(cookie) => app.gateway.signed_in(cookie).await?,
            None => None,
        };
        let known = cookies::read::<Browser>(headers, secure);
        let new = known.is_none();
        let browser = known.unwrap_or_else(|| Plain::generate(&*app.gateway.entropy));
        let device = cookies::read_device(headers, secure);
        Ok(Self { browser, new, cookie, signed_in, device, agent: agent(headers) })
    }

    /// The user who is signed in.
    pub(super) fn user(&self) -> Option<&User> {
        self.signed_in.as_ref().map(|signed_in| &signed_in.user)
    }

    /// The `csrf_token` of a form that is shown to this visitor.
    pub(super) fn form_token(&self, app: &App, form: Form, request: &AuthorizationRequest) -> String {
        app.gateway.form_token(form, Some(request.flow), &self.browser, self.author_of(form))
    }

    /// The same of a form that is about the visitor's own account.
    pub(super) fn account_token(&self, app: &App, form: Form) -> String {
        app.gateway.form_token(form, None, &self.browser, self.author_of(form))
    }

    /// Whether this `csrf_token` was made for just this form, authorization request (or none), browser and user.
    pub(super) fn has_made(&self, app: &App, form: Form, flow: Option<FlowId>, token: &str) -> bool {
        app.gateway.is_form_token(token, form, flow, &self.browser, self.author_of(form))
    }

    /// Whose form it is: who logs in or turns back is nobody yet.
    fn author_of(&self, form: Form) -> Option<UserId> {
        match form {
            Form::Login | Form::Cancel | Form::SetPassword | Form::Forgotten => None,
            Form::SignOut
            | Form::Site
            | Form::Decision(_)
            | Form::EndSession
            | Form::EndOtherSessions
            | Form::ChangePassword => self.user().map(|user| user.id),
        }
    }

    /// Whether the browser keeps no cookies of ours, or has never been here.
    pub(super) fn is_new(&self) -> bool {
        self.new
    }

    /// The browser in which somebody shows a password, from this address.
    pub(super) fn at(&self, address: IpAddr) -> At<'_> {
        At { address, device: &self.device, agent: &self.agent, session: self.cookie.as_ref() }
    }

    /// Gives a new browser its cookie along with the answer.
    pub(super) fn greet(&self, app: &App, mut response: Response) -> Response {
        if self.new {
            response.headers_mut().append(SET_COOKIE, cookies::of_browser(app, &self.browser));
        }
        response
    }
}

/// Has the browser keep that somebody is signed in.
pub(super) fn sign_in(app: &App, mut response: Response, welcome: &Welcome) -> Response {
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, cookies::of_session(app, &welcome.session));
    headers.append(SET_COOKIE, cookies::of_device(app, &welcome.device));
    response
}

/// Has the browser forget its session.
pub(super) fn sign_out(app: &App, mut response: Response) -> Response {
    response.headers_mut().append(SET_COOKIE, cookies::forget::<Session>(app.settings.secure));
    response
}

fn agent(headers: &HeaderMap) -> UserAgent {
    let text = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    UserAgent::received(&text.unwrap_or_default())
}

/// A form of ours that came back.
pub(super) struct Submission {
    /// Its fields.
    pub(super) fields: Params,
    /// Who sent it.
    pub(super) visitor: Visitor,
    /// The request that it carries.
    pub(super) asking: Asking,
}

impl Submission {
    /// Reads a form and opens the request in it. Whether it may have an effect is for [`Submission::require`] to say.
    pub(super) async fn read(app: &App, slug: Option<Slug>, request: Request) -> Result<Self, PageError> {
        let slug = slug.ok_or(PageError::UnknownPartner)?;
        let visitor = Visitor::read(app, request.headers()).await?;
        let fields = form::read(request, MAX_FORM).await?;
        if fields.repeated().is_some() {
            return Err(PageError::Malformed);
        }
        let sealed = fields.get("flow").ok_or(PageError::Malformed)?;
        let asking = app.gateway.open_request(&slug, sealed, &visitor.browser).await?;
        Ok(Self { fields, visitor, asking })
    }

    /// Refuses a form whose `csrf_token` was not made for just this form, request, browser and user.
    pub(super) fn require(&self, app: &App, form: Form) -> Result<(), PageError> {
        let token = self.fields.get("csrf_token").unwrap_or_default();
        match self.visitor.has_made(app, form, Some(self.asking.request.flow), token) {
            true => Ok(()),
            false => Err(PageError::OutOfDate(self.start_again())),
        }
    }

    /// The logged-in user.
    pub(super) fn user(&self) -> Result<&User, PageError> {
        self.visitor.user().ok_or_else(|| PageError::OutOfDate(self.start_again()))
    }

    /// Where the same request starts from the beginning.
    pub(super) fn start_again(&self) -> String {
        start_again(&self.asking)
    }
}

/// The path of a partner's authorization endpoint; the forms' own paths begin with it.
pub(super) fn authorize_path(slug: &Slug) -> String {
    format!("/{slug}/oauth/authorize/")
}

/// The path and query with which a request came, or would have come.
pub(super) fn start_again(asking: &Asking) -> String {
    let request = &asking.request;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code");
    query.append_pair("client_id", request.client_id.as_str());
    query.append_pair("redirect_uri", request.redirect_uri.as_str());
    query.append_pair("scope", &request.scopes.to_string());
    append_optional(&mut query, request);
    format!("{}?{}", authorize_path(&asking.partner.slug), query.finish())
}

fn append_optional(query: &mut url::form_urlencoded::Serializer<'_, String>, request: &AuthorizationRequest) {
    if let Some(state) = &request.state {
        query.append_pair("state", state);
    }
    if let Some(challenge) = &request.challenge {
        query.append_pair("code_challenge", challenge.as_str()).append_pair("code_challenge_method", "S256");
    }
}

/// Sends the browser to another page of ours. 303, so that it never posts again (RFC 9700 §4.12).
pub(super) fn see_page(path: &str) -> Response {
    see_other(path)
}

/// Sends the browser back to the partner.
pub(super) fn see_partner(answer: &Answer) -> Response {
    see_other(answer.location())
}

fn see_other(location: &str) -> Response {
    let location = HeaderValue::from_str(location).expect("registered URIs and encoded queries are visible ASCII");
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}
