//! One connection to a receiver, and what passes over it.
//!
//! An HTTP/1.1 connection has no task of its own: whoever sends over it keeps it going, in the same task, and between
//! requests it just lies in the pool. So a send wakes nobody but itself, and a connection that is dropped is closed at
//! that moment. An HTTP/2 connection is shared by many requests, so it has a task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use super::MAX_ANSWER;
use super::wire::{Allowance, Slot, Socket, Wire};
use crate::model::Clock;
use crate::model::time::after;

/// A shared HTTP/2 connection whose other end is gone would fail every request on it: so it is pinged while in use.
const HTTP2_PING: Duration = Duration::from_secs(5);

/// How long an HTTP/2 connection that nobody uses any more may take to say good-bye.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// What is read of an HTTP/1.1 answer at most, its head included.
const ANSWER: u64 = MAX_ANSWER as u64;

/// What is read of an HTTP/2 connection at most for each request, on average. As much again as was read may be on its way when an
/// answer is cut off; frames have heads of their own, and a connection has more to say than answers.
const ANSWER_IN_FRAMES: u64 = 4 * ANSWER;

/// The body of a request.
pub(super) type Body = Full<Bytes>;

/// What came of a request: the beginning of an answer, or an error with the request, if nothing of it was sent.
type Sent = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// An HTTP/1.1 connection, idle or in use by one request.
pub(super) struct Http1 {
    sender: http1::SendRequest<Body>,
    /// `None` once it has ended.
    connection: Option<http1::Connection<TokioIo<Wire>, Body>>,
    allowance: Allowance,
}

impl Http1 {
    /// Speaks HTTP/1.1 over `socket`.
    pub async fn over(socket: Socket, slot: Slot) -> hyper::Result<Self> {
        let allowance = Allowance::default();
        let wire = TokioIo::new(Wire::new(socket, slot, allowance.clone()));
        let (sender, connection) = http1::Builder::new().max_buf_size(MAX_ANSWER).handshake(wire).await?;
        Ok(Self { sender, connection: Some(connection), allowance })
    }

    /// How much more is read of the answer.
    pub fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Sends a request and waits for the beginning of its answer.
    pub async fn send(&mut self, request: Request<Body>) -> Sent {
        self.allowance.set(ANSWER);
        let sent = self.sender.try_send_request(request);
        drive(&mut self.connection, sent).await
    }

    /// Does `reading`, which takes from an answer of this connection.
    pub async fn while_driven<F: Future>(&mut self, reading: F) -> F::Output {
        drive(&mut self.connection, reading).await
    }

    /// Whether another request can be sent: the last answer has ended, and the other end has not hung up so far.
    pub fn is_usable(&mut self) -> bool {
        // Nobody has to be woken: it is asked again before it is used. This also lets go of the last user's task.
        poll(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// Does `work`, and meanwhile what the connection has to do for it.
async fn drive<F: Future>(connection: &mut Option<http1::Connection<TokioIo<Wire>, Body>>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        poll(connection, cx);
        work.as_mut().poll(cx)
    })
    .await
}

/// A connection that has ended is dropped, which tells those who wait for something of it.
fn poll(connection: &mut Option<http1::Connection<TokioIo<Wire>, Body>>, cx: &mut Context<'_>) {
    let ended = connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready());
    if ended {
        *connection = None;
    }
}

/// An HTTP/2 connection. It ends when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Body>,
    allowance: Allowance,
    /// Dropped after `sender`, so that the connection knows already that it is to end.
    _end: Arc<End>,
}

impl Http2 {
    /// Speaks HTTP/2 over `socket`.
    pub async fn over(socket: Socket, slot: Slot, clock: Arc<dyn Clock>) -> hyper::Result<Self> {
        let (allowance, tasks) = (Allowance::default(), Tasks::default());
        allowance.set(ANSWER_IN_FRAMES);
        let wire = TokioIo::new(Wire::new(socket, slot, allowance.clone()));
        let (sender, connection) = http2::Builder::new(tasks.clone())
            .timer(TokioTimer::new())
            // Until the receiver has said how many it takes at once: it would refuse those beyond.
            .initial_max_send_streams(1)
            .initial_stream_window_size(MAX_ANSWER as u32)
            .max_header_list_size(MAX_ANSWER as u32)
            .keep_alive_interval(HTTP2_PING)
            .keep_alive_timeout(HTTP2_PING)
            .handshake(wire)
            .await?;
        tasks.execute(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection broke");
            }
        });
        Ok(Self { sender, allowance, _end: Arc::new(End { tasks, clock }) })
    }

    /// Sends a request and waits for the beginning of its answer.
    pub async fn send(&mut self, request: Request<Body>) -> Sent {
        self.allowance.add(ANSWER_IN_FRAMES);
        self.sender.try_send_request(request).await
    }

    /// How much more is read of all answers.
    pub fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Whether another request can be sent.
    pub fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }
}

/// The tasks of an HTTP/2 connection, which hold its socket. Clones are the same tasks.
#[derive(Clone, Default)]
struct Tasks(CancellationToken);

impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let cancelled = self.0.clone();
        tokio::spawn(async move { cancelled.run_until_cancelled(task).await.map(drop) });
    }
}

/// The end of an HTTP/2 connection. By itself it might not come: a receiver can let a request wait for a stream for ever, or
/// stop reading, and the connection would wait, too.
struct End {
    tasks: Tasks,
    clock: Arc<dyn Clock>,
}

impl Drop for End {
    fn drop(&mut self) {
        // Without a runtime there are no tasks any more.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (tasks, clock) = (self.tasks.clone(), self.clock.clone());
        runtime.spawn(async move {
            clock.sleep_until(after(clock.now(), GOOD_BYE)).await;
            tasks.0.cancel();
        });
    }
}
