//! `leadgate demo`: the whole round trip on throw-away data: a gateway, and a sample partner application beside it.

mod leads;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::error::CliError;
use super::output::Output;
use super::running::{StopSignals, address_of, http_client, start};
use crate::app::{self, Running};
use crate::config::{PublicUrl, Settings};
use crate::domain::admin::Admin;
use crate::sample::{self, ConnectedSite, Registration};
use crate::store::DatabaseUrl;
use leads::LeadSender;
use world::World;

const GATEWAY_PORT: u16 = 8080;
const SAMPLE_PORT: u16 = 4000;

/// Runs until it is told to stop, and leaves nothing behind.
pub async fn run(output: &Output) -> Result<(), CliError> {
    let mut signals = StopSignals::new()?;
    // Removed when it is dropped, also after an error.
    let folder = tempfile::tempdir().map_err(CliError::DemoFolder)?;
    let (gateway_listener, sample_listener) = (bind_near(GATEWAY_PORT).await?, bind_near(SAMPLE_PORT).await?);
    let sample_url = format!("http://{}", address_of(&sample_listener)?);
    let settings = settings(folder.path(), address_of(&gateway_listener)?)?;
    let gateway_url = settings.public_url.as_str().to_owned();

    let running = start(settings, gateway_listener).await?;
    let stop = CancellationToken::new();
    let result = tokio::select! {
        () = signals.received() => Ok(()),
        result = play(&running, &gateway_url, sample_listener, &sample_url, stop.clone(), output) => result,
    };
    stop.cancel();
    running.stop().await;
    result
}

/// Makes the data, starts the sample, says what to do, and sends leads to each site that is connected.
async fn play(
    running: &Running,
    gateway_url: &str,
    sample_listener: TcpListener,
    sample_url: &str,
    stop: CancellationToken,
    output: &Output,
) -> Result<(), CliError> {
    let gateway = &running.gateway;
    let admin = Admin {
        store: gateway.store.clone(),
        clock: gateway.clock.clone(),
        entropy: gateway.entropy.clone(),
        public_url: gateway.policy.public_url.clone(),
        mailer: None,
    };
    let world = World::create(&admin, gateway_url, sample_url).await?;
    let connected = serve_sample(&world, sample_listener, stop)?;
    output.show(&world.document(), world.welcome())?;
    let sender = LeadSender::new(&world, gateway.clock.clone(), gateway.entropy.clone())?;
    send_leads(connected, &sender, &world, output).await
}

/// Starts the sample partner application. Returns the sites as they are connected.
fn serve_sample(
    world: &World,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<UnboundedReceiver<ConnectedSite>, CliError> {
    let registration = Registration {
        gateway: format!("{}/{}", world.gateway_url, world.partner.slug),
        client_id: world.partner.client_id.as_str().to_owned(),
        client_secret: world.partner.client_secret.expose().to_owned(),
        own_url: world.sample_url.clone(),
    };
    let (router, connected) = sample::application(registration, http_client()?);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "the sample application has died");
        }
    });
    Ok(connected)
}

async fn send_leads(
    mut connected: UnboundedReceiver<ConnectedSite>,
    sender: &LeadSender,
    world: &World,
    output: &Output,
) -> Result<(), CliError> {
    while let Some(site) = connected.recv().await {
        say(output, format!("\n{} is connected. Sending it a few leads:", site.domain))?;
        for step in leads::STORY {
            sender.pause().await;
            sender.send(&site.uuid, step).await?;
            say(output, format!("  {}", step.summary))?;
        }
        say(output, format!("\nSend it another one:\n\n{}", world.curl(&site.uuid)))?;
    }
    // The sample, which holds the other end, is stopped only after us.
    std::future::pending().await
}

/// Progress, for people alone.
fn say(output: &Output, line: String) -> Result<(), CliError> {
    if output.is_json() { Ok(()) } else { output.line(line) }
}

/// The usual port, or a free one if it is taken.
async fn bind_near(port: u16) -> Result<TcpListener, CliError> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match app::listen(at(port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => Ok(app::listen(at(0)).await?),
    }
}

/// The defaults, with all data in `folder`, and deliveries to this machine allowed.
fn settings(folder: &Path, listen: SocketAddr) -> Result<Settings, CliError> {
    let mut settings = Settings::load(None, std::iter::empty())?;
    settings.database_url = DatabaseUrl::Sqlite(folder.join("demo.db"));
    settings.listen = listen;
    settings.public_url = PublicUrl::of(listen);
    settings.delivery.allow_networks = vec!["127.0.0.0/8".parse().expect("a network")];
    Ok(settings)
}
