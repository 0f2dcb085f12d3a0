//! A person's own account: signing in, sessions, passwords.

mod password;
mod recovery;
mod sessions;
mod sign_in;
mod submission;
mod views;

use axum::Router;
use axum::routing::{get, post};

use super::error::method_not_allowed;
use crate::domain::links::LINK_PATH;
use crate::http::App;
use crate::http::routes::both;

/// Where somebody sees their sessions.
pub(super) const HOME: &str = "/account/";
const SIGN_IN: &str = "/account/login/";
const FORGOTTEN: &str = "/account/password/forgotten/";
const PASSWORD_IS_SET: &str = "/account/password/done/";
const LINK_IS_SENT: &str = "/account/password/sent/";

/// The pages of accounts.
pub(super) fn routes() -> Router<App> {
    both(HOME, get(sessions::show).fallback(method_not_allowed))
        .merge(both(SIGN_IN, get(sign_in::show).post(sign_in::submit).fallback(method_not_allowed)))
        .merge(both("/account/logout/", post(sign_in::sign_out).fallback(method_not_allowed)))
        .merge(both("/account/sessions/end/", post(sessions::end).fallback(method_not_allowed)))
        .merge(both("/account/sessions/end-others/", post(sessions::end_others).fallback(method_not_allowed)))
        .merge(both("/account/password/", get(password::show).post(password::submit).fallback(method_not_allowed)))
        .merge(both(PASSWORD_IS_SET, get(views::password_is_set).fallback(method_not_allowed)))
        .merge(both(LINK_PATH, get(recovery::show_link).post(recovery::set_password).fallback(method_not_allowed)))
        .merge(both(FORGOTTEN, get(recovery::show_forgotten).post(recovery::ask).fallback(method_not_allowed)))
        .merge(both(LINK_IS_SENT, get(views::link_is_sent).fallback(method_not_allowed)))
}
