//! What is sent, as each version of HTTP wants it.

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::connection::Body;
use super::pool::Peer;
use crate::model::subscription::DestinationUrl;

/// A request that may have to be sent more than once.
pub(super) struct Message<'a> {
    pub to: &'a DestinationUrl,
    /// Whom it is for.
    pub peer: Peer,
    headers: HeaderMap,
    body: Bytes,
}

impl<'a> Message<'a> {
    /// Posts `body` with `headers` to `to`.
    pub fn new(to: &'a DestinationUrl, mut headers: HeaderMap, body: Bytes) -> Self {
        headers.entry(ACCEPT).or_insert(const { HeaderValue::from_static("*/*") });
        let uri = to.uri();
        let (scheme, authority) = (uri.scheme(), uri.authority());
        let peer = scheme.cloned().zip(authority.cloned()).expect("a destination is an absolute URL");
        Self { to, peer, headers, body }
    }

    /// Takes the headers along: a copy is not needed, unless it comes back.
    pub fn take_for_http1(&mut self) -> Request<Body> {
        let mut headers = std::mem::take(&mut self.headers);
        let host = HeaderValue::from_str(self.peer.1.as_str()).expect("a host and a port are visible ASCII");
        headers.insert(HOST, host);
        let path = self.to.uri().path_and_query().cloned();
        request(path.map(Uri::from).unwrap_or_default(), headers, self.body.clone())
    }

    /// The request that was not sent.
    pub fn take_back(&mut self, unsent: Request<Body>) {
        self.headers = unsent.into_parts().0.headers;
    }

    /// A copy: HTTP/2 may give a request back when it no longer has it.
    pub fn copy_for_http2(&self) -> Request<Body> {
        let mut headers = self.headers.clone();
        // It may have been meant for HTTP/1.1 before.
        headers.remove(HOST);
        request(self.to.uri().clone(), headers, self.body.clone())
    }
}

fn request(uri: Uri, headers: HeaderMap, body: Bytes) -> Request<Body> {
    let mut request = Request::new(Body::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}
