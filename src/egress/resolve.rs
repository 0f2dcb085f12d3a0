//! Name resolution as a parameter: production asks the system's name servers, a test has its own answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;

use super::name_cache::NameCache;
use super::name_servers::NameServers;
use crate::model::Clock;

/// Turns host names into addresses.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, in the order in which they should be tried. An error: it does not resolve now.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Names as the system resolves them: by `/etc/hosts` and the name servers of `/etc/resolv.conf`. What was found is kept as
/// long as its servers say.
pub struct SystemResolver {
    names: Arc<NameCache>,
}

impl SystemResolver {
    /// A resolver that goes by the system's files, also when they change. How long an answer is good is told by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { names: Arc::new(NameCache::new(NameServers::of_the_system(), clock)) }
    }

    /// A resolver that asks this one server, and no file.
    ///
    /// # Errors
    /// The system has no randomness for the questions.
    pub fn asking(server: SocketAddr, clock: Arc<dyn Clock>) -> io::Result<Self> {
        Ok(Self { names: Arc::new(NameCache::new(NameServers::only(server)?, clock)) })
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.names.addresses(host).await
    }
}
