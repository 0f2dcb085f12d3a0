//! Where the database is, how it is connected to, and what is found there: one place for every time-out.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::describe;
use super::tls;
use crate::store::OpenError;

/// How long connecting to one host may take.
const CONNECT: Duration = Duration::from_secs(3);

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
const PLANS: &str = "-c enable_seqscan=off -c jit=off -c plan_cache_mode=force_generic_plan";

/// How long we wait for any answer of the server: longer than the server's own time-outs, so that it ends what it can. What
/// remains is a server that is cut off.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// How long what we sent may stay unacknowledged by the server's machine.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// A PostgreSQL database, as its URL names it: `postgres://user:password@host:port/database`, in libpq's form, also with
/// several hosts (the one that can be written to is used). Never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    config: Config,
}

impl FromStr for Server {
    type Err = OpenError;

    fn from_str(url: &str) -> Result<Self, OpenError> {
        // The parser's own words could repeat a part of the password.
        let refused = || OpenError::Url(crate::store::without_password(url));
        let mut config: Config = url.parse().map_err(|_| refused())?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(refused());
        }
        // A standby is no use: it cannot be written to. After a failover the new primary is found.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.connect_timeout(CONNECT);
        config.tcp_user_timeout(UNACKNOWLEDGED);
        config.keepalives_idle(UNACKNOWLEDGED);
        config.application_name("leadgate");
        let given = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        config.options(format!(
            "{given}-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} {PLANS}",
            STATEMENT.as_millis(),
            LOCK.as_millis(),
            IDLE_IN_TRANSACTION.as_millis(),
        ));
        Ok(Self { config })
    }
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

    /// What a connection is made with. TLS is used, and the certificate checked, where the URL says `sslmode=require`.
    pub(super) fn config(&self) -> (Config, MakeRustlsConnect) {
        let mut config = self.config.clone();
        // `prefer` would fall back in silence, and protects from nobody: either the operator wants TLS, or not.
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Disable);
        }
        (config, tls::connector())
    }

    /// A connection of its own, driven in the background until it is dropped.
    pub(super) async fn connect(&self) -> Result<Client, OpenError> {
        let (config, tls) = self.config();
        let (client, connection) = config.connect(tls).await.map_err(|error| self.failed(&error))?;
        tokio::spawn(async move {
            // Whoever uses the connection learns of it from its own statements.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok(client)
    }

    /// What an error means to someone who opens this database.
    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> OpenError {
        OpenError::Failed { path: self.to_string(), cause: describe(error) }
    }
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
