//! A sample partner application: how a partner integrates with Leadgate, from "Connect your site" to signed leads.
//!
//! Read it in this order; each file is one step:
//!
//! 1. [`connect`]: send the user to the gateway, and come back with an authorization code;
//! 2. [`gateway`]: the calls to the gateway: exchange the code for tokens, refresh them, set and remove the subscription;
//! 3. [`receive`]: take deliveries in: check the signature, drop repeats, keep the lead;
//! 4. [`signature`]: the ten lines that check a signature.
//!
//! It uses nothing of the gateway but its HTTP API, so each line could stand in your own application. Two things a real one
//! does otherwise: it has users of its own who log in (and whose forms carry CSRF tokens), and it keeps in an encrypted
//! database what is kept here in memory.

mod connect;
mod gateway;
mod memory;
mod page;
mod receive;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::mpsc;

use gateway::Gateway;
use memory::Memory;

/// What the gateway's operator told us when we were registered as a partner, and where we run.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The gateway's public URL with our path segment, for example `https://leads.example.com/sample`. It is also the
    /// `iss` of every answer to us.
    pub gateway: String,
    /// Our OAuth `client_id`.
    pub client_id: String,
    /// Our OAuth client secret. It stays on the server: no browser ever sees it.
    pub client_secret: String,
    /// Where browsers and the gateway reach us, without a slash at the end. `{own_url}/callback` is our registered
    /// redirect URI.
    pub own_url: String,
}

/// A site that was connected just now.
#[derive(Debug, Clone)]
pub struct ConnectedSite {
    /// `site_uuid`.
    pub uuid: String,
    /// `site_domain`.
    pub domain: String,
}

/// What every handler works with.
#[derive(Clone)]
struct Sample(Arc<Inner>);

struct Inner {
    own_url: String,
    gateway: Gateway,
    memory: Memory,
    announce: mpsc::UnboundedSender<ConnectedSite>,
}

impl std::ops::Deref for Sample {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The application, ready to be served at `registration.own_url`; and the sites, as they are connected.
pub fn application(
    registration: Registration,
    http: reqwest::Client,
) -> (Router, mpsc::UnboundedReceiver<ConnectedSite>) {
    let (announce, connected) = mpsc::unbounded_channel();
    let own_url = registration.own_url.clone();
    let gateway = Gateway::new(registration, http);
    let sample = Sample(Arc::new(Inner { own_url, gateway, memory: Memory::default(), announce }));
    let router = Router::new()
        .route("/", get(page::show))
        .route("/style.css", get(page::style))
        .route("/connect", get(connect::begin))
        .route("/callback", get(connect::finish))
        .route("/sites/{site}/disconnect", post(connect::disconnect))
        .route("/leads/{site}", post(receive::receive))
        .with_state(sample);
    (router, connected)
}
