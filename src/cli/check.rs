//! `leadgate check`: says what would keep a gateway from starting. Changes nothing.

use std::process::ExitCode;

use serde_json::json;

use super::error::CliError;
use super::output::Output;
use crate::app;
use crate::config::{Settings, SettingsError};

/// Checks settings, database and key. The exit code says whether all is well.
pub async fn run(settings: Result<Settings, SettingsError>, output: &Output) -> Result<ExitCode, CliError> {
    let problems = match settings {
        Ok(settings) => app::examine(&settings).await,
        Err(error) => vec![error.to_string()],
    };
    let ok = problems.is_empty();
    let text = if ok { "Settings, database and key are in order.".to_owned() } else { problems.join("\n") };
    output.show(&json!({ "ok": ok, "problems": problems }), text)?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
