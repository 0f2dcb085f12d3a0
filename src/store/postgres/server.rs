//! Where the database is, how it is connected to, and what is found there: one place for every time-out.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config};

use super::dial::Dial;
use super::error::describe;
use super::tls;
use crate::store::OpenError;

/// How long connecting to one host may take.
pub(super) const CONNECT: Duration = Duration::from_secs(3);

/// How long a statement may run; the server ends it then. Longer than any of ours takes on a healthy server.
const STATEMENT: Duration = Duration::from_secs(10);

/// How long a statement may wait for another transaction; the server ends it then.
const LOCK: Duration = Duration::from_secs(5);

/// How long a transaction may be idle: the server ends those of a node that was stopped or cut off, and frees its locks. Less
/// than [`LOCK`], so that those who wait for them get them.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);

/// How statements are planned. Each of ours has an index, but the queue is empty at one moment and long at the next, and a
/// plan is kept: one that was made while reading the whole table seemed cheap would be very dear a moment later. A plan is
/// good for all values: to make one, or to compile it, takes longer than most statements run.
///
/// For the same reason no bitmaps: who wants the first few of an index's order would be given all that there are, sorted, when
/// subscriptions have few due on average; and one has a million.
const PLANS: &str = "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off -c plan_cache_mode=force_generic_plan";

/// How long we wait for any answer of the server: longer than the server's own time-outs, so that it ends what it can. What
/// remains is a server that is cut off.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// How long what one side sent may stay unacknowledged by the other's machine; and how long nothing may come before one asks
/// whether the other is still there.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Between two of these questions.
const ASKED_AGAIN: Duration = Duration::from_secs(3);

/// So many of them without an answer mean that the other machine is gone: after some 20 seconds in all.
const ASKED: u32 = 3;

/// A PostgreSQL database, as its URL names it: `postgres://user:password@host:port/database`, in libpq's form, also with
/// several hosts (the one that can be written to is used). Never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    config: Config,
    /// The file with the authorities that may vouch for it; `None` for those that the system trusts.
    authorities: Option<PathBuf>,
}

impl FromStr for Server {
    type Err = OpenError;

    fn from_str(url: &str) -> Result<Self, OpenError> {
        // The parser's own words could repeat a part of the password.
        let given = url;
        let refused = || OpenError::Url(crate::store::without_password(given));
        let (url, authorities) = take_authorities(url).ok_or_else(refused)?;
        let mut config: Config = url.parse().map_err(|_| refused())?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(refused());
        }
        // `prefer` would fall back in silence, and protects from nobody: either the operator wants TLS, or not.
        match config.get_ssl_mode() {
            _ if authorities.is_some() => config.ssl_mode(SslMode::Require),
            SslMode::Prefer => config.ssl_mode(SslMode::Disable),
            chosen => config.ssl_mode(chosen),
        };
        // A standby is no use: it cannot be written to. After a failover the new primary is found.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.connect_timeout(CONNECT);
        config.tcp_user_timeout(UNACKNOWLEDGED);
        config.keepalives_idle(UNACKNOWLEDGED);
        config.keepalives_interval(ASKED_AGAIN);
        config.keepalives_retries(ASKED);
        config.application_name("leadgate");
        let given = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        config.options(format!(
            "{given}-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} {} {PLANS}",
            STATEMENT.as_millis(),
            LOCK.as_millis(),
            IDLE_IN_TRANSACTION.as_millis(),
            server_side(),
        ));
        Ok(Self { config, authorities })
    }
}

/// Has the server look after its end, too: while it writes to a node that is stopped or gone, none of its other time-outs
/// ends the transaction, and its locks are held. Over a socket of the same machine these are ignored.
fn server_side() -> String {
    format!(
        "-c tcp_user_timeout={} -c tcp_keepalives_idle={} -c tcp_keepalives_interval={} -c tcp_keepalives_count={ASKED}",
        UNACKNOWLEDGED.as_millis(),
        UNACKNOWLEDGED.as_secs(),
        ASKED_AGAIN.as_secs(),
    )
}

impl Server {
    /// Whether the URL names a password.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The same with this password.
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// How connections are made. TLS is used, and the certificate checked, where the URL says `sslmode=require`.
    pub(super) fn dial(&self) -> Result<Dial, OpenError> {
        let roots = match &self.authorities {
            Some(file) => tls::roots_in(file).map_err(|cause| OpenError::Failed {
                path: self.to_string(),
                cause: format!("sslrootcert={}: {cause}", file.display()),
            })?,
            None => tls::system_roots(),
        };
        Ok(Dial::new(&self.config, tls::connector(roots)))
    }

    /// A connection of its own, driven in the background until it is dropped.
    pub(super) async fn connect(&self) -> Result<Client, OpenError> {
        self.connect_by(&self.dial()?).await
    }

    /// The same, made by this `dial`.
    pub(super) async fn connect_by(&self, dial: &Dial) -> Result<Client, OpenError> {
        let connecting = async { dial.driven().await.map_err(|error| self.failed(&error)) };
        let (client, _) = self.in_time(dial.limit(), connecting).await?;
        Ok(client)
    }

    /// What comes of the work, unless that takes longer than `limit`: nobody who opens the database waits for ever.
    pub(super) async fn in_time<T, E: From<OpenError>>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let silent = || OpenError::Failed { path: self.to_string(), cause: "the database does not answer".to_owned() };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(silent().into()))
    }

    /// What an error means to someone who opens this database.
    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> OpenError {
        OpenError::Failed { path: self.to_string(), cause: describe(error) }
    }
}

/// Takes libpq's `sslrootcert=FILE` out of a URL, which the driver does not know; as `verify-full`, which is what we always
/// do. `None` if it cannot be read.
fn take_authorities(url: &str) -> Option<(String, Option<PathBuf>)> {
    let Some((server, query)) = url.split_once('?') else { return Some((url.to_owned(), None)) };
    let mut authorities = None;
    let mut rest = Vec::new();
    for option in query.split('&') {
        match option.split_once('=') {
            Some(("sslrootcert", file)) => {
                authorities = Some(PathBuf::from(percent_decode_str(file).decode_utf8().ok()?.as_ref()));
            }
            Some(("sslmode", "verify-full")) => rest.push("sslmode=require"),
            _ => rest.push(option),
        }
    }
    let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    Some((format!("{server}{query}"), authorities))
}

/// Where it is, without user and password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => path.display().to_string(),
            }
        });
        let hosts: Vec<_> = hosts.collect();
        write!(f, "postgres://{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}
