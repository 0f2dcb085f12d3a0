//! The HTTP client for everything that goes to partners: it opens connections only where the guard allows, follows
//! nothing, and reads no more than it needs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve as Dns, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::Host;

use super::answer::{Answer, Beginning};
use super::error::{AllForbidden, SendError};
use super::guard::Guard;
use super::ports::is_for_receivers;
use super::tls;
use crate::model::subscription::DestinationUrl;
use crate::model::time::after;

/// Connecting may take this long, so that the log can tell a dead host from a slow answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections are closed after this. Common servers close theirs after 5 s; a request that meets such a close on
/// its way is lost and has to wait for its retry.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// So many idle connections are kept per host.
const IDLE_PER_HOST: usize = 64;

/// A shared HTTP/2 connection whose other end is gone would fail every request on it: so it is pinged while in use.
const HTTP2_PING: Duration = Duration::from_secs(5);

/// An HTTP client that obeys a [`Guard`]. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    guard: Arc<Guard>,
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be configured.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refuses.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A client that reaches what `guard` allows: no redirects, no proxy (also none from the environment), no cookies, no
    /// `Referer`, no decompression.
    ///
    /// # Errors
    /// TLS or the HTTP library cannot be set up.
    pub fn new(guard: Arc<Guard>) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config()?)
            .dns_resolver(GuardedDns(guard.clone()))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http2_initial_stream_window_size(super::MAX_ANSWER as u32)
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(HTTP2_PING)
            .build()?;
        Ok(Self { http, guard })
    }

    /// Posts `body` to `to` and reads the answer, at most about [`super::MAX_ANSWER`] bytes of its body. Look-up,
    /// connecting, headers and body together take at most `within`.
    ///
    /// # Errors
    /// [`SendError`]: no complete answer in time.
    pub async fn post(
        &self,
        to: &DestinationUrl,
        headers: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Result<Answer, SendError> {
        self.check(to)?;
        let status = AtomicU16::new(0);
        let clock = self.guard.clock();
        let deadline = after(clock.now(), within);
        tokio::select! {
            biased;
            answer = self.exchange(to, headers, body, &status) => answer,
            () = clock.sleep_until(deadline) => Err(match status.load(Ordering::Relaxed) {
                0 => SendError::Timeout,
                status => SendError::AnswerTimeout { status },
            }),
        }
    }

    /// What is known without a look-up. Connections to an address in the URL itself are opened without asking the resolver, so
    /// it is judged here.
    fn check(&self, to: &DestinationUrl) -> Result<(), SendError> {
        if !is_for_receivers(to.port()) {
            return Err(SendError::ForbiddenPort);
        }
        let allowed = match to.host() {
            Host::Ipv4(address) => self.guard.allows(address.into()),
            Host::Ipv6(address) => self.guard.allows(address.into()),
            Host::Domain(_) => true,
        };
        if allowed { Ok(()) } else { Err(SendError::Forbidden) }
    }

    /// `began` is set to the status as soon as it is known: the exchange may be cut off after that.
    async fn exchange(
        &self,
        to: &DestinationUrl,
        headers: HeaderMap,
        body: Bytes,
        began: &AtomicU16,
    ) -> Result<Answer, SendError> {
        let request = self.http.post(to.url().clone()).headers(headers).body(body);
        let mut response = request.send().await.map_err(|error| SendError::of_request(&error))?;
        let status = response.status().as_u16();
        began.store(status, Ordering::Relaxed);
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut beginning = Beginning::default();
        while let Some(piece) = response.chunk().await.map_err(|_| SendError::Broken { status })? {
            if !beginning.take(&piece) {
                break;
            }
        }
        Ok(Answer { status, retry_after, excerpt: beginning.into_text() })
    }
}

/// Resolves names to those of their addresses that may be reached.
struct GuardedDns(Arc<Guard>);

impl Dns for GuardedDns {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let addresses = guard.reachable(name.as_str()).await?;
            if addresses.is_empty() {
                return Err(AllForbidden.into());
            }
            // Port 0 stands for the URL's own port.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
