//! The pages that say what went wrong, and the way on.

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};

use super::views::{self, ErrorPage};
use super::visit::{see_partner, start_again};
use crate::domain::StoreError;
use crate::domain::guesses::Throttled;
use crate::domain::oauth::authorize::{Answer, Asking, Stopped};
use crate::domain::oauth::error::AuthorizationError;
use crate::domain::oauth::flow::FormRefused;
use crate::http::body::BodyRefused;
use crate::http::error::{RETRY_SECONDS, wait_seconds};
use crate::http::form;

/// Why a page is not what was asked for. Those with a path offer to start the same request again there.
#[derive(Debug)]
pub enum PageError {
    /// No route knows the path.
    NotFound,
    /// No partner has this path.
    UnknownPartner,
    /// `client_id` is missing, repeated, unknown, or another partner's.
    UnknownClient,
    /// `redirect_uri` is missing, repeated, or not registered.
    RedirectUri,
    /// The query or form cannot be read.
    Malformed,
    /// The query or form is too long.
    TooLong,
    /// The form did not arrive in time.
    TooSlow,
    /// The form was made for another browser, or was changed.
    Foreign,
    /// Partner or redirect URI changed since the form was made.
    Gone,
    /// The form is of an earlier session or user, or its token is wrong.
    OutOfDate(String),
    /// The form is too old.
    Expired(String),
    /// The request was approved before.
    Repeated(String),
    /// The site is not one of the user's.
    ForeignSite(String),
    /// A link that sets a password was used, has expired, or never was.
    DeadLink,
    /// The page exists, the method does not.
    MethodNotAllowed,
    /// Too many people log in at once.
    Busy(String),
    /// Too many passwords were wrong; nobody has looked at this one.
    Throttled(String, Throttled),
    /// Too many links for new passwords were asked for from there.
    TooManyLinks(String, Throttled),
    /// The database does not answer.
    Unavailable,
    /// A fault of ours.
    Internal,
    /// Not for the user, but for the partner.
    Answered(Answer),
}

/// What a person is told: a title, and what it means.
type Words = (&'static str, &'static str);

