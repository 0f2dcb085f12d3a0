//! `leadgate rekey`: seals everything anew with the first key of `secret_key`.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::error::CliError;
use super::output::Output;
use crate::app;
use crate::config::Settings;
use crate::domain::rekey::Report;

/// Seals anew what older keys have sealed, and says what that was. The exit code says whether the older keys are still
/// needed.
pub async fn run(settings: &Settings, output: &Output) -> Result<ExitCode, CliError> {
    let bar = bar(output);
    let watch = |total: u64, report: Report| {
        bar.set_length(total);
        bar.set_position(report.total());
    };
    let report = app::rekey(settings, &watch).await;
    bar.finish_and_clear();
    let Report { rewritten, unchanged, unreadable } = report?;
    output.show(
        &json!({ "rewritten": rewritten, "unchanged": unchanged, "unreadable": unreadable }),
        text(rewritten, unchanged, unreadable),
    )?;
    Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(rewritten: u64, unchanged: u64, unreadable: u64) -> String {
    let done = format!("Rewrote {rewritten} secrets with the first key; {unchanged} had been written with it.");
    match unreadable {
        0 => format!("{done} The older keys are not needed any more."),
        _ => format!(
            "{done} {unreadable} were written with a key that is not in the list: add it to secret_key and run this again, or \
             have the partners set their subscriptions anew."
        ),
    }
}

/// On stderr, if that is a terminal and no program reads along.
fn bar(output: &Output) -> ProgressBar {
    let bar = if output.is_json() { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} secrets, {eta} left");
    bar.with_style(style.expect("the template is valid: every run uses it, also in tests"))
}
