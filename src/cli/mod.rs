//! The command line: one file a command group. People get short text, programs one JSON document; see
//! `docs/commands.md`.

mod arguments;
mod check;
mod copy;
mod delivery;
mod demo;
mod error;
mod listen;
mod migrate;
mod output;
mod partner;
mod rekey;

mod running;
mod secret_input;
mod serve;
mod site;
mod source;
mod usage;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;
use crate::domain::admin::Admin;
use crate::{app, telemetry};
use error::CliError;
use output::Output;

/// The door between a real-estate CRM and its integration partners.
#[derive(Debug, Parser)]
#[command(name = "leadgate", version, propagate_version = true, subcommand_required = true)]
struct Cli {
    /// Read settings from this TOML file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document on stdout, and nothing else there
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway: APIs, web pages and deliveries
    Serve {
        /// Bring a PostgreSQL database up to date first, as `leadgate migrate` does
        #[arg(long)]
        migrate: bool,
    },
    /// Run the gateway on throw-away data, with a sample partner application beside it
    Demo,
    /// Bring the database up to date
    Migrate,
    /// Check settings, database, key and mail server
    Check,
    /// Encrypt everything anew with the first key of secret_key
    Rekey,
    /// Move a gateway from SQLite to PostgreSQL
    Copy(copy::CopyArgs),
    /// Receive deliveries, check their signatures, print them, and pass them on
    Listen(listen::ListenArgs),
    #[command(flatten)]
    Office(OfficeCommand),
}

/// Commands that work on the database, also while a gateway serves it.
#[derive(Debug, Subcommand)]
enum OfficeCommand {
    /// People who log in
    #[command(subcommand)]
    User(user::UserCommand),
    /// Customers' sites
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// Integration partners
    #[command(subcommand)]
    Partner(partner::PartnerCommand),
    /// Credentials that send leads in
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// The delivery log
    #[command(subcommand)]
    Delivery(delivery::DeliveryCommand),
}

/// Runs the program with the process's arguments and environment.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error),
    };
    match run(cli) {
        Ok(code) => code,
        // Whoever read our output has read enough, as `head` does.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let quiet = !matches!(cli.command, Command::Serve { .. });
    telemetry::log_to_stderr(if quiet { "warn" } else { "info" })?;
    let runtime = tokio::runtime::Runtime::new().map_err(CliError::Runtime)?;
    let done = runtime.block_on(dispatch(cli));
    // A name look-up of the system may take long, and nobody waits for it any more.
    runtime.shutdown_background();
    done
}

async fn dispatch(cli: Cli) -> Result<ExitCode, CliError> {
    let output = Output::new(cli.json);
    let settings = || Settings::load(cli.config.as_deref(), std::env::vars_os());
    match cli.command {
        Command::Serve { migrate } => serve::run(settings()?, migrate).await?,
        Command::Demo => demo::run(&output).await?,
        Command::Listen(args) => listen::run(args, &output).await?,
        Command::Migrate => migrate::run(&settings()?, &output).await?,
        Command::Copy(args) => copy::run(args, &settings()?, &output).await?,
        Command::Rekey => return rekey::run(&settings()?, &output).await,
        Command::Check => return check::run(settings(), &output).await,
        Command::Office(command) => {
            let admin = app::admin(&settings()?).await?;
            let done = command.run(&admin, &output).await;
            admin.store.close().await;
            done?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl OfficeCommand {
    async fn run(self, admin: &Admin, output: &Output) -> Result<(), CliError> {
        match self {
            OfficeCommand::User(command) => command.run(admin, output).await,
            OfficeCommand::Site(command) => command.run(admin, output).await,
            OfficeCommand::Partner(command) => command.run(admin, output).await,
            OfficeCommand::Source(command) => command.run(admin, output).await,
            OfficeCommand::Delivery(command) => command.run(admin, output).await,
        }
    }
}
