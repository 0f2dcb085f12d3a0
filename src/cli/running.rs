//! What the commands share that run until they are told to stop: listeners, signals, the gateway, an HTTP client.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;
use crate::app::{self, Parts, Running};
use crate::config::Settings;
use crate::egress::{SystemResolver, tls_config};
use crate::model::{OsEntropy, SystemClock};

/// Where `listener` really listens.
pub fn address_of(listener: &TcpListener) -> Result<SocketAddr, CliError> {
    listener.local_addr().map_err(CliError::Runtime)
}

/// Starts a gateway on `listener`, in the real world.
pub async fn start(settings: Settings, listener: TcpListener) -> Result<Running, CliError> {
    let parts = Parts {
        settings,
        listener,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        resolver: Arc::new(SystemResolver::new(Arc::new(SystemClock))),
    };
    Ok(app::start(parts).await?)
}

/// SIGINT (Ctrl-C) and SIGTERM. Made before anything is started, so that none is missed.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// From now on these signals no longer end the process by themselves.
    pub fn new() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::Runtime);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Completes when we are told to stop.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A plain HTTP client, for addresses that the person at the keyboard named: no redirects, no proxy.
pub fn http_client() -> Result<reqwest::Client, CliError> {
    let tls = tls_config().map_err(|cause| CliError::Client(cause.to_string()))?;
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).redirect(reqwest::redirect::Policy::none());
    client.no_proxy().build().map_err(|cause| CliError::Client(cause.to_string()))
}
