//! The socket below a connection. It holds the right to be open for exactly as long as it is, and bounds what is read: not
//! only of the bodies of answers, but of all that a receiver can send without an end, such as interim answers, chunks of
//! one byte, or pings.

use std::io::{Error, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// A socket, encrypted or not.
pub(super) type Socket = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The right to hold one more socket.
pub(super) type Slot = OwnedSemaphorePermit;

/// How many bytes may still be read from a wire. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Allowance(Arc<AtomicU64>);

/// The receiver has sent more than it may.
#[derive(Debug, thiserror::Error)]
#[error("more came than is read")]
pub(super) struct TooMuch;

/// A socket that is counted.
pub(super) struct Wire {
    socket: Take<Socket>,
    allowance: Allowance,
    _slot: Slot,
}

impl Allowance {
    /// From now on so many bytes may be read, whatever was left.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// So many more bytes may be read.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether nothing more is read.
    pub fn is_used_up(&self) -> bool {
        self.left() == 0
    }

    fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Wire {
    /// Counts what is read from `socket`; the slot is given back when it is closed.
    pub fn new(socket: Socket, slot: Slot, allowance: Allowance) -> Self {
        Self { socket: socket.take(0), allowance, _slot: slot }
    }

    fn socket(&mut self) -> Pin<&mut Socket> {
        Pin::new(self.socket.get_mut())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let left = self.allowance.left();
        if left == 0 {
            return Poll::Ready(Err(Error::other(TooMuch)));
        }
        self.socket.set_limit(left);
        let polled = Pin::new(&mut self.socket).poll_read(cx, buffer);
        self.allowance.take(left - self.socket.limit());
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.socket().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.socket().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket().poll_shutdown(cx)
    }
}
