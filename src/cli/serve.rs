//! `leadgate serve`
use super::error::CliError;
use crate::config::Settings;
pub async fn run(_settings: Settings) -> Result<(), CliError> {
    Ok(())
}
