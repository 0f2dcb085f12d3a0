//! OAuth's errors as JSON (RFC 6749 §5.2).

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::domain::StoreError;
use crate::domain::oauth::error::TokenError;
use crate::http::body::BodyRefused;
use crate::http::error::{RETRY_SECONDS, wait_seconds};
use crate::http::form::FormRefused;
use crate::http::json;

/// What a partner's server is told.
#[derive(Debug)]
pub struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: String,
    /// After how many seconds it is worth trying again.
    retry: Option<u64>,
}

impl OAuthError {
    fn new(status: StatusCode, code: &'static str, description: impl ToString) -> Self {
        let retry = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_SECONDS.into());
        Self { status, code, description: description.to_string(), retry }
    }
}

impl From<TokenError> for OAuthError {
    fn from(error: TokenError) -> Self {
        let (status, code) = match &error {
            TokenError::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            TokenError::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            TokenError::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
            TokenError::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            TokenError::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            // RFC 6749 §5.2 has no code for this. It is what a client waits after, as for any other reason to wait.
            TokenError::Throttled(throttled) => {
                let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", throttled);
                return Self { retry: Some(wait_seconds(*throttled)), ..refusal };
            }
            TokenError::Store(cause) => return Self::from(cause),
        };
        Self::new(status, code, error)
    }
}

/// RFC 6749 §5.2 has no code for a fault of the server; these are the ones of §4.1.2.1.
impl From<&StoreError> for OAuthError {
    fn from(cause: &StoreError) -> Self {
        tracing::error!(%cause, "the store failed");
        match cause {
            StoreError::Unavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "the service is not available now, try again later",
            ),
            StoreError::Corrupt(_) | StoreError::Failed(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "something went wrong here")
            }
        }
    }
}

impl From<FormRefused> for OAuthError {
    fn from(refused: FormRefused) -> Self {
        let status = match refused {
            FormRefused::Body(BodyRefused::TooLong) => StatusCode::PAYLOAD_TOO_LARGE,
            FormRefused::Body(BodyRefused::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            FormRefused::Body(BodyRefused::Incomplete) | FormRefused::ContentType | FormRefused::Malformed(_) => {
                StatusCode::BAD_REQUEST
            }
        };
        Self::new(status, "invalid_request", refused)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.code, "error_description": self.description});
        let mut response = json::answer(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"leadgate\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The endpoint exists, the method does not; the router adds `Allow` (RFC 9110 §15.5.6).
pub async fn method_not_allowed() -> OAuthError {
    OAuthError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "use POST")
}