impl PageError {
    /// A fault of the store, once it is known whom to tell.
    pub(super) fn after_proof(asking: &Asking, error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::Answered(asking.address.error(AuthorizationError::from(&error)))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::UnknownPartner => StatusCode::NOT_FOUND,
            Self::UnknownClient | Self::RedirectUri | Self::Malformed | Self::Gone => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Foreign | Self::OutOfDate(_) | Self::ForeignSite(_) => StatusCode::FORBIDDEN,
            Self::Expired(_) | Self::DeadLink => StatusCode::GONE,
            Self::Repeated(_) => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Throttled(..) | Self::TooManyLinks(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy(_) | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal | Self::Answered(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn words(&self) -> Words {
        match self {
            Self::NotFound | Self::UnknownPartner => ("Page not found", "There is no such page. Check the address."),
            Self::UnknownClient => (
                "This link does not work",
                "The application that sent you here did not say correctly who it is (client_id). Its makers have to fix \
                 that. Nothing was shared with it.",
            ),
            Self::RedirectUri => (
                "This link does not work",
                "The application that sent you here asks to send you back to an address that is not registered for it \
                 (redirect_uri). Its makers have to fix that. Nothing was shared with it.",
            ),
            Self::Malformed => (
                "This request cannot be read",
                "Something in the address or the form is missing or damaged. Go back to the application and start again.",
            ),
            Self::TooLong => ("This request is too long", "Go back to the application and start again."),
            Self::TooSlow => ("This took too long", "The form did not arrive in time. Go back and send it again."),
            Self::Foreign => (
                "This form cannot be used here",
                "It was opened in another browser, or this browser does not keep cookies. Nothing was changed. Go back \
                 to the application and start again, and allow cookies for this address.",
            ),
            Self::Gone => (
                "The application has changed",
                "It has new settings since you opened the page. Nothing was changed. Go back to it and start again.",
            ),
            Self::OutOfDate(_) => (
                "This page is out of date",
                "Meanwhile you signed out, or signed in as someone else. Nothing was changed.",
            ),
            Self::Expired(_) => ("This page has expired", "It was open for more than an hour. Nothing was changed."),
            Self::Repeated(_) => (
                "You have already approved this",
                "Your approval was sent to the application once, and is not sent again. Go back to the application: it \
                 should be connected. If it is not, start again.",
            ),
            Self::ForeignSite(_) => {
                ("You cannot choose this site", "It is none of the sites that you own. Nothing was changed.")
            }
            Self::DeadLink => (
                "This link does not work any more",
                "It was used before, or it is too old, or a newer one was made. Whoever runs this service can make you \
                 another.",
            ),
            Self::MethodNotAllowed => (
                "There is nothing to see at this address",
                "It only receives forms. Go back to the application and start again.",
            ),
            Self::Busy(_) => ("Very busy now", "Too many people sign in at this moment. Please try again in a moment."),
            Self::Throttled(..) => (
                "Too many attempts",
                "There were too many wrong passwords, so this one was not looked at. Please try again in a few minutes.",
            ),
            Self::TooManyLinks(..) => (
                "Too many requests",
                "Too many people have asked for a new password from where you are, so no e-mail is sent this time. Please \
                 try again in a few minutes.",
            ),
            Self::Unavailable => (
                "Not available now",
                "Please try again in a moment. If you sent a form, it may have been carried out all the same.",
            ),
            Self::Internal | Self::Answered(_) => {
                ("Something went wrong here", "It is not your fault. Please try again later.")
            }
        }
    }

    /// After how many seconds it is worth trying again.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Throttled(_, throttled) | Self::TooManyLinks(_, throttled) => Some(wait_seconds(*throttled)),
            Self::Busy(_) | Self::Unavailable => Some(RETRY_SECONDS.into()),
            _ => None,
        }
    }

    fn way_on(&self) -> Option<&str> {
        match self {
            Self::Busy(path)
            | Self::Throttled(path, _)
            | Self::TooManyLinks(path, _)
            | Self::OutOfDate(path)
            | Self::Expired(path)
            | Self::Repeated(path)
            | Self::ForeignSite(path) => Some(path),
            _ => None,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::Answered(answer) = &self {
            return see_partner(answer);
        }
        let (title, message) = self.words();
        let page = ErrorPage { title, message, way_on: self.way_on() };
        let mut response = views::render(self.status(), &page);
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Corrupt(_) | StoreError::Failed(_) => Self::Internal,
        }
    }
}

impl From<Stopped> for PageError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::UnknownPartner => Self::UnknownPartner,
            Stopped::UnknownClient => Self::UnknownClient,
            Stopped::RedirectUri => Self::RedirectUri,
            Stopped::Answered(answer) => Self::Answered(answer),
            Stopped::Store(error) => error.into(),
        }
    }
}

impl From<FormRefused> for PageError {
    fn from(refused: FormRefused) -> Self {
        match refused {
            FormRefused::Foreign => Self::Foreign,
            FormRefused::Gone => Self::Gone,
            FormRefused::Expired(asking) => Self::Expired(start_again(&asking)),
            FormRefused::Store(error) => error.into(),
        }
    }
}

impl From<form::FormRefused> for PageError {
    fn from(refused: form::FormRefused) -> Self {
        match refused {
            form::FormRefused::Body(BodyRefused::TooLong) => Self::TooLong,
            form::FormRefused::Body(BodyRefused::TooSlow) => Self::TooSlow,
            form::FormRefused::Body(BodyRefused::Incomplete)
            | form::FormRefused::ContentType
            | form::FormRefused::Malformed(_) => Self::Malformed,
        }
    }
}

/// The page exists, the method does not; the router adds `Allow` (RFC 9110 §15.5.6).
pub async fn method_not_allowed() -> PageError {
    PageError::MethodNotAllowed
}
