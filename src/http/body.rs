//! Reading a whole body: not more than so many bytes, and not for longer than so many seconds.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, SizeHint};

use crate::model::{Clock, time};

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
///
/// # Errors
/// [`BodyRefused`]. A body is too slow only if it was [`timed`].
pub async fn read(body: Body, limit: usize) -> Result<Bytes, BodyRefused> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(cause) if cause.is::<LengthLimitError>() => Err(BodyRefused::TooLong),
        Err(cause) if is_slow(&*cause) => Err(BodyRefused::TooSlow),
        Err(_) => Err(BodyRefused::Incomplete),
    }
}

/// The same body, which fails when it has kept its reader waiting until 30 s have passed since the first wait.
pub fn timed(body: Body, clock: &Arc<dyn Clock>) -> Body {
    match body.is_end_stream() {
        true => body,
        false => Body::new(Timed { body, clock: clock.clone(), up: None }),
    }
}

/// The body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct Slow;

fn is_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<Slow>() || error.source().is_some_and(is_slow)
}

struct Timed {
    body: Body,
    clock: Arc<dyn Clock>,
    /// When the time is up; set when the body is waited for, which most are not.
    up: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Timed {
    fn up(&mut self) -> Pin<&mut (dyn Future<Output = ()> + Send)> {
        let clock = &self.clock;
        let up = self.up.get_or_insert_with(|| {
            let (clock, at) = (clock.clone(), time::after(clock.now(), TIMEOUT));
            Box::pin(async move { clock.sleep_until(at).await })
        });
        up.as_mut()
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(next) => Poll::Ready(next.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => self.up().poll(cx).map(|()| Some(Err(Slow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
