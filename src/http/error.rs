//! What callers see of a fault, apart from what operators see: the answer has no internals, the log has all.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::body::BodyRefused;
use super::json::{self, InvalidJson};
use crate::domain::StoreError;
use crate::domain::access::AccessError;
use crate::domain::fields::FieldErrors;
use crate::domain::guesses::Throttled;
use crate::domain::leads::LeadError;
use crate::domain::subscriptions::SubscriptionError;
use crate::model::scope::Scope;

/// After how many seconds a caller may try again when the database does not answer.
pub const RETRY_SECONDS: u32 = 5;

/// After how many seconds somebody whose guesses are throttled may try again; at least one.
pub fn wait_seconds(throttled: Throttled) -> u64 {
    u64::try_from(throttled.wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

/// A fault of a request to the APIs (API.md §2 to §4).
#[derive(Debug)]
pub enum ApiError {
    /// No credentials, where only a bearer token will do.
    NoToken,
    /// No credentials, where a bearer token or a source's Basic credentials will do.
    NoCredentials,
    /// The bearer token is not valid.
    InvalidToken,
    /// The Basic credentials are not valid.
    WrongCredentials,
    /// Too many Basic credentials were not valid; nobody has looked at these.
    Throttled(Throttled),
    /// An `Authorization` header that cannot be read, or several.
    MalformedCredentials,
    /// The token lacks this scope.
    InsufficientScope(Scope),
    /// No such site, or none of the caller's.
    SiteNotFound,
    /// No such lead.
    LeadNotFound,
    /// No such subscription.
    SubscriptionNotFound,
    /// Old data holds several.
    SeveralSubscriptions,
    /// Not JSON, or JSON of another shape.
    InvalidJson,
    /// Faults of fields.
    InvalidFields(FieldErrors),
    /// More than [`json::MAX_BODY`] bytes.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// An `Idempotency-Key` that cannot be one.
    InvalidKey,
    /// An `Idempotency-Key` that was used with another request.
    KeyReused,
    /// The database does not answer.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::NoCredentials | Self::InvalidToken | Self::WrongCredentials => {
                StatusCode::UNAUTHORIZED
            }
            Self::MalformedCredentials | Self::InvalidJson | Self::InvalidKey => StatusCode::BAD_REQUEST,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::InsufficientScope(_) => StatusCode::FORBIDDEN,
            Self::SiteNotFound | Self::LeadNotFound | Self::SubscriptionNotFound => StatusCode::NOT_FOUND,
            Self::SeveralSubscriptions => StatusCode::CONFLICT,
            Self::InvalidFields(_) | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(&self) -> &'static str {
        match self {
            Self::NoToken | Self::NoCredentials => "Authentication required",
            Self::InvalidToken => "Invalid or expired access token",
            Self::WrongCredentials => "Wrong username or password",
            Self::Throttled(_) => "Too many wrong passwords, try again later",
            Self::MalformedCredentials => "Malformed Authorization header",
            Self::InsufficientScope(_) => "The access token lacks the required scope",
            Self::SiteNotFound => "Site not found",
            Self::LeadNotFound => "Lead not found",
            Self::SubscriptionNotFound => "Subscription not found",
            Self::SeveralSubscriptions => "Multiple subscriptions found for this site",
            Self::InvalidJson => "Invalid JSON body",
            Self::InvalidFields(_) => "Invalid fields",
            Self::BodyTooLarge => "Request body too large",
            Self::BodyTimeout => "Request body did not arrive in time",
            Self::InvalidKey => "Idempotency-Key must be 1 to 255 characters",
            Self::KeyReused => "Idempotency-Key was used with another request",
            Self::Unavailable => "Temporarily unavailable",
            Self::Internal => "Unknown server error",
        }
    }

    /// After how many seconds it is worth trying again.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Throttled(throttled) => Some(wait_seconds(*throttled)),
            Self::Unavailable => Some(RETRY_SECONDS.into()),
            _ => None,
        }
    }

    /// How to authenticate (RFC 6750 §3, RFC 7617 §2); `error` only if something was presented.
    fn challenges(&self) -> Vec<String> {
        let bearer = |rest: &str| format!("Bearer realm=\"leadgate\"{rest}");
        let basic = "Basic realm=\"leadgate\", charset=\"UTF-8\"".to_owned();
        match self {
            Self::NoToken => vec![bearer("")],
            Self::NoCredentials => vec![bearer(""), basic],
            Self::InvalidToken => vec![bearer(", error=\"invalid_token\"")],
            Self::WrongCredentials => vec![basic],
            Self::MalformedCredentials => vec![bearer(", error=\"invalid_request\"")],
            Self::InsufficientScope(scope) => {
                vec![bearer(&format!(", error=\"insufficient_scope\", scope=\"{}\"", scope.as_str()))]
            }
            _ => Vec::new(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, challenges, retry) = (self.status(), self.challenges(), self.retry_after());
        let mut body = json!({"error": self.message()});
        if let Self::InvalidFields(errors) = self {
            body["fields"] = errors.to_json();
        }
        let mut response = json::answer(status, &body);
        for challenge in challenges {
            let value = HeaderValue::from_str(&challenge).expect("challenges are printable ASCII");
            response.headers_mut().append(WWW_AUTHENTICATE, value);
        }
        if let Some(seconds) = retry {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<InvalidJson> for ApiError {
    fn from(_: InvalidJson) -> Self {
        Self::InvalidJson
    }
}

impl From<BodyRefused> for ApiError {
    fn from(refused: BodyRefused) -> Self {
        match refused {
            BodyRefused::TooLong => Self::BodyTooLarge,
            BodyRefused::TooSlow => Self::BodyTimeout,
            BodyRefused::Incomplete => Self::InvalidJson,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Corrupt(_) | StoreError::Failed(_) => Self::Internal,
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::InvalidToken => Self::InvalidToken,
            AccessError::InsufficientScope(scope) => Self::InsufficientScope(scope),
            AccessError::WrongCredentials => Self::WrongCredentials,
            AccessError::Throttled(throttled) => Self::Throttled(throttled),
            AccessError::SiteNotFound => Self::SiteNotFound,
            AccessError::Store(error) => error.into(),
        }
    }
}

impl From<SubscriptionError> for ApiError {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Access(error) => error.into(),
            SubscriptionError::SiteNotFound => Self::SiteNotFound,
            SubscriptionError::Revoked => Self::InvalidToken,
            SubscriptionError::NotFound => Self::SubscriptionNotFound,
            SubscriptionError::Several => Self::SeveralSubscriptions,
            SubscriptionError::Invalid(errors) => Self::InvalidFields(errors),
            SubscriptionError::Secret(error) => {
                tracing::error!(%error, "a subscription cannot be shown");
                Self::Internal
            }
            SubscriptionError::Store(error) => error.into(),
        }
    }
}

impl From<LeadError> for ApiError {
    fn from(error: LeadError) -> Self {
        match error {
            LeadError::SiteNotFound => Self::SiteNotFound,
            LeadError::LeadNotFound => Self::LeadNotFound,
            LeadError::Invalid(errors) => Self::InvalidFields(errors),
            LeadError::KeyReused => Self::KeyReused,
            // Whoever presumed that they are valid asks once more before it says so.
            LeadError::NotAdmitted => Self::WrongCredentials,
            LeadError::Store(error) => error.into(),
        }
    }
}
