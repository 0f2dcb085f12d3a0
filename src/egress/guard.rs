//! The judge of destinations: public addresses, and what the operator opened besides (`delivery.allow_networks`).

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::Host;

use super::public::is_public;
use super::resolve::Resolve;
use crate::model::Clock;
use crate::model::subscription::DestinationUrl;
use crate::model::time::after;

/// How long [`Guard::check`] waits for a name to resolve (API.md §3).
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Decides which addresses may be reached.
pub struct Guard {
    allowed: Vec<IpNet>,
    resolver: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
}

/// What is known of a destination before anything is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It has an address that may be reached.
    Public,
    /// All its addresses are ones that deliveries may not reach.
    Forbidden,
    /// Its name does not resolve now, or takes too long.
    Unresolved,
}

impl Guard {
    /// A guard that opens the public internet and the networks in `allowed`.
    pub fn new(allowed: Vec<IpNet>, resolver: Arc<dyn Resolve>, clock: Arc<dyn Clock>) -> Self {
        Self { allowed, resolver, clock }
    }

    /// Whether a connection to `address` may be opened. An IPv4-mapped address is judged as the IPv4 address it is.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Judges a destination: its address if the URL has one, otherwise what its name resolves to. Takes at most
    /// [`LOOKUP_TIMEOUT`].
    pub async fn check(&self, destination: &DestinationUrl) -> Reach {
        match destination.host() {
            Host::Ipv4(address) => self.judge(&[address.into()]),
            Host::Ipv6(address) => self.judge(&[address.into()]),
            Host::Domain(name) => {
                let deadline = after(self.clock.now(), LOOKUP_TIMEOUT);
                tokio::select! {
                    biased;
                    found = self.resolver.resolve(name) => found.map_or(Reach::Unresolved, |found| self.judge(&found)),
                    () = self.clock.sleep_until(deadline) => Reach::Unresolved,
                }
            }
        }
    }

    /// The addresses of `host` that may be reached; empty if it has others only.
    ///
    /// # Errors
    /// The name does not resolve.
    pub async fn reachable(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses = self.resolver.resolve(host).await?;
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses"));
        }
        addresses.retain(|address| self.allows(*address));
        Ok(addresses)
    }

    /// The clock by which look-ups and requests are timed.
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The same, for those who outlive a borrow.
    pub(super) fn shared_clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn judge(&self, addresses: &[IpAddr]) -> Reach {
        match addresses {
            [] => Reach::Unresolved,
            some if some.iter().any(|address| self.allows(*address)) => Reach::Public,
            _ => Reach::Forbidden,
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::model::SystemClock;

    /// Names that end in `.test` resolve to the addresses that they list; others hang.
    struct Listed;

    #[async_trait]
    impl Resolve for Listed {
        async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            match host {
                "private.test" => Ok(vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()]),
                "both.test" => Ok(vec!["10.0.0.1".parse().unwrap(), "8.8.8.8".parse().unwrap()]),
                "empty.test" => Ok(vec![]),
                "unknown.test" => Err(io::Error::other("no such name")),
                _ => std::future::pending().await,
            }
        }
    }

    /// A clock whose every wait is over at once: what does not resolve immediately takes too long.
    struct Impatient;

    impl Clock for Impatient {
        fn now(&self) -> crate::model::Timestamp {
            crate::model::Timestamp::UNIX_EPOCH
        }
        fn sleep_until(
            &self,
            _: crate::model::Timestamp,
        ) -> std::pin::Pin<Box<dyn std::future::Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::ready(()))
        }
    }

    async fn check(allowed: &[&str], url: &str) -> Reach {
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        Guard::new(allowed, Arc::new(Listed), Arc::new(Impatient)).check(&url.parse().unwrap()).await
    }

    #[tokio::test]
    async fn addresses_in_a_url_are_judged_however_they_are_written() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.01/",
            "http://127.1/",
            "http://%31%32%37.0.0.1/",
            "http://①②⑦.0.0.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::127.0.0.1]/",
            "https://[fe80::1]/",
        ] {
            assert_eq!(check(&[], url).await, Reach::Forbidden, "{url}");
        }
        assert_eq!(check(&[], "http://134744072/").await, Reach::Public);
        assert_eq!(check(&[], "https://[2606:4700::1111]:8443/x").await, Reach::Public);
    }

    #[tokio::test]
    async fn a_name_is_what_it_resolves_to() {
        assert_eq!(check(&[], "http://private.test/").await, Reach::Forbidden);
        assert_eq!(check(&[], "http://both.test/").await, Reach::Public);
        assert_eq!(check(&[], "http://empty.test/").await, Reach::Unresolved);
        assert_eq!(check(&[], "http://unknown.test/").await, Reach::Unresolved);
        assert_eq!(check(&[], "http://slow.test/").await, Reach::Unresolved);
    }

    #[tokio::test]
    async fn the_operator_can_open_networks() {
        assert_eq!(check(&["127.0.0.0/8"], "http://127.0.0.1/").await, Reach::Public);
        assert_eq!(check(&["127.0.0.0/8"], "http://[::ffff:127.0.0.1]/").await, Reach::Public);
        assert_eq!(check(&["127.0.0.0/8"], "http://[::1]/").await, Reach::Forbidden);
        assert_eq!(check(&["::1/128", "fd00::/8"], "http://[fd12::1]/").await, Reach::Public);
        assert_eq!(check(&["10.0.0.0/24"], "http://private.test/").await, Reach::Public);
        assert_eq!(check(&["10.0.1.0/24"], "http://private.test/").await, Reach::Forbidden);
    }

    #[tokio::test]
    async fn only_reachable_addresses_are_offered_for_dialling() {
        let guard = Guard::new(vec![], Arc::new(Listed), Arc::new(SystemClock));
        assert_eq!(guard.reachable("both.test").await.unwrap(), ["8.8.8.8".parse::<IpAddr>().unwrap()]);
        assert!(guard.reachable("private.test").await.unwrap().is_empty());
        assert!(guard.reachable("empty.test").await.is_err());
    }
}
