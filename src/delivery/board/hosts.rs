//! Hosts with their ports: what subscriptions share that are slow or fail together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Every host that something is held for, and many of those that answer.
#[derive(Default)]
pub(super) struct Hosts {
    held: HashMap<Arc<str>, Host>,
    answering: Answering,
}

/// Hosts whose last answer was a good one: twice [`REMEMBERED`] at most, and those that were heard of last.
#[derive(Default)]
struct Answering {
    young: HashSet<Arc<str>>,
    old: HashSet<Arc<str>>,
}

/// Some megabytes.
const REMEMBERED: usize = 16_384;

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
        self.held.get(host).map_or(0, |host| host.taken)
    }

    /// Deliveries that are ready for a host.
    pub fn ready(&self, host: &str) -> usize {
        self.held.get(host).map_or(0, |host| host.ready)
    }

    /// Deliveries that are ready, but wait because their hosts have `bound` requests under way.
    pub fn blocked(&self, bound: usize) -> usize {
        self.held.values().filter(|host| host.taken >= bound).map(|host| host.ready).sum()
    }

    /// Hosts that have `bound` requests under way.
    pub fn full(&self, bound: usize) -> impl Iterator<Item = &str> {
        self.held.iter().filter(move |(_, host)| host.taken >= bound).map(|(name, _)| &**name)
    }

    /// A delivery has become ready.
    pub fn add(&mut self, host: &str) {
        match self.held.get_mut(host) {
            Some(host) => host.ready += 1,
            None => drop(self.held.insert(Arc::from(host), Host { taken: 0, ready: 1 })),
        }
    }

    /// A delivery is no longer ready.
    pub fn remove(&mut self, host: &str) {
        self.change(host, |host| host.ready -= 1);
    }

    /// A delivery that was ready begins. Returns the host's name, to be given back with [`Hosts::free`].
    pub fn take(&mut self, host: &str) -> Arc<str> {
        let name = self.held.get_key_value(host).map_or_else(|| Arc::from(host), |(name, _)| name.clone());
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

    /// A host took what it was sent, or did not.
    pub fn heard(&mut self, host: &Arc<str>, took: bool) {
        if took {
            self.answering.add(host);
        } else {
            self.answering.young.remove(host);
            self.answering.old.remove(host);
        }
    }

    /// Whether a host is known to take what it is sent.
    pub fn answers(&self, host: &str) -> bool {
        self.answering.young.contains(host) || self.answering.old.contains(host)
    }

    /// Whether nothing is held.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Host)) {
        let Some(host) = self.held.get_mut(name) else { return };
        change(host);
        if host.taken == 0 && host.ready == 0 {
            self.held.remove(name);
        }
    }
}

impl Answering {
    fn add(&mut self, host: &Arc<str>) {
        if self.young.len() == REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        if !self.young.contains(host) {
            self.young.insert(host.clone());
        }
    }
}
