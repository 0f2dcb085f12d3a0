//! Name resolution as a parameter: production asks the system, a test has its own answers.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use async_trait::async_trait;

use super::lookups::{Bounds, Lookups};

/// Turns host names into addresses.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, in the order in which they should be tried. An error: it does not resolve now.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// Look-ups at once. Their threads sleep while they wait for an answer, and exist only meanwhile.
const AT_ONCE: usize = 64;

/// Look-ups that may wait until one of those is over.
const WAITING: usize = 1024;

/// The system's resolver.
pub struct SystemResolver {
    lookups: Lookups,
}

impl Default for SystemResolver {
    fn default() -> Self {
        let bounds = Bounds { threads: AT_ONCE, waiting: WAITING };
        Self {
            lookups: Lookups::new(bounds, |host| Ok((host, 0).to_socket_addrs()?.map(|found| found.ip()).collect())),
        }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.look_up(host).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_while_the_runtimes_own_threads_are_busy() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || ended.recv());
        let found = runtime.block_on(SystemResolver::default().resolve("127.0.0.1")).unwrap();
        assert_eq!(found, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        end.send(()).unwrap();
    }
}
