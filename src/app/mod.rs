//! The only place that wires everything, and stops it cleanly.

mod background;
mod files;
mod keys;
mod office;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::delivery::{self, Counts, Driver, DriverParts};
use crate::domain::guesses::Limits;
use crate::domain::links::PostOffice;
use crate::domain::passwords::Passwords;
use crate::domain::{Gateway, KnownSources, Policy};
use crate::egress::{Client, ClientError, Guard, Mailer, Resolve, tls_config};
use crate::http::{self, App, HttpSettings, Witness};
use crate::model::{Clock, Entropy};
use crate::store::{self, OpenError, Purpose, StoreError};
use crate::telemetry::{self, Metrics};

use server::Bounds;

pub use keys::KeyError;
pub use office::{admin, examine, migrate, rekey};

/// How long stopping may take. Supervisors kill what takes longer than 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(9);

/// Connections to the metrics page at once.
const METRICS_CONNECTIONS: usize = 16;

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
    Open(#[from] OpenError),
    /// The database again, once open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address is taken, or not this machine's.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The HTTP client for deliveries.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There are too many threads on this machine.
    #[error("cannot start a thread: {0}")]
    Threads(std::io::Error),
    /// The secret key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Binds an address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|cause| StartError::Listen { address, cause })
}

/// Starts a gateway. When this returns, it answers.
pub async fn start(parts: Parts) -> Result<Running, StartError> {
    let Parts { settings, listener, clock, entropy, resolver } = parts;
    let cannot_listen = |cause| StartError::Listen { address: settings.listen, cause };
    let address = listener.local_addr().map_err(cannot_listen)?;
    let settings = settings.bound_to(address);
    if settings.public_url.is_exposed() {
        let public_url = settings.public_url.as_str();
        tracing::warn!(public_url, "passwords and tokens travel unencrypted: set public_url to an https URL");
    }
    let metrics_listener = match settings.metrics_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };

    let store = store::open(&settings.database_url, Purpose::Serve).await?;
    let keys = keys::load(&settings, &store, &*entropy).await?;
    let guard = Arc::new(Guard::new(settings.delivery.allow_networks.clone(), resolver, clock.clone()));
    let shares = files::share();
    let client = Client::with(guard.clone(), tls_config().map_err(ClientError::from)?, shares.deliveries);
    let driver = Driver::new(DriverParts {
        store: store.clone(),
        keys: keys.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        client,
        policy: delivery_policy(&settings, shares.deliveries),
    });
    // One core is left to everybody else: even a thread that gives way does so only when its time slice is over.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let passwords = Passwords::start(cores - 1).map_err(StartError::Threads)?;
    let (post_office, resets) = settings.mail.clone().map(Mailer::new).map(PostOffice::new).unzip();
    let policy = policy(&settings);
    let vitals = driver.vitals();
    let known_sources = KnownSources::default();
    let gateway = Arc::new(Gateway {
        store,
        keys,
        clock: clock.clone(),
        entropy,
        guard,
        passwords,
        known_sources,
        vitals,
        post_office,
        policy,
    });

    let metrics = Metrics::new();
    let shutdown = CancellationToken::new();
    let counted = metrics.clone();
    let witness: Witness = Box::new(move |method, route, answer| counted.count_request(method, route, answer));
    let router = http::router(App::new(gateway.clone(), http_settings(&settings), witness));
    let callers = bounds(&settings, shares.callers);
    let stats = driver.stats();
    let mut tasks = vec![
        tokio::spawn(background::watch(gateway.clone(), metrics.clone(), shutdown.clone())),
        tokio::spawn(background::keep_tidy(gateway.clone(), shutdown.clone())),
        tokio::spawn(driver.run(shutdown.clone())),
        tokio::spawn(server::serve(listener, router, callers, clock.clone(), shutdown.clone())),
    ];
    if let Some(resets) = resets {
        tasks.push(tokio::spawn(background::answer_resets(gateway.clone(), resets, shutdown.clone())));
    }
    if let Some(listener) = metrics_listener {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "serving metrics");
        }
        let page = telemetry::page(metrics, move |metrics| count_attempts(&stats.now(), metrics));
        let readers = Bounds { all: METRICS_CONNECTIONS, of_one_peer: METRICS_CONNECTIONS, trusted: vec![] };
        tasks.push(tokio::spawn(server::serve(listener, page, readers, clock, shutdown.clone())));
    }
    Ok(Running { address, gateway, shutdown, tasks })
}

/// Carries the driver's counts over to the metrics page.
fn count_attempts(counts: &Counts, metrics: &Metrics) {
    for (outcome, attempts) in [
        ("delivered", counts.delivered),
        ("refused", counts.refused),
        ("retried", counts.retried),
        ("failed", counts.failed),
        ("paused", counts.paused),
    ] {
        metrics.attempts_so_far(outcome, attempts);
    }
}

impl Running {
    /// Stops: requests and deliveries under way are finished or given back, the database is closed. What has not ended
    /// after [`STOP_LIMIT`] is left behind, as a crash would leave it: nothing acknowledged is lost.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let ended = async {
            for task in self.tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a part of the gateway had died");
                }
            }
            self.gateway.store.close().await;
        };
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("something did not end in time; it is left behind");
        }
    }
}

fn policy(settings: &Settings) -> Policy {
    Policy {
        public_url: settings.public_url.as_str().to_owned(),
        access_token_ttl: settings.oauth.access_token_ttl,
        refresh_token_ttl: settings.oauth.refresh_token_ttl,
        code_ttl: settings.oauth.code_ttl,
        sessions: settings.sessions,
        guesses: Limits { per_account: settings.throttle.per_account, per_address: settings.throttle.per_address },
        retention: settings.delivery.retention,
    }
}

fn delivery_policy(settings: &Settings, max_in_flight: usize) -> delivery::Policy {
    delivery::Policy {
        retry_schedule: settings.delivery.retry_schedule.clone(),
        timeout: settings.delivery.timeout,
        max_per_subscription: settings.delivery.max_per_subscription.get(),
        max_in_flight,
        memory: settings.delivery.memory,
        ..delivery::Policy::default()
    }
}

/// One peer may have half of all connections: whatever it does with them, there is room for others.
fn bounds(settings: &Settings, all: usize) -> Bounds {
    Bounds { all, of_one_peer: all.div_ceil(2), trusted: settings.trusted_proxies.clone() }
}

fn http_settings(settings: &Settings) -> HttpSettings {
    HttpSettings { secure: settings.public_url.is_https(), trusted_proxies: settings.trusted_proxies.clone() }
}
