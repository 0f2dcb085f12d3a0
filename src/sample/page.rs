//! The one page of the application.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Sample;
use super::memory::Shown;

/// What the user is told after a connection that did not work. A fixed set: nothing from the address bar is ever shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The user said no.
    Denied,
    /// The callback was called without a beginning in this browser.
    NotBegun,
    /// Anything else.
    Failed,
}

impl Notice {
    const ALL: [Notice; 3] = [Notice::Denied, Notice::NotBegun, Notice::Failed];

    fn word(self) -> &'static str {
        match self {
            Notice::Denied => "denied",
            Notice::NotBegun => "not-begun",
            Notice::Failed => "failed",
        }
    }

    /// The page that says so.
    pub fn address(self) -> String {
        format!("/?notice={}", self.word())
    }

    fn text(self) -> &'static str {
        match self {
            Notice::Denied => {
                "You did not allow the connection, so nothing was changed. You can connect whenever you like."
            }
            Notice::NotBegun => "This connection was not begun in this browser, or it took too long. Please try again.",
            Notice::Failed => "The gateway could not do this just now. Please try again.",
        }
    }
}

#[derive(Deserialize)]
pub struct Asked {
    notice: Option<String>,
}

#[derive(Template)]
#[template(path = "sample/page.html")]
struct Page {
    notice: Option<&'static str>,
    sites: Vec<(String, String)>,
    messages: Vec<Shown>,
}

/// Connections, and leads as they arrive. While a site is connected the page refreshes itself.
pub async fn show(State(sample): State<Sample>, Query(asked): Query<Asked>) -> Response {
    let notice = Notice::ALL.into_iter().find(|notice| asked.notice.as_deref() == Some(notice.word()));
    let page =
        Page { notice: notice.map(Notice::text), sites: sample.memory.sites(), messages: sample.memory.messages() };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
    ];
    match page.render() {
        Ok(html) => (headers, html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The stylesheet.
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../templates/sample/style.css"))
}

impl Shown {
    /// Hours, minutes and seconds for people; the whole time stands in the page's `datetime`.
    fn clock(&self) -> &str {
        self.time.get(11..19).unwrap_or(&self.time)
    }

    fn action_class(&self) -> &'static str {
        if self.action == "created" { "created" } else { "updated" }
    }
}
