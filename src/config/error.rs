//! What can be wrong with settings. Each error is one line that names the setting and where it was set.

use std::path::PathBuf;

/// Settings cannot be read, or one of them makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: {cause}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why, without the text of the file: it may hold a secret.
        cause: String,
    },
    /// A key of the file, or a variable, that means nothing.
    #[error("unknown setting {key} in {source_name}")]
    Unknown {
        /// The key or the variable.
        key: String,
        /// The file, or "the environment".
        source_name: String,
    },
    /// A setting that is needed because of another one.
    #[error("{key} must be set, too, because {because} is set")]
    Missing {
        /// The setting that is not set.
        key: &'static str,
        /// The one that needs it.
        because: &'static str,
    },
    /// A value that makes no sense.
    #[error("{key} (from {source_name}) must be {expected}{}", but_is(value))]
    Value {
        /// The setting's key.
        key: &'static str,
        /// The file or the variable.
        source_name: String,
        /// What it should be.
        expected: &'static str,
        /// What it is; `None` if it is a secret.
        value: Option<String>,
    },
}

fn but_is(value: &Option<String>) -> String {
    value.as_ref().map(|value| format!(", not {value:?}")).unwrap_or_default()
}
