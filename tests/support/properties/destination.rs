//! Destinations: an accepted URL names one host, which means the same to all who read it; and no address that the standard
//! library knows to be special is ever public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use leadgate::egress::is_public;
use leadgate::model::subscription::DestinationUrl;
use url::{Host, Url};

/// `input` is a URL that a partner gives.
pub fn destination(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(destination) = text.parse::<DestinationUrl>() else { return };
    let url = destination.url();
    assert_eq!(destination.as_str(), text);
    assert!(matches!(url.scheme(), "http" | "https"));
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{text}");
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(url), "{text}");
    assert_ne!(destination.port(), 0);

    // What the HTTP client dials, and what it writes into the request.
    let uri: http::Uri = url.as_str().parse().expect("the HTTP client takes it");
    let authority = uri.authority().expect("a host");
    assert_eq!(Some(authority.host()), url.host_str(), "{text}");
    assert_eq!(authority.port_u16(), url.port(), "{text}");
    assert_eq!(uri.path(), url.path(), "{text}");
    assert_eq!(uri.query(), url.query(), "{text}");
    if let Host::Domain(name) = destination.host() {
        a_name_and_not_an_address(name);
    }
}

/// The system's resolver reads numbers (decimal, octal, hexadecimal, one to four of them) as an address: a name that ends in
/// one would be dialled without any look-up.
fn a_name_and_not_an_address(name: &str) {
    assert!(name.is_ascii() && name.bytes().all(|b| b > b' ' && !b"#%/:<>?@[\\]^|".contains(&b)), "{name:?}");
    assert!(name.parse::<IpAddr>().is_err(), "{name}");
    let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(!hexadecimal && (last.is_empty() || !last.bytes().all(|b| b.is_ascii_digit())), "{name}");
}

/// `input` begins with an IPv4 or an IPv6 address.
pub fn address(input: &[u8]) {
    if let Some(bytes) = input.first_chunk::<4>() {
        v4(Ipv4Addr::from(*bytes));
    }
    if let Some(bytes) = input.first_chunk::<16>() {
        v6(Ipv6Addr::from(*bytes));
    }
}

fn v4(address: Ipv4Addr) {
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast();
    assert!(!(special && is_public(address.into())), "{address}");
    for carrier in [address.to_ipv6_mapped(), nat64(address)] {
        assert_eq!(is_public(carrier.into()), is_public(address.into()), "{carrier}");
    }
    assert!(!is_public(address.to_ipv6_compatible().into()), "{address}");
}

fn v6(address: Ipv6Addr) {
    let special = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local();
    assert!(!(special && is_public(address.into())), "{address}");
    if let Some(inner) = address.to_ipv4_mapped() {
        assert_eq!(is_public(address.into()), is_public(inner.into()), "{address}");
    }
}

/// The address behind the well-known prefix 64:ff9b::/96 (RFC 6052).
fn nat64(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = address.octets().map(u16::from);
    Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d)
}
