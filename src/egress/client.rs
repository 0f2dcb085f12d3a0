//! The HTTP client for everything that goes to partners: it opens connections only where the guard allows, follows
//! nothing, and reads no more than it needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use rustls::ClientConfig;
use url::Host;

use super::answer::{Answer, read};
use super::connection::{Http1, Http2};
use super::dial::{Dialler, Protocol};
use super::error::{SendError, is_about_one_request, was_refused};
use super::guard::Guard;
use super::message::Message;
use super::pool::{Pool, Taken, Turn, User};
use super::ports::is_for_receivers;
use super::tls;
use crate::model::Timestamp;
use crate::model::subscription::DestinationUrl;
use crate::model::time::after;

/// Connections at once, if the caller does not say how many.
const CONNECTIONS: usize = 1024;

/// How often a request is sent again because the receiver has certainly not looked at it: it closed a connection that
/// was idle, or said itself that it did not (HTTP/2).
const REPEATS: usize = 2;

/// How far an exchange has come, where no status is known yet.
const CONNECTING: u16 = 0;
const SENDING: u16 = 1;

/// An HTTP client that obeys a [`Guard`]. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    guard: Arc<Guard>,
    dialler: Arc<Dialler>,
    pool: Arc<Pool>,
}

/// TLS cannot be configured.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct ClientError(#[from] rustls::Error);

/// Why a request came to nothing.
enum Fault {
    /// The receiver has not looked at it: it may be sent again.
    Unseen(SendError),
    /// Anything else.
    Final(SendError),
}

impl Client {
    /// A client that reaches what `guard` allows, with TLS as the system trusts it: no redirects, no proxy (also none from
    /// the environment), no cookies, no `Referer`, no decompression.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(guard: Arc<Guard>) -> Result<Self, ClientError> {
        Ok(Self::with(guard, tls::config()?, CONNECTIONS))
    }

    /// The same with other TLS, and at most so many connections at once, idle ones included. While one is being made, a
    /// name with IPv4 and IPv6 addresses may take a second socket for it.
    pub fn with(guard: Arc<Guard>, tls: ClientConfig, connections: usize) -> Self {
        let pool = Pool::new(connections, guard.shared_clock());
        Self { dialler: Arc::new(Dialler::new(guard.clone(), tls)), guard, pool }
    }

    /// How many connections there are at the moment, in use, idle, or being made.
    pub fn connections(&self) -> usize {
        self.pool.open()
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
        let state = AtomicU16::new(CONNECTING);
        let clock = self.guard.clock();
        let deadline = after(clock.now(), within);
        tokio::select! {
            biased;
            answer = self.exchange(Message::new(to, headers, body), deadline, &state) => answer,
            () = clock.sleep_until(deadline) => Err(match state.load(Ordering::Relaxed) {
                CONNECTING => SendError::ConnectTimeout,
                SENDING => SendError::Timeout,
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

    /// `state` is set to how far it has come: the exchange may be cut off at any point. Nothing is sent after the deadline, also
    /// when the machine stood still meanwhile and the timer has not been looked at.
    async fn exchange(
        &self,
        mut message: Message<'_>,
        deadline: Timestamp,
        state: &AtomicU16,
    ) -> Result<Answer, SendError> {
        for repeats in 0.. {
            state.store(CONNECTING, Ordering::Relaxed);
            let (taken, fresh) = self.connection(&message).await?;
            if self.guard.clock().now() >= deadline {
                return Err(SendError::ConnectTimeout);
            }
            state.store(SENDING, Ordering::Relaxed);
            // Whoever hangs up on a new connection without a look at the request would do it again.
            let may_repeat = repeats < REPEATS && (!fresh || matches!(taken, Taken::Http2(_)));
            let answered = match taken {
                Taken::Http1(connection) => self.over_http1(connection, &mut message, state).await,
                Taken::Http2(user) => over_http2(user, &message, state).await,
            };
            match answered {
                Err(Fault::Unseen(_)) if may_repeat => {}
                answered => return answered.map_err(|(Fault::Unseen(error) | Fault::Final(error))| error),
            }
        }
        unreachable!("the loop returns")
    }

    /// A connection for `message`, and whether it is a new one.
    async fn connection(&self, message: &Message<'_>) -> Result<(Taken, bool), SendError> {
        let (pool, peer) = (&self.pool, &message.peer);
        if let Some(taken) = pool.take(peer) {
            return Ok((taken, false));
        }
        // Whether the receiver speaks HTTP/2, so that one connection is enough, is known when the first one is there.
        let mut first = None;
        if message.to.is_encrypted() {
            match pool.turn(peer) {
                Turn::First(turn) => first = Some(turn),
                Turn::After(other) => {
                    other.cancelled().await;
                    if let Some(taken) = pool.take(peer) {
                        return Ok((taken, false));
                    }
                }
            }
        }
        let slot = pool.slot().await;
        let (socket, protocol) = self.dialler.dial(message.to).await?;
        let taken = match protocol {
            Protocol::Http1 => Http1::over(socket, slot).await.map(|connection| Taken::Http1(Box::new(connection))),
            Protocol::Http2 => {
                let shared = Http2::over(socket, slot, self.guard.shared_clock()).await;
                shared.map(|connection| Taken::Http2(pool.share(peer, connection)))
            }
        };
        drop(first);
        Ok((taken.map_err(|error| SendError::of_exchange(&error))?, true))
    }

    async fn over_http1(
        &self,
        mut connection: Box<Http1>,
        message: &mut Message<'_>,
        state: &AtomicU16,
    ) -> Result<Answer, Fault> {
        let response = match connection.send(message.take_for_http1()).await {
            Ok(response) => response,
            Err(mut failed) => {
                let error = SendError::of_exchange(failed.error());
                let Some(unsent) = failed.take_message() else { return Err(Fault::Final(error)) };
                message.take_back(unsent);
                return Err(Fault::Unseen(error));
            }
        };
        let allowance = connection.allowance();
        let reading = read(response, &allowance, state);
        let (answer, whole) = connection.while_driven(reading).await.map_err(Fault::Final)?;
        if whole {
            self.pool.keep(&message.peer, connection);
        }
        Ok(answer)
    }
}

async fn over_http2(mut user: User, message: &Message<'_>, state: &AtomicU16) -> Result<Answer, Fault> {
    let sent = user.connection.send(message.copy_for_http2()).await;
    user.is_answered = true;
    let response = match sent {
        Ok(response) => response,
        Err(mut failed) => {
            if !is_about_one_request(failed.error()) {
                user.retire();
            }
            let error = SendError::of_exchange(failed.error());
            let unseen = failed.take_message().is_some() || was_refused(failed.error());
            return Err(if unseen { Fault::Unseen(error) } else { Fault::Final(error) });
        }
    };
    let (answer, _) = read(response, &user.connection.allowance(), state).await.map_err(Fault::Final)?;
    Ok(answer)
}
