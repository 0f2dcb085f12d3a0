//! Reading a web URL without repairing it: what a redirect URI and a destination have in common.

use http::Uri;
use url::Url;

/// Parses an absolute http(s) URL with a host, and without user-info, fragment, white space, control characters or
/// backslashes, of at most 2,048 characters. The URL standard would strip or repair those; a URL that needs repair is
/// not what its sender meant.
pub fn parse(text: &str) -> Option<Url> {
    parse_as_target(text).map(|(url, _)| url)
}

/// The same, and beside it the URL as an HTTP request is addressed with it.
pub fn parse_as_target(text: &str) -> Option<(Url, Uri)> {
    let (scheme, rest) = text.split_once("://")?;
    // `http:/a@b://c` has its first `://` elsewhere, and the URL standard would add the slash.
    if !["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) {
        return None;
    }
    let repaired = text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '#'));
    let authority = rest.split(['/', '?']).next()?;
    if repaired || authority.is_empty() || authority.contains('@') || text.chars().count() > 2048 {
        return None;
    }
    let url = Url::parse(text).ok()?;
    // The URL standard lets through what no HTTP request can be addressed to.
    let uri = url.as_str().parse().ok()?;
    (url.has_host() && url.port() != Some(0)).then_some((url, uri))
}

/// Host and port as people read them; the scheme's own port is left out.
pub fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
