//! The HTTP server: accepts connections as long as there are places, bounds how slowly a client may send a head or take an
//! answer, and stops cleanly.

mod arriving;
mod places;
mod timer;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::model::Clock;
use arriving::Arriving;
pub use places::Bounds;
use places::{Place, Places};
use timer::ByClock;

/// How long a client may take to send the head of a request (slow-loris).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take nothing of an answer that is ready for it. One that never reads would hold its place for
/// ever.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest head, in bytes; a connection that sends nothing else costs no more memory.
const MAX_HEAD: usize = 64 * 1024;

/// How long requests under way may go on once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `shutdown`, then finishes the requests under way. `bounds` says how many connections
/// may be open at once; `clock` times how long a head may take.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let places = Places::new(bounds);
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(HEAD_TIMEOUT);
    builder.max_header_size(MAX_HEAD).max_buf_size(MAX_HEAD);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = tokio::select! {
                    () = shutdown.cancelled() => break,
                    place = places.enter(peer.ip()) => place,
                };
                match place {
                    Some(place) => {
                        let gone = place.gone();
                        builder.timer(ByClock::new(clock.clone()));
                        let connection = connection(&builder, stream, peer, router.clone(), place);
                        tokio::spawn(attend(graceful.watch(connection), gone));
                    }
                    None => tracing::debug!(%peer, "refused a connection: its peer has its share"),
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: give others time to close some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// Serves a connection to its end, or until its place is needed.
async fn attend(connection: impl Future<Output = hyper::Result<()>>, gone: CancellationToken) {
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            // Broken connections are the client's business.
            tracing::debug!(%error, "connection ended early");
        },
        () = gone.cancelled() => tracing::debug!("a connection that kept waiting made room for another"),
    }
}

/// One connection: each of its requests learns the peer's address, and its place learns who waits for whom.
fn connection(
    builder: &http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    place: Place,
) -> http1::Connection<TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>, impl HttpService + use<>> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let place = Arc::new(place);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        place.works();
        let mut request = request.map(|body| Arriving::body(body, &place));
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answer, place) = (router.clone().oneshot(request), place.clone());
        async move {
            let answer = answer.await;
            // Now it is for the client to take the answer, and to ask for something else.
            place.waits();
            answer
        }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL_TIMEOUT));
    builder.serve_connection(TokioIo::new(Box::pin(stream)), service)
}

/// What hyper serves: axum's router, seen from below.
trait HttpService:
    hyper::service::Service<
        hyper::Request<hyper::body::Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send,
    >
{
}

impl<S> HttpService for S where
    S: hyper::service::Service<
            hyper::Request<hyper::body::Incoming>,
            Response = axum::response::Response,
            Error = std::convert::Infallible,
            Future: Send,
        >
{
}
