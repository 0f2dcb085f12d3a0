//! `leadgate serve`: the gateway, until it is told to stop.

use super::error::CliError;
use super::running::{StopSignals, start};
use crate::app::{self, Running};
use crate::config::Settings;

/// Serves until SIGTERM or SIGINT, then finishes what is under way. With `migrate`, brings the database up to date first;
/// an embedded one needs no telling.
pub async fn run(settings: Settings, migrate: bool) -> Result<(), CliError> {
    let mut signals = StopSignals::new()?;
    // Whoever waits for a database, or for another program that migrates, may be told to stop waiting.
    let running = tokio::select! {
        running = begin(settings, migrate) => running?,
        () = signals.received() => {
            tracing::info!("stopped before serving");
            return Ok(());
        }
    };
    tracing::info!(address = %running.address, public_url = running.gateway.policy.public_url, "serving");
    signals.received().await;
    tracing::info!("stopping");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

async fn begin(settings: Settings, migrate: bool) -> Result<Running, CliError> {
    if migrate {
        let applied = app::migrate(&settings).await?;
        tracing::info!(?applied, "the database is up to date");
    }
    let listener = app::listen(settings.listen).await?;
    start(settings, listener).await
}
