//! A site: one customer's website, whose leads the gateway carries.

use std::fmt;

use super::{SiteId, Timestamp};

/// A customer's website.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// `site_uuid`.
    pub id: SiteId,
    /// `site_domain`.
    pub domain: SiteDomain,
    /// When it was added.
    pub created: Timestamp,
}

/// A site's domain as it is shown and sent out, for example `www.site.com`: 1 to 253 characters, lower-case, no
/// white space, no scheme, no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteDomain(String);

/// The text is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a domain name (expected something like www.site.com)")]
pub struct InvalidDomain;

impl std::str::FromStr for SiteDomain {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let lower = text.to_lowercase();
        let label = |part: &str| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        let valid = lower.len() <= 253 && lower.split('.').all(label);
        if valid { Ok(Self(lower)) } else { Err(InvalidDomain) }
    }
}

impl SiteDomain {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
