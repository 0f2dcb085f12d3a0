//! `leadgate serve`: the gateway, until it is told to stop.

use super::error::CliError;
use super::running::{StopSignals, start};
use crate::app;
use crate::config::Settings;

/// Serves until SIGTERM or SIGINT, then finishes what is under way.
pub async fn run(settings: Settings) -> Result<(), CliError> {
    let mut signals = StopSignals::new()?;
    let listener = app::listen(settings.listen).await?;
    let running = start(settings, listener).await?;
    tracing::info!(address = %running.address, public_url = running.gateway.policy.public_url, "serving");
    signals.received().await;
    tracing::info!("stopping");
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}
