//! The only place that wires everything, and stops it cleanly.

mod server;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::delivery::{Driver, DriverParts, DriverPolicy};
use crate::domain::housekeeping::INTERVAL;
use crate::domain::{Gateway, Policy};
use crate::egress::{Client, Guard, Resolve};
use crate::http::{App, HttpSettings};
use crate::model::time;
use crate::model::{Clock, Entropy};
use crate::store::{self, Purpose};

/// What a gateway is made of: the caller brings the listener (port 0 in tests), time, randomness and the network.
pub struct Parts {
    /// The operator's settings.
    pub settings: Settings,
    /// Where requests come in.
    pub listener: TcpListener,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// How names become addresses.
    pub resolver: Arc<dyn Resolve>,
}

/// A gateway that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its verbs, for those who live in the same process.
    pub gateway: Arc<Gateway>,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// A gateway cannot start. One clear line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// The database again, once open.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The listener.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// The HTTP client for deliveries.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
    /// The secret key.
    #[error(transparent)]
    Key(#[from] crate::config::key_file::KeyError),
}

/// Starts a gateway. When this returns, it answers.
pub async fn start(parts: Parts) -> Result<Running, StartError> {
    let Parts { settings, listener, clock, entropy, resolver } = parts;
    let address = listener.local_addr()?;
    let store = store::open(&settings.database_url, Purpose::Serve).await?;
    let keys = Arc::new(keys::load(&settings, &store, &*entropy).await?);
    let guard = Arc::new(Guard::new(settings.delivery.allow_networks.clone(), resolver));
    let client = Client::new(guard.clone()).map_err(|error| StartError::Client(error.to_string()))?;
    let gateway = Arc::new(Gateway {
        store: store.clone(),
        keys: keys.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        guard,
        policy: policy(&settings),
    });
    let driver = Driver::new(DriverParts { store, keys, clock, entropy, client, policy: driver_policy(&settings) });

    let shutdown = CancellationToken::new();
    let app = App { gateway: gateway.clone(), settings: Arc::new(http_settings(&settings)) };
    let tasks = vec![
        tokio::spawn(server::serve(listener, crate::http::router(app), shutdown.clone())),
        tokio::spawn(driver.run(shutdown.clone())),
        tokio::spawn(keep_tidy(gateway.clone(), shutdown.clone())),
    ];
    Ok(Running { address, gateway, shutdown, tasks })
}

impl Running {
    /// Stops: requests and deliveries under way are finished or given back, the database is closed.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the gateway had died");
            }
        }
        self.gateway.store.close().await;
    }
}

async fn keep_tidy(gateway: Arc<Gateway>, shutdown: CancellationToken) {
    loop {
        match gateway.tidy().await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "deleted what was over"),
            Err(error) => tracing::warn!(%error, "housekeeping failed; it will be tried again"),
        }
        let next = time::after(gateway.clock.now(), INTERVAL);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = gateway.clock.sleep_until(next) => {}
        }
    }
}

fn policy(settings: &Settings) -> Policy {
    Policy {
        public_url: settings.public_url.clone(),
        access_token_ttl: settings.oauth.access_token_ttl,
        refresh_token_ttl: settings.oauth.refresh_token_ttl,
        code_ttl: settings.oauth.code_ttl,
        retention: settings.delivery.retention,
    }
}
mod keys;
mod office;

pub use keys::KeyError;
pub use office::{admin, examine, migrate};
