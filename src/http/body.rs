//! Reading a whole body: not more than so many bytes, and not for longer than so many seconds.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// How long a caller may take to send its body.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A body that was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefused {
    /// It is longer than the limit.
    #[error("the body is too long")]
    TooLong,
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// It ended too early.
    #[error("the body is incomplete")]
    Incomplete,
}

/// Reads a body of at most `limit` bytes.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, BodyRefused> {
    match tokio::time::timeout(TIMEOUT, Limited::new(body, limit).collect()).await {
        Err(_) => Err(BodyRefused::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(BodyRefused::TooLong),
        Ok(Err(_)) => Err(BodyRefused::Incomplete),
    }
}
