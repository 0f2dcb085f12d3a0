//! One connection to a receiver, and what passes over it.
//!
//! An HTTP/1.1 connection has no task of its own: whoever sends over it keeps it going, in the same task, and between
//! requests it just lies in the pool. So a send wakes nobody but itself, and a connection that is dropped is closed at
//! that moment. An HTTP/2 connection is shared by many requests, so it has a task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::MAX_ANSWER;

/// A shared HTTP/2 connection whose other end is gone would fail every request on it: so it is pinged while in use.
const HTTP2_PING: Duration = Duration::from_secs(5);

/// A socket, encrypted or not.
pub(super) type Socket = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The body of a request.
pub(super) type Body = Full<Bytes>;

/// The right to hold one more socket; given back when the socket is closed.
pub(super) type Slot = OwnedSemaphorePermit;

/// What came of a request: the beginning of an answer, or an error with the request, if nothing of it was sent.
type Sent = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// An HTTP/1.1 connection, idle or in use by one request.
pub(super) struct Http1 {
    sender: http1::SendRequest<Body>,
    /// `None` once it has ended.
    connection: Option<http1::Connection<TokioIo<Socket>, Body>>,
    _slot: Slot,
}

impl Http1 {
    /// Speaks HTTP/1.1 over `socket`.
    pub async fn over(socket: Socket, slot: Slot) -> hyper::Result<Self> {
        let (sender, connection) =
            http1::Builder::new().max_buf_size(MAX_ANSWER).handshake(TokioIo::new(socket)).await?;
        Ok(Self { sender, connection: Some(connection), _slot: slot })
    }

    /// Sends a request and waits for the beginning of its answer.
    pub async fn send(&mut self, request: Request<Body>) -> Sent {
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
async fn drive<F: Future>(connection: &mut Option<http1::Connection<TokioIo<Socket>, Body>>, work: F) -> F::Output {
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
fn poll(connection: &mut Option<http1::Connection<TokioIo<Socket>, Body>>, cx: &mut Context<'_>) {
    let ended = connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready());
    if ended {
        *connection = None;
    }
}

/// An HTTP/2 connection. It ends when the last clone is dropped and its last answer was read.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Body>,
}

impl Http2 {
    /// Speaks HTTP/2 over `socket`.
    pub async fn over(socket: Socket, slot: Slot) -> hyper::Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // Until the receiver has said how many it takes at once: it would refuse those beyond.
            .initial_max_send_streams(1)
            .initial_stream_window_size(MAX_ANSWER as u32)
            .max_header_list_size(MAX_ANSWER as u32)
            .keep_alive_interval(HTTP2_PING)
            .keep_alive_timeout(HTTP2_PING)
            .handshake(TokioIo::new(socket))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection broke");
            }
            drop(slot);
        });
        Ok(Self { sender })
    }

    /// Sends a request and waits for the beginning of its answer.
    pub async fn send(&mut self, request: Request<Body>) -> Sent {
        self.sender.try_send_request(request).await
    }

    /// Whether another request can be sent.
    pub fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }
}
