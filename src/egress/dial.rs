//! Opening a connection: the name is resolved, its addresses are judged, one that may be reached is dialled, and TLS is
//! spoken with it. Nothing is looked up a second time in between.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tower::{Service, ServiceExt};
use url::Host;

use super::error::{AllForbidden, SendError, Unresolved};
use super::guard::Guard;
use super::wire::Socket;
use crate::model::subscription::DestinationUrl;
use crate::model::time::after;

/// Look-up, connecting and TLS together may take this long, so that the log can tell a dead host from a slow answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the receiver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Opens connections where a [`Guard`] allows.
pub(super) struct Dialler {
    guard: Arc<Guard>,
    tcp: HttpConnector<GuardedDns>,
    tls: TlsConnector,
}

impl Dialler {
    /// TLS is spoken as `tls` says.
    pub fn new(guard: Arc<Guard>, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(GuardedDns(guard.clone()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared among a name's addresses, so that one that is silent leaves time for the next.
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { guard, tcp, tls: TlsConnector::from(Arc::new(tls)) }
    }

    /// Opens a connection to `to`.
    ///
    /// # Errors
    /// The name does not resolve, or to nothing that may be reached; or no connection came about in time.
    pub async fn dial(&self, to: &DestinationUrl) -> Result<(Socket, Protocol), SendError> {
        let clock = self.guard.clock();
        let end = after(clock.now(), CONNECT_TIMEOUT);
        tokio::select! {
            biased;
            connected = self.connect(to) => connected,
            () = clock.sleep_until(end) => Err(SendError::ConnectTimeout),
        }
    }

    async fn connect(&self, to: &DestinationUrl) -> Result<(Socket, Protocol), SendError> {
        let socket = self.tcp.clone().oneshot(to.uri().clone()).await;
        let socket = socket.map_err(|error| SendError::of_connect(&error))?.into_inner();
        if to.is_encrypted() { self.encrypt(to, socket).await } else { Ok((Either::Left(socket), Protocol::Http1)) }
    }

    async fn encrypt(&self, to: &DestinationUrl, socket: TcpStream) -> Result<(Socket, Protocol), SendError> {
        let name = match to.host() {
            Host::Domain(name) => ServerName::try_from(name.to_owned()).map_err(|_| SendError::Tls)?,
            Host::Ipv4(address) => ServerName::from(std::net::IpAddr::V4(address)),
            Host::Ipv6(address) => ServerName::from(std::net::IpAddr::V6(address)),
        };
        let socket = self.tls.connect(name, socket).await.map_err(|error| SendError::of_connect(&error))?;
        let protocol = match socket.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((Either::Right(Box::new(socket)), protocol))
    }
}

/// Resolves names to those of their addresses that may be reached.
#[derive(Clone)]
struct GuardedDns(Arc<Guard>);

/// Why a name leads nowhere.
type NoWay = Box<dyn std::error::Error + Send + Sync>;

impl Service<Name> for GuardedDns {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoWay;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoWay>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoWay>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.0.clone();
        Box::pin(async move {
            let addresses = guard.reachable(name.as_str()).await.map_err(|error: io::Error| Unresolved(error))?;
            if addresses.is_empty() {
                return Err(AllForbidden.into());
            }
            // The connector puts the URL's own port in place of 0.
            let addresses: Vec<_> = addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}
