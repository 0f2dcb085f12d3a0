//! `leadgate migrate`: brings the database up to date.

use serde_json::json;

use super::error::CliError;
use super::output::Output;
use crate::app;
use crate::config::Settings;

/// Applies what is missing, and says what that was.
pub async fn run(settings: &Settings, output: &Output) -> Result<(), CliError> {
    let applied = app::migrate(settings).await?;
    let text = match applied.as_slice() {
        [] => "The database is up to date.".to_owned(),
        names => format!("Applied {}.", names.join(", ")),
    };
    output.show(&json!({ "applied": applied }), text)
}
