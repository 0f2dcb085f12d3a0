//! A source: HTTP Basic credentials that send leads in.

use super::throttle::BucketKey;
use super::token::{Credential, Hashed};
use super::{SiteId, SourceId, Timestamp};

/// A sender of leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: SourceId,
    /// Its login name, and its `source_system` in deliveries: 1 to 100 visible ASCII characters without a colon.
    pub username: Username,
    /// Hash of its generated password.
    pub password: Hashed<Credential>,
    /// Where it may send.
    pub reach: Reach,
    /// When it was added.
    pub created: Timestamp,
}

/// The sites that a source may send leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every site, also those added later.
    All,
    /// These sites alone.
    Only(Vec<SiteId>),
}

impl Reach {
    /// Whether `site` is within reach.
    pub fn includes(&self, site: SiteId) -> bool {
        match self {
            Reach::All => true,
            Reach::Only(sites) => sites.contains(&site),
        }
    }
}

/// What was true of a source when it was last admitted, and is taken for granted until its change is made: there, in the same
/// transaction, it is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presumption {
    /// This source is there, and may send to the site of the change. (Nothing else of a source ever changes.)
    pub source: SourceId,
    /// None of these buckets of guesses lacks one.
    pub full: Vec<BucketKey>,
}

/// A source's login name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

/// The text cannot be a user name in HTTP Basic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a user name (1 to 100 visible ASCII characters, no colon)")]
pub struct InvalidUsername;

impl std::str::FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        let valid = (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidUsername) }
    }
}

impl Username {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
