//! The tokens in our forms: each proves that the gateway itself made the form, for this browser and this user (CSRF).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Gateway;
use crate::model::token::{Browser, Plain};
use crate::model::{FlowId, SiteId, UserId};

/// A form that one of the pages offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// E-mail and password.
    Login,
    /// Back to the partner without an approval.
    Cancel,
    /// "Sign in as someone else".
    SignOut,
    /// Which of the user's sites.
    Site,
    /// Approve or deny, for the site that was shown.
    Decision(SiteId),
    /// End one of the user's own sessions.
    EndSession,
    /// End all of the user's sessions but this one.
    EndOtherSessions,
    /// Another password, with the old one.
    ChangePassword,
    /// A password, by a link.
    SetPassword,
    /// Ask for such a link.
    Forgotten,
}

/// What [`Gateway::form_token`] tells from other tokens of ours.
const PURPOSE: &str = "csrf";

impl Gateway {
    /// The token that proves that `form` was made by the gateway, for this authorization request (or none), browser and user.
    ///
    /// It is bound to the user and not to the session's id, because logging in within one tab gives the browser another
    /// session, and the form in the other tab has to stay good for the same user (and for no other).
    pub fn form_token(
        &self,
        form: Form,
        flow: Option<FlowId>,
        browser: &Plain<Browser>,
        user: Option<UserId>,
    ) -> String {
        URL_SAFE_NO_PAD.encode(self.keys.tag(PURPOSE, &message(form, flow, browser, user)))
    }

    /// Whether `token` is the [`Gateway::form_token`] of all this, under any of the keys.
    pub fn is_form_token(
        &self,
        token: &str,
        form: Form,
        flow: Option<FlowId>,
        browser: &Plain<Browser>,
        user: Option<UserId>,
    ) -> bool {
        let message = message(form, flow, browser, user);
        URL_SAFE_NO_PAD.decode(token).is_ok_and(|tag| self.keys.is_tag(&tag, PURPOSE, &message))
    }
}

/// What a form's tag is made of. Every part has a fixed length, so that no two sets of parts make the same message.
fn message(form: Form, flow: Option<FlowId>, browser: &Plain<Browser>, user: Option<UserId>) -> Vec<u8> {
    let (name, site) = match form {
        Form::Login => (b'l', [0; 16]),
        Form::Cancel => (b'c', [0; 16]),
        Form::SignOut => (b'o', [0; 16]),
        Form::Site => (b's', [0; 16]),
        Form::Decision(site) => (b'd', *site.as_bytes()),
        Form::EndSession => (b'e', [0; 16]),
        Form::EndOtherSessions => (b'a', [0; 16]),
        Form::ChangePassword => (b'p', [0; 16]),
        Form::SetPassword => (b'n', [0; 16]),
        Form::Forgotten => (b'f', [0; 16]),
    };
    let flow = flow.map_or([0; 16], |flow| *flow.as_bytes());
    let user = user.map_or([0; 16], |user| *user.as_bytes());
    [[name].as_slice(), &flow, browser.hash().as_bytes(), &user, &site].concat()
}
