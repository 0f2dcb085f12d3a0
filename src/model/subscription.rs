//! A subscription: one partner's wish to receive one site's leads at a URL, signed with a secret.

use std::fmt;

use http::Uri;
use url::{Host, Url};

use super::seal::Sealed;
use super::{PartnerId, SiteId, SubscriptionId, Timestamp, web_url};

/// A partner's subscription to a site's leads. There is at most one per partner and site, except in old data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id; it stays the same when the subscription is replaced.
    pub id: SubscriptionId,
    /// Whose leads.
    pub site: SiteId,
    /// Who receives them.
    pub partner: PartnerId,
    /// Where to.
    pub url: DestinationUrl,
    /// What they are signed with, encrypted in the context [`secret_context`].
    pub secret: Sealed,
    /// Since when nothing is sent because the receiver answered 410 Gone; a PUT wakes it.
    pub paused: Option<Timestamp>,
    /// When it was first set.
    pub created: Timestamp,
    /// When it was last set.
    pub updated: Timestamp,
}

/// The context in which a subscription's secret is sealed: moved to another partner or site, it does not open.
pub fn secret_context(partner: PartnerId, site: SiteId) -> [u8; 32] {
    let mut context = [0; 32];
    context[..16].copy_from_slice(partner.as_bytes());
    context[16..].copy_from_slice(site.as_bytes());
    context
}

/// Where deliveries go: an absolute http(s) URL with a host, without user-info or fragment, of at most 2,048
/// characters (API.md §3). Kept as it was given, because GET must print it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationUrl {
    text: String,
    url: Url,
    uri: Uri,
}

/// The text cannot be a destination. Printed to callers (API.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Enter a valid URL.")]
pub struct InvalidUrl;

impl std::str::FromStr for DestinationUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (url, uri) = web_url::parse_as_target(text).ok_or(InvalidUrl)?;
        Ok(Self { text: text.to_owned(), url, uri })
    }
}

impl DestinationUrl {
    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL, parsed.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL, as a request is addressed with it: the same URL, and cheap to clone.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether TLS is spoken there.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Its host.
    pub fn host(&self) -> Host<&str> {
        self.url.host().expect("checked when it was parsed")
    }

    /// Its port, also when it is the scheme's default.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().expect("http and https have default ports")
    }
}

impl fmt::Display for DestinationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_absolute_web_urls_and_kept_as_given() {
        let given = "HTTP://Api.PieSync.com:80/v1/realgeeks?x=%7e";
        assert_eq!(given.parse::<DestinationUrl>().unwrap().as_str(), given);
        for bad in [
            "",
            "x",
            "/v1",
            "ftp://a.example",
            "http://",
            "http:///x",
            "http:a.example",
            "http:/a.example",
            "http:/a@b.example/://",
            "http:u:p@b.example/?://c.example",
            "http://u@a.example/",
            "http://:@a.example/",
            "http://a.example/#f",
            "http://a.example/ x",
            " http://a.example/",
            "http://a.example\\x",
            "http://a.example:0/",
            "http://a.example:99999/",
            "http://[::1",
            "http://a{b}.example/",
        ] {
            assert_eq!(bad.parse::<DestinationUrl>(), Err(InvalidUrl), "{bad:?}");
        }
        let long = format!("http://a.example/{}", "x".repeat(2048 - 17));
        assert!(long.parse::<DestinationUrl>().is_ok());
        assert!(format!("{long}x").parse::<DestinationUrl>().is_err());
    }
}
