//! Names that a test resolves: the network's part in the gateway's decisions, held by the test.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use leadgate::egress::Resolve;

/// What names resolve to; an unknown one does not exist.
#[derive(Default)]
pub struct Names {
    known: Mutex<HashMap<String, Vec<IpAddr>>>,
}

impl Names {
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.known.lock().unwrap().insert(name.to_owned(), addresses);
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let known = self.known.lock().unwrap().get(host).cloned();
        known.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }
}
