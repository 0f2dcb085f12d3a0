//! Why a command failed: always one line for people.

use std::io;

use crate::app::StartError;
use crate::config::SettingsError;
use crate::domain::admin::AdminError;
use crate::domain::new_password::InvalidPassword;
use crate::store::OpenError;
use crate::store::transfer::TransferError;
use crate::telemetry::InvalidFilter;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The log filter.
    #[error(transparent)]
    Filter(#[from] InvalidFilter),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The command itself.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The password that was given.
    #[error(transparent)]
    Password(#[from] InvalidPassword),
    /// No secret can be asked for.
    #[error("the {what} cannot be asked for, because the input is not a terminal: use {option}")]
    NoTerminal {
        /// What was to be asked for.
        what: &'static str,
        /// The option that reads it from stdin.
        option: &'static str,
    },
    /// A secret could not be read.
    #[error("cannot read the {what}: {cause}")]
    SecretInput {
        /// What was to be read.
        what: &'static str,
        /// The system's words.
        cause: io::Error,
    },
    /// The two passwords that were typed differ.
    #[error("the two passwords differ")]
    PasswordsDiffer,
    /// It is not said what is to be copied.
    #[error("{option} must be {expected}; without it, database_url is taken if it is that")]
    CopyEnd {
        /// The option.
        option: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The copy failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The gateway does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no HTTP client.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
    /// There is no room for the demo's data.
    #[error("cannot make a temporary folder: {0}")]
    DemoFolder(io::Error),
    /// The demo's own leads are refused.
    #[error("cannot send a lead to the demo: {0}")]
    DemoLead(String),
    /// The async runtime did not start.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// Standard output is gone.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

impl CliError {
    /// Whether the reader of our output closed it.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
