//! Requests that were written ahead. Only a few places change from one to the next, and what stands there always takes the
//! same room: so a caller copies some digits, and sends.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::cast::Cast;
use crate::lead::{lead_called, update_called};

/// Where the number of a lead will stand.
const NUMBER: &str = "#######";
/// Where the number of a site will stand.
pub const SITE: &str = "$$$$$$$";
/// Where the id of a lead will stand, as the gateway writes ids.
const ID: &str = "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~";
/// Where the count of a lead's changes will stand.
const VERSION: &str = "^";

/// A request to one gateway.
#[derive(Clone)]
pub struct Letter {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
    sites: Vec<usize>,
    ids: Vec<usize>,
    versions: Vec<usize>,
}

impl Letter {
    /// Creates a lead on the site of `cast`.
    pub fn creates_lead(cast: &Cast) -> Self {
        Self::creates_lead_on(&cast.site.to_string(), cast)
    }

    /// Creates a lead on this site.
    pub fn creates_lead_on(site: &str, cast: &Cast) -> Self {
        let body = lead_called(NUMBER, "0").to_string();
        Self::new("POST", &format!("/rest/sites/{site}/leads"), &basic(cast), &body)
    }

    /// Changes a lead on the site of `cast`.
    pub fn updates_lead(cast: &Cast) -> Self {
        let body = update_called(NUMBER, VERSION).to_string();
        Self::new("PATCH", &format!("/rest/sites/{}/leads/{ID}", cast.site), &basic(cast), &body)
    }

    /// Gets what is at `path`.
    pub fn gets(path: &str, token: &str) -> Self {
        Self::new("GET", path, &format!("Bearer {token}"), "")
    }

    fn new(method: &str, path: &str, authorization: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: {authorization}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let places = |of: &str| text.match_indices(of).map(|(at, _)| at).collect();
        let (numbers, sites, ids, versions) = (places(NUMBER), places(SITE), places(ID), places(VERSION));
        Self { bytes: text.into_bytes(), numbers, sites, ids, versions }
    }

    /// As it is.
    pub fn text(&self) -> &[u8] {
        &self.bytes
    }

    /// About the lead with this number.
    pub fn numbered(&mut self, number: usize) -> &mut Self {
        write_number(&mut self.bytes, &self.numbers, number);
        self
    }

    /// For the site with this number.
    pub fn sited(&mut self, number: usize) -> &mut Self {
        write_number(&mut self.bytes, &self.sites, number);
        self
    }

    /// About the lead with this id.
    pub fn identified(&mut self, id: &str) -> &mut Self {
        for &at in &self.ids {
            self.bytes[at..at + ID.len()].copy_from_slice(id.as_bytes());
        }
        self
    }

    /// The lead's change with this number: 1 to 9.
    pub fn versioned(&mut self, version: u8) -> &mut Self {
        for &at in &self.versions {
            self.bytes[at] = b'0' + version;
        }
        self
    }
}

fn write_number(bytes: &mut [u8], places: &[usize], number: usize) {
    for &at in places {
        write!(&mut bytes[at..at + NUMBER.len()], "{number:07}").expect("there is room for 7 digits");
    }
}

fn basic(cast: &Cast) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("portal:{}", cast.password)))
}
