//! What an operator sees of a running gateway: logs on stderr, and metrics for Prometheus.

mod metrics;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

pub use metrics::{Metrics, page};

/// The log filter in the environment is not one.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is not a log filter such as info or leadgate=debug: {cause}")]
pub struct InvalidFilter {
    variable: &'static str,
    cause: tracing_subscriber::filter::ParseError,
}

/// Libraries that would log what they carry, each with the most that it may say: the parameters of SQL statements are
/// people's addresses, redirect URIs and the like.
const DISCREET: [&str; 1] = ["tokio_postgres=info"];

/// Starts logging to stderr. The filter comes from `LEADGATE_LOG`, or else from `RUST_LOG`, or else is `default`.
pub fn log_to_stderr(default: &str) -> Result<(), InvalidFilter> {
    let set = |variable| std::env::var(variable).ok().filter(|filter| !filter.is_empty()).map(|f| (variable, f));
    let (variable, filter) =
        set("LEADGATE_LOG").or_else(|| set("RUST_LOG")).unwrap_or(("LEADGATE_LOG", default.to_owned()));
    let filter = EnvFilter::try_new(filter).map_err(|cause| InvalidFilter { variable, cause })?;
    let discreet = DISCREET.map(|directive| directive.parse().expect("each is a directive; every process parses them"));
    let filter = discreet.into_iter().fold(filter, EnvFilter::add_directive);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
