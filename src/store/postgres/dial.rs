//! Connecting: the hosts that the URL names are tried one after the other, and one that hangs is given up for the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::server::CONNECT;

/// What encrypts a connection.
pub(super) type Tls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// How connections to a server are made.
#[derive(Clone)]
pub(super) struct Dial {
    /// One for each host, in the order of the URL; never empty.
    hosts: Arc<[Config]>,
    /// The one that answered last, which is tried first.
    good: Arc<AtomicUsize>,
    tls: MakeRustlsConnect,
}

impl Dial {
    /// To the hosts of `config`, which names at least one.
    pub(super) fn new(config: &Config, tls: MakeRustlsConnect) -> Self {
        let hosts = (0..config.get_hosts().len()).map(|host| only(config, host)).collect();
        Self { hosts, good: Arc::default(), tls }
    }

    /// How long a connection may take: each host has its time. The last one has twice as much, since there is no other to
    /// turn to.
    pub(super) fn limit(&self) -> Duration {
        self.hosts.iter().fold(CONNECT, |limit, _| limit + CONNECT)
    }

    /// A connection to a host that can be written to. It must be driven.
    ///
    /// The driver would try the hosts by itself, but its time-out ends when the other side has taken the call: a stopped
    /// primary, whose system still does that, would keep a node from its standby for ever. The last host is waited for
    /// without end: callers bound the whole, with [`Dial::limit`].
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, Tls>), Error> {
        let (count, first) = (self.hosts.len(), self.good.load(Ordering::Relaxed));
        for host in (first..first + count - 1).map(|host| host % count) {
            match tokio::time::timeout(CONNECT, self.call(host)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => tracing::debug!(%error, host, "the next host is tried"),
                Err(_) => tracing::debug!(host, "no answer: the next host is tried"),
            }
        }
        self.call((first + count - 1) % count).await
    }

    async fn call(&self, host: usize) -> Result<(Client, Connection<Socket, Tls>), Error> {
        let connection = self.hosts[host].connect(self.tls.clone()).await?;
        self.good.store(host, Ordering::Relaxed);
        Ok(connection)
    }

    /// A connection that is driven in the background until its client is dropped.
    pub(super) async fn driven(&self) -> Result<(Client, JoinHandle<()>), Error> {
        let (client, connection) = self.connect().await?;
        let driver = tokio::spawn(async move {
            // Whoever uses the connection learns of it from its own statements.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok((client, driver))
    }
}

/// How the pool connects. It is given a configuration, too, and we know better.
impl deadpool_postgres::Connect for Dial {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        self.driven().boxed()
    }
}

/// The same, with one of its hosts. The driver has no way to take hosts out of a configuration.
fn only(config: &Config, host: usize) -> Config {
    let mut one = Config::new();
    match &config.get_hosts()[host] {
        Host::Tcp(name) => one.host(name),
        Host::Unix(path) => one.host_path(path),
    };
    if let Some(address) = config.get_hostaddrs().get(host) {
        one.hostaddr(*address);
    }
    if let Some(port) = config.get_ports().get(host).or(config.get_ports().first()) {
        one.port(*port);
    }
    copy_identity(config, &mut one);
    copy_transport(config, &mut one);
    one
}

fn copy_identity(from: &Config, to: &mut Config) {
    from.get_user().map(|user| to.user(user));
    from.get_password().map(|password| to.password(password));
    from.get_dbname().map(|name| to.dbname(name));
    from.get_options().map(|options| to.options(options));
    from.get_application_name().map(|name| to.application_name(name));
    to.target_session_attrs(from.get_target_session_attrs());
}

fn copy_transport(from: &Config, to: &mut Config) {
    to.ssl_mode(from.get_ssl_mode());
    to.ssl_negotiation(from.get_ssl_negotiation());
    to.channel_binding(from.get_channel_binding());
    from.get_connect_timeout().map(|limit| to.connect_timeout(*limit));
    from.get_tcp_user_timeout().map(|limit| to.tcp_user_timeout(*limit));
    to.keepalives(from.get_keepalives());
    to.keepalives_idle(from.get_keepalives_idle());
    from.get_keepalives_interval().map(|interval| to.keepalives_interval(interval));
    from.get_keepalives_retries().map(|retries| to.keepalives_retries(retries));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_url_says_holds_for_each_host() {
        let all = "host=one,two hostaddr=127.0.0.1,::1 port=1,2 user=me password=hush dbname=leads options=-ca=b \
                   application_name=gate sslmode=require channel_binding=require connect_timeout=7 tcp_user_timeout=8 \
                   keepalives=0 keepalives_idle=9 keepalives_interval=10 keepalives_retries=11 \
                   target_session_attrs=read-write";
        let second = all.replace("one,two", "two").replace("127.0.0.1,::1", "::1").replace("1,2 user", "2 user");
        assert_eq!(only(&all.parse().unwrap(), 1), second.parse().unwrap());
    }

    #[test]
    fn one_port_is_for_all_hosts() {
        let config = "host=one,/run/two port=7".parse().unwrap();
        assert_eq!(only(&config, 0), "host=one port=7".parse().unwrap());
        assert_eq!(only(&config, 1), "host=/run/two port=7".parse().unwrap());
    }
}
