//! `leadgate copy`: moves a gateway that has outgrown one machine from SQLite to PostgreSQL.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::error::CliError;
use super::output::{Output, remark, table};
use crate::config::{Settings, key_file};
use crate::store::DatabaseUrl;
use crate::store::postgres::Server;
use crate::store::transfer::{self, Progress, Report, Stage};

/// Holds the password of `--to`, by PostgreSQL's own custom.
const PASSWORD: &str = "PGPASSWORD";

#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The SQLite database that is moved, sqlite:PATH; without this option the one that database_url names
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The PostgreSQL database that it is moved to, postgres://USER@HOST/DATABASE with the password in PGPASSWORD; without
    /// this option the one that database_url names
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

/// Copies, and says what. Run again, it goes on where it was interrupted.
pub async fn run(args: CopyArgs, settings: &Settings, output: &Output) -> Result<(), CliError> {
    let from = source(args.from.as_deref(), settings)?;
    let to = target(args.to.as_deref(), settings)?;
    let bar = Bar::new(output);
    let report = transfer::copy(&from, &to, &|progress| bar.show(progress)).await;
    bar.remove();
    let report = report?;
    output.show(&document(&report), summary(&report, &from))
}

fn source(given: Option<&str>, settings: &Settings) -> Result<PathBuf, CliError> {
    match database(given, settings) {
        Some(DatabaseUrl::Sqlite(path)) => Ok(path),
        _ => Err(CliError::CopyEnd { option: "--from", expected: "sqlite:PATH" }),
    }
}

fn target(given: Option<&str>, settings: &Settings) -> Result<Server, CliError> {
    let Some(DatabaseUrl::Postgres(server)) = database(given, settings) else {
        return Err(CliError::CopyEnd { option: "--to", expected: "postgres://USER@HOST/DATABASE" });
    };
    match (given.is_some(), server.has_password(), std::env::var(PASSWORD)) {
        (true, true, _) => warn_of_password(),
        (true, false, Ok(password)) => return Ok(server.with_password(&password)),
        _ => {}
    }
    Ok(*server)
}

/// What an option names; without one, what the settings name. `None` if it is no database of ours: its words may hold a
/// password, and are not repeated.
fn database(given: Option<&str>, settings: &Settings) -> Option<DatabaseUrl> {
    match given {
        Some(url) => url.parse().ok(),
        None => Some(settings.database_url.clone()),
    }
}

fn warn_of_password() {
    remark(format_args!(
        "warning: other users of this machine can see the password in --to; leave it out and set {PASSWORD}, or leave out \
         --to and set LEADGATE_DATABASE_URL"
    ));
}

fn document(report: &Report) -> Value {
    let tables = report.tables.iter().map(
        |(name, summary)| json!({ "table": name, "rows": summary.rows, "checksum": summary.checksum.to_string() }),
    );
    json!({ "rows": report.rows(), "copied": report.copied, "tables": tables.collect::<Vec<_>>() })
}

fn summary(report: &Report, from: &Path) -> String {
    if report.was_finished {
        return format!("Nothing to do: all {} rows were copied before.", report.rows());
    }
    let rows = report
        .tables
        .iter()
        .map(|(name, summary)| vec![(*name).to_owned(), summary.rows.to_string(), summary.checksum.to_string()]);
    let rows: Vec<_> = rows.collect();
    let mut lines = vec![
        table(&["TABLE", "ROWS", "CHECKSUM"], &rows),
        format!("Copied {} rows. Counts and checksums are the same on both sides.", report.rows()),
    ];
    let key = key_file::beside(from);
    if key.exists() {
        lines.push(format!("The gateways need the same key: set secret_key to the contents of {}.", key.display()));
    }
    lines.join("\n")
}

/// A progress bar on stderr, if that is a terminal and no program reads along.
struct Bar {
    bar: ProgressBar,
    stage: Mutex<Option<Stage>>,
}

impl Bar {
    fn new(output: &Output) -> Self {
        let bar = if output.is_json() { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{msg:8} {wide_bar} {human_pos} of {human_len} rows, {eta} left");
        bar.set_style(style.expect("the template is valid: every copy uses it, also in tests"));
        Self { bar, stage: Mutex::new(None) }
    }

    fn show(&self, progress: Progress) {
        let mut stage = self.stage.lock().expect("nothing panics while it is held");
        if stage.replace(progress.stage) != Some(progress.stage) {
            self.bar.reset();
            self.bar.set_length(progress.total);
            self.bar.set_message(name(progress.stage));
        }
        self.bar.set_position(progress.done);
    }

    fn remove(&self) {
        self.bar.finish_and_clear();
    }
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Reading => "Reading",
        Stage::Copying => "Copying",
        Stage::Checking => "Checking",
    }
}
