//! An integration partner: an OAuth client, and the first segment of its paths.

use std::fmt;

use url::Url;

use super::token::{Credential, Hashed};
use super::{Entropy, PartnerId, Timestamp, web_url};

/// An integration partner, such as PieSync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Its id.
    pub id: PartnerId,
    /// The first path segment of its URLs, and its `source_system` in deliveries.
    pub slug: Slug,
    /// How pages call it.
    pub name: String,
    /// Its OAuth `client_id`.
    pub client_id: ClientId,
    /// Hash of its OAuth client secret.
    pub secret: Hashed<Credential>,
    /// Where its users may be sent back to; compared byte for byte.
    pub redirect_uris: Vec<RedirectUri>,
    /// Whether it is sent the changes that it made itself.
    pub echo: bool,
    /// Whether an update that waits for it takes in later ones of the same lead.
    pub merge_updates: bool,
    /// Whether its authorization requests must carry a PKCE challenge (RFC 9700 §2.1.1).
    pub require_pkce: bool,
    /// When it was added.
    pub created: Timestamp,
}

/// What is to be different about a partner; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartnerChange {
    /// See [`Partner::merge_updates`]: from the next change of a lead on.
    pub merge_updates: Option<bool>,
    /// See [`Partner::require_pkce`]: from the next authorization request on. Users who have one without before them cannot
    /// approve it any more.
    pub require_pkce: Option<bool>,
}

impl Partner {
    /// The registered redirect URI that `asked` is, byte for byte: nothing is folded, decoded or normalised
    /// (RFC 9700 §2.1, §4.1.3).
    pub fn registered(&self, asked: &str) -> Option<&RedirectUri> {
        self.redirect_uris.iter().find(|uri| uri.as_str() == asked)
    }
}

/// A partner's path segment: 1 to 40 of `a-z`, `0-9` and inner `-`, and none of the gateway's own first segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slug(String);

/// First path segments that the gateway uses itself.
pub const RESERVED_SLUGS: [&str; 12] = [
    "rest", "v2", "assets", "console", "account", "login", "logout", "healthz", "readyz", "metrics", "openapi",
    "favicon",
];

/// The text cannot be a partner's slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSlug {
    /// Characters or length.
    #[error("not a slug (1 to 40 of a-z, 0-9 and inner dashes)")]
    Form,
    /// One of [`RESERVED_SLUGS`].
    #[error("this slug is reserved for the gateway itself")]
    Reserved,
}

impl std::str::FromStr for Slug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, InvalidSlug> {
        let form = (1..=40).contains(&text.len())
            && !text.starts_with('-')
            && !text.ends_with('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !form {
            return Err(InvalidSlug::Form);
        }
        if RESERVED_SLUGS.contains(&text) {
            return Err(InvalidSlug::Reserved);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Slug {
    /// The segment.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An OAuth `client_id`: letters and digits only, since clients disagree on how to encode anything else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// A new random one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(hex::encode(entropy.bytes::<16>()))
    }

    /// One that a caller presented or a store kept.
    pub fn received(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A registered redirect URI, kept exactly as it was registered (RFC 6749 §3.1.2, RFC 9700 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri(String);

/// The text cannot be registered as a redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a redirect URI (an absolute http or https URL of visible ASCII characters, without fragment)")]
pub struct InvalidRedirectUri;

impl std::str::FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        // It is sent back in a header, byte for byte.
        let printable = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        match web_url::parse(text) {
            Some(_) if printable => Ok(Self(text.to_owned())),
            _ => Err(InvalidRedirectUri),
        }
    }
}

impl RedirectUri {
    /// The URI, byte for byte as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port, for people who are asked whether they trust it.
    pub fn host(&self) -> String {
        web_url::host_and_port(&Url::parse(&self.0).expect("parsed when it was registered"))
    }

    /// The URI with `answer` appended to its query; a query it already has is kept (RFC 6749 §3.1.2).
    pub fn with_answer(&self, answer: &[(&str, &str)]) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(answer);
        let joint = match self.0.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, query)) if query.ends_with('&') => "",
            Some(_) => "&",
        };
        // `%20`, not `+`, which some clients do not decode; a plus sign itself is encoded, so none is left behind.
        format!("{}{joint}{}", self.0, pairs.finish().replace('+', "%20"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_appended_to_whatever_query_is_there() {
        let answer = |uri: &str| uri.parse::<RedirectUri>().unwrap().with_answer(&[("code", "a b"), ("state", "é&=+")]);
        assert_eq!(answer("https://p.example/cb"), "https://p.example/cb?code=a%20b&state=%C3%A9%26%3D%2B");
        assert_eq!(answer("https://p.example/cb?"), "https://p.example/cb?code=a%20b&state=%C3%A9%26%3D%2B");
        assert_eq!(answer("https://p.example/cb?x=1"), "https://p.example/cb?x=1&code=a%20b&state=%C3%A9%26%3D%2B");
    }

    #[test]
    fn redirect_uris_that_would_need_repair_are_refused() {
        for bad in [
            "",
            "/cb",
            "https:///cb",
            "https:/u:p@p.example/://",
            "ftp://p.example/",
            "https://p.example/#x",
            "https://u:p@p.example/",
            "https://p.example/a b",
            "https://p.example/\n",
            "javascript:alert(1)",
        ] {
            assert_eq!(bad.parse::<RedirectUri>(), Err(InvalidRedirectUri), "{bad:?}");
        }
    }

    #[test]
    fn slugs_never_shadow_the_gateways_own_paths() {
        assert!("piesync".parse::<Slug>().is_ok());
        assert_eq!("rest".parse::<Slug>(), Err(InvalidSlug::Reserved));
        assert_eq!("Pie".parse::<Slug>(), Err(InvalidSlug::Form));
    }
}
