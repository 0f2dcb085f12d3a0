//! Hosts with their ports: what subscriptions share that are slow or fail together.

use std::collections::HashMap;
use std::sync::Arc;

/// Every host that something is held for.
#[derive(Default)]
pub(super) struct Hosts(HashMap<Arc<str>, Host>);

#[derive(Default)]
struct Host {
    /// Requests under way.
    taken: usize,
    /// Deliveries that are ready.
    ready: usize,
}

impl Hosts {
    /// Requests under way to a host.
    pub fn taken(&self, host: &str) -> usize {
        self.0.get(host).map_or(0, |host| host.taken)
    }

    /// Deliveries that are ready for a host.
    pub fn ready(&self, host: &str) -> usize {
        self.0.get(host).map_or(0, |host| host.ready)
    }

    /// Deliveries that are ready, but wait because their hosts have `bound` requests under way.
    pub fn blocked(&self, bound: usize) -> usize {
        self.0.values().filter(|host| host.taken >= bound).map(|host| host.ready).sum()
    }

    /// Hosts that have `bound` requests under way.
    pub fn full(&self, bound: usize) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(_, host)| host.taken >= bound).map(|(name, _)| &**name)
    }

    /// A delivery has become ready.
    pub fn add(&mut self, host: &str) {
        match self.0.get_mut(host) {
            Some(host) => host.ready += 1,
            None => drop(self.0.insert(Arc::from(host), Host { taken: 0, ready: 1 })),
        }
    }

    /// A delivery is no longer ready.
    pub fn remove(&mut self, host: &str) {
        self.change(host, |host| host.ready -= 1);
    }

    /// A delivery that was ready begins. Returns the host's name, to be given back with [`Hosts::free`].
    pub fn take(&mut self, host: &str) -> Arc<str> {
        let name = self.0.get_key_value(host).map_or_else(|| Arc::from(host), |(name, _)| name.clone());
        self.change(host, |host| {
            host.ready -= 1;
            host.taken += 1;
        });
        name
    }

    /// One that was under way has ended.
    pub fn free(&mut self, host: &str) {
        self.change(host, |host| host.taken -= 1);
    }

    /// Whether nothing is held.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Host)) {
        let Some(host) = self.0.get_mut(name) else { return };
        change(host);
        if host.taken == 0 && host.ready == 0 {
            self.0.remove(name);
        }
    }
}
