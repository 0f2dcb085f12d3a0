//! Around every request: an id that joins the caller's answer to the operator's log, a limit to the patience with slow
//! bodies, and a net for panics.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use ipnet::IpNet;
use tracing::Instrument;

use super::error::ApiError;
use super::{App, body};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a request really comes from, with trusted proxies seen through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// Where this request comes from.
    pub fn of(request: &Request) -> Self {
        Self::noted(request.extensions())
    }

    fn noted(extensions: &Extensions) -> Self {
        *extensions.get().expect("`observe` is around every route, and notes it")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::noted(&parts.extensions))
    }
}

/// Wraps the routes. All of it is one layer: with each, axum copies all that lies within for every request.
pub fn around(router: Router<App>, app: App) -> Router<App> {
    router.layer(from_fn_with_state(app, observe))
}

/// Gives the request an id and its client's address, logs how it went, and tells the witness. The log has the route's
/// pattern, neither path nor query: codes, states and one-time links travel there (OAuth checklist 120).
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = app.ids.next();
    let client = client_address(&request, &app.settings.trusted_proxies);
    request.extensions_mut().insert(client);
    let request = request.map(|body| body::timed(body, &app.gateway.clock));
    let (method, matched) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", id, %method, route, client = %client.0);
    async move {
        // Nothing of the request is used after a panic: what it shares with others keeps itself whole.
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let mut response = answered.unwrap_or_else(|_| panicked());
        let status = response.status();
        match status.is_server_error() {
            true => tracing::error!(status = status.as_u16(), "answered"),
            false => tracing::debug!(status = status.as_u16(), "answered"),
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if app.settings.secure {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        (app.witness)(&method, matched, &response);
        response
    }
    .instrument(span)
    .await
}

fn panicked() -> Response {
    // The panic hook has logged message and place.
    tracing::error!("a handler panicked");
    ApiError::Internal.into_response()
}

/// The peer; or, if the peer is a trusted proxy, the nearest address in `X-Forwarded-For` that is not one.
/// Requests of unknown origin, which no connection brings, share one.
fn client_address(request: &Request, trusted: &[IpNet]) -> ClientAddress {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.map_or(IpAddr::from([0; 4]), |ConnectInfo(peer)| peer.ip().to_canonical());
    if is_trusted(&client) {
        // Read as bytes: a proxy adds what it saw to a line that the caller began, with whatever bytes.
        let lines = request.headers().get_all("x-forwarded-for").iter();
        let hops: Vec<&[u8]> = lines.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).collect();
        for hop in hops.into_iter().rev() {
            let Some(address) = address(hop.trim_ascii()) else { break };
            client = address.to_canonical();
            if !is_trusted(&client) {
                break;
            }
        }
    }
    ClientAddress(client)
}

/// An address as proxies write it: some with a port, and IPv6 in brackets then.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?;
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    /// Whom a request from `peer` with this `X-Forwarded-For` counts as, where 10.0.0.0/8 is trusted.
    fn client(peer: &str, forwarded: &[&str]) -> String {
        let mut request = Request::new(Body::empty());
        let peer: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for value in forwarded {
            request.headers_mut().append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        client_address(&request, &["10.0.0.0/8".parse().unwrap()]).0.to_string()
    }

    #[test]
    fn oauth_118_only_listed_proxies_are_believed_and_only_what_they_saw_themselves() {
        assert_eq!(client("192.0.2.9", &["192.0.2.1"]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("::ffff:10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.7, 192.0.2.1, 10.0.0.2"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.7", "192.0.2.1", "10.0.0.2"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.7, garbage, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["gärbage, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.7, gärbage"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn some_proxies_write_ports() {
        assert_eq!(client("10.0.0.1", &["192.0.2.1:4321"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:4321"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["2001:db8::1"]), "2001:db8::1");
    }
}
