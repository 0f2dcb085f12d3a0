//! The client for receivers, by itself: its connections, and how it comes by addresses. What it answers to receivers that
//! misbehave is in `delivery`, and what it refuses to reach in `attack`.

mod connections;
mod http2;
mod names;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use leadgate::egress::{Answer, Client, Guard, SendError};
use leadgate::model::Clock;

use crate::harness::names::Names;
use crate::harness::{secure, soon};

/// A client that reaches loopback, knows these names there, and has at most so many connections.
fn client(names: &[&str], clock: Arc<dyn Clock>, connections: usize) -> Client {
    let known = Names::default();
    names.iter().for_each(|name| known.set(name, &["127.0.0.1"]));
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], Arc::new(known), clock);
    Client::with(Arc::new(guard), secure::trusting(), connections)
}

/// Posts a body of these bytes.
async fn post(client: &Client, url: &str, body: &'static str) -> Result<Answer, SendError> {
    let url = url.parse().unwrap();
    let sent = client.post(&url, HeaderMap::new(), Bytes::from_static(body.as_bytes()), Duration::from_secs(15));
    soon("the attempt ends", sent).await
}
