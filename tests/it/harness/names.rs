//! Names that a test resolves: the network's part in the gateway's decisions, held by the test.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use leadgate::egress::Resolve;

/// What names resolve to; an unknown one does not exist.
#[derive(Default)]
pub struct Names {
    known: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
}

impl Names {
    /// From now on the name has these addresses.
    pub fn set(&self, name: &str, addresses: &[&str]) {
        self.set_in_turn(name, &[addresses]);
    }

    /// The name has the first of these at its first look-up, and so on; the last stay.
    pub fn set_in_turn(&self, name: &str, turns: &[&[&str]]) {
        let parsed = turns.iter().map(|turn| turn.iter().map(|address| address.parse().unwrap()).collect());
        self.known.lock().unwrap().insert(name.to_owned(), parsed.collect());
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut known = self.known.lock().unwrap();
        let turns = known.get_mut(host).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
        Ok(if turns.len() > 1 { turns.pop_front() } else { turns.front().cloned() }.unwrap_or_default())
    }
}
