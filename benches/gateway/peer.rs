//! The peer: node `oidc-provider` with its in-memory adapter, in a folder where it was installed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use crate::cast::Connection;
use crate::tokens::Issuer;

const SERVER: &str = include_str!("../oidc-provider/server.mjs");

/// A server that runs.
pub struct Peer {
    pub issuer: Issuer,
    child: Child,
}

/// What the server says of itself.
#[derive(Deserialize)]
struct Announced {
    url: String,
    client_id: String,
    client_secret: String,
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    access_token: String,
    refresh_token: String,
}

impl Peer {
    /// Starts it in the folder where `npm install oidc-provider` was done.
    pub fn start(folder: &Path) -> Self {
        let mut child = Command::new("node")
            .args(["--input-type=module", "--eval", SERVER])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = output.lines().map(|line| line.expect("text"));
        let announced = lines.find(|line| line.starts_with('{')).expect("`npm install oidc-provider` was done there");
        let announced: Announced = serde_json::from_str(&announced).expect("what server.mjs prints");
        Self { issuer: announced.into(), child }
    }
}

impl From<Announced> for Issuer {
    fn from(announced: Announced) -> Self {
        let connection = |pair: Pair| Connection { access: pair.access_token, refresh: pair.refresh_token };
        Self {
            token_url: format!("{}/token", announced.url),
            introspection_url: format!("{}/token/introspection", announced.url),
            client_id: announced.client_id,
            client_secret: announced.client_secret,
            connections: announced.pairs.into_iter().map(connection).collect(),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
