//! OAuth's errors, in OAuth's words. How they travel is for `http` to say.
//!
//! Descriptions are fixed texts of the characters that RFC 6749 §4.1.2.1 and §5.2 allow; they never repeat input.

use crate::domain::guesses::Throttled;
use crate::store::StoreError;

/// What a partner is told, through the browser, of an authorization request that failed (RFC 6749 §4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// A parameter is missing, repeated or malformed.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// `response_type` is not `code`.
    #[error("response_type must be code")]
    UnsupportedResponseType,
    /// `scope` names something that does not exist.
    #[error("scope is unknown or malformed")]
    InvalidScope,
    /// The user said no, or cannot say yes.
    #[error("the user did not approve")]
    AccessDenied,
    /// A fault of the gateway.
    #[error("something went wrong here")]
    ServerError,
    /// The database does not answer.
    #[error("the service is not available now, try again later")]
    TemporarilyUnavailable,
}

impl AuthorizationError {
    /// The `error` code.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

impl From<&StoreError> for AuthorizationError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::TemporarilyUnavailable,
            StoreError::Corrupt(_) | StoreError::Failed(_) => Self::ServerError,
        }
    }
}

/// Why a partner's server is turned away, at the token endpoint (RFC 6749 §5.2), where tokens are revoked (RFC 7009 §2.2.1)
/// and where they are introspected (RFC 7662 §2.3).
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A parameter is missing, repeated or malformed, or there are two kinds of client authentication.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The client is unknown, or its secret is wrong, or it did not authenticate.
    #[error("client authentication failed")]
    InvalidClient,
    /// Too many secrets were wrong; nobody has looked at this one.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// The code or refresh token is not good, for whatever reason; the log has it.
    #[error("the code or token is invalid, expired, revoked, or was issued for something else")]
    InvalidGrant,
    /// `grant_type` is neither `authorization_code` nor `refresh_token`.
    #[error("grant_type must be authorization_code or refresh_token")]
    UnsupportedGrantType,
    /// `scope` is unknown, or exceeds what was granted.
    #[error("scope is unknown, malformed, or exceeds the grant")]
    InvalidScope,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_018_descriptions_use_only_the_characters_that_are_allowed() {
        let allowed = |text: &str| text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        for error in [
            AuthorizationError::UnsupportedResponseType,
            AuthorizationError::InvalidScope,
            AuthorizationError::AccessDenied,
            AuthorizationError::ServerError,
            AuthorizationError::TemporarilyUnavailable,
        ] {
            assert!(allowed(&error.to_string()), "{error}");
        }
        for error in [
            TokenError::Throttled(Throttled { wait: std::time::Duration::ZERO }),
            TokenError::InvalidClient,
            TokenError::InvalidGrant,
            TokenError::UnsupportedGrantType,
            TokenError::InvalidScope,
        ] {
            assert!(allowed(&error.to_string()), "{error}");
        }
    }
}
