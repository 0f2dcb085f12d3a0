//! Forms about accounts that came back.

use axum::extract::Request;

use super::{HOME, SIGN_IN};
use crate::domain::forms::Form;
use crate::http::App;
use crate::http::form::{self, Params};
use crate::http::pages::error::PageError;
use crate::http::pages::visit::Visitor;
use crate::model::session::SignedIn;

/// The longest form that is read, in bytes: three passwords of the greatest length, percent-encoded.
const MAX_FORM: usize = 16 * 1024;

/// A form that was proven to be made for just this browser and user.
pub(super) struct Submission {
    /// Its fields.
    fields: Params,
    /// Who sent it.
    pub(super) visitor: Visitor,
}

impl Submission {
    /// Reads a form, and refuses it unless it is this one of ours.
    pub(super) async fn read(app: &App, form: Form, request: Request) -> Result<Self, PageError> {
        let visitor = Visitor::read(app, request.headers()).await?;
        let fields = form::read(request, MAX_FORM).await?;
        if fields.repeated().is_some() {
            return Err(PageError::Malformed);
        }
        if visitor.is_new() {
            return Err(PageError::Foreign);
        }
        let token = fields.get("csrf_token").unwrap_or_default();
        match visitor.has_made(app, form, None, token) {
            true => Ok(Self { fields, visitor }),
            false => Err(PageError::OutOfDate(HOME.to_owned())),
        }
    }

    /// What was typed there; nothing, if nothing was.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_default()
    }

    /// Who is signed in.
    pub(super) fn signed_in(&self) -> Result<&SignedIn, PageError> {
        self.visitor.signed_in.as_ref().ok_or_else(|| PageError::OutOfDate(SIGN_IN.to_owned()))
    }
}
