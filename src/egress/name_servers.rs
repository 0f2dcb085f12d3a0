//! Whom names are asked of: the system's hosts file first, then its name servers. Both files are read again when they
//! have changed, as the C library does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{IntoName, Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};

use super::name_cache::Finding;

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// A server that has not answered after this is asked again, or another one is: soon enough that a lost packet does not
/// cost the look-up.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A look-up takes no longer than this, with all repetitions and search domains.
const LONGEST: Duration = Duration::from_secs(8);

/// So many addresses of a name are kept: who has more is not reached better, only longer remembered.
const ADDRESSES: usize = 16;

/// The servers.
pub(super) enum NameServers {
    /// Those of the system's files, as last read.
    System(Mutex<Option<(Stamps, System)>>),
    /// One, whatever the files say.
    Only(System),
}

/// The files' content, ready for use.
#[derive(Clone)]
pub(super) struct System {
    hosts: Arc<Hosts>,
    resolver: TokioResolver,
}

/// When the files were changed, and their lengths.
type Stamps = [Option<(SystemTime, u64)>; 2];

impl NameServers {
    /// The system's.
    pub fn of_the_system() -> Self {
        Self::System(Mutex::default())
    }

    /// This one alone.
    pub fn only(server: SocketAddr) -> io::Result<Self> {
        let mut udp = ConnectionConfig::udp();
        udp.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![udp]);
        let resolver = resolver(ResolverConfig::from_parts(None, vec![], vec![server]), ResolverOpts::default())?;
        Ok(Self::Only(System { hosts: Arc::default(), resolver }))
    }

    /// Looks `host` up.
    pub async fn look_up(&self, host: &str) -> Finding {
        let found = async {
            let system = self.current().map_err(|error| Finding::failed(&error))?;
            system.look_up(host).await
        };
        match tokio::time::timeout(LONGEST, found).await {
            Ok(Ok(finding) | Err(finding)) => finding,
            Err(_) => Finding::Failed("the name servers do not answer".into()),
        }
    }

    fn current(&self) -> io::Result<System> {
        let read = match self {
            Self::Only(system) => return Ok(system.clone()),
            Self::System(read) => read,
        };
        let stamps = [HOSTS, RESOLV_CONF].map(stamp);
        let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((then, system)) if *then == stamps => Ok(system.clone()),
            _ => {
                let system = System::read()?;
                *read = Some((stamps, system.clone()));
                Ok(system)
            }
        }
    }
}

impl System {
    fn read() -> io::Result<Self> {
        let hosts = Hosts::from_system().unwrap_or_else(|error| {
            tracing::debug!(%error, "there is no hosts file");
            Hosts::default()
        });
        let (config, options) = read_system_conf().unwrap_or_else(|error| {
            // The C library does the same.
            tracing::warn!(%error, "the name servers' file cannot be read: this machine itself is asked");
            let here = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            (ResolverConfig::from_parts(None, vec![], vec![here]), ResolverOpts::default())
        });
        Ok(Self { hosts: Arc::new(hosts), resolver: resolver(config, options)? })
    }

    /// `Err` only to leave early.
    async fn look_up(&self, host: &str) -> Result<Finding, Finding> {
        let name = host.into_name().map_err(|error| Finding::failed(&error))?;
        let listed = self.listed(&name);
        if !listed.is_empty() {
            return Ok(Finding::Addresses(listed.into(), Duration::ZERO));
        }
        Ok(match self.resolver.lookup_ip(host).await {
            Ok(found) => {
                let ttl = found.as_lookup().answers().iter().map(|record| record.ttl).min().unwrap_or_default();
                Finding::Addresses(found.iter().take(ADDRESSES).collect(), Duration::from_secs(ttl.into()))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                Finding::Nothing(Duration::from_secs(none.negative_ttl.unwrap_or_default().into()))
            }
            Err(error) => Finding::failed(&error),
        })
    }

    /// What the hosts file says.
    fn listed(&self, name: &Name) -> Vec<IpAddr> {
        let of = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of);
        found
            .flat_map(|found| found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
            .collect()
    }
}

impl Finding {
    fn failed(error: &dyn std::fmt::Display) -> Self {
        Self::Failed(error.to_string().into())
    }
}

fn resolver(config: ResolverConfig, mut options: ResolverOpts) -> io::Result<TokioResolver> {
    options.timeout = options.timeout.min(PATIENCE);
    // One after the other, so that a look-up never has more than two sockets: one for each kind of address.
    options.num_concurrent_reqs = 1;
    // Where IPv6 leads nowhere, IPv4 first spares each new connection the wait.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // This house keeps answers itself, by its own clock.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(io::Error::other)
}

fn stamp(file: &str) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}
