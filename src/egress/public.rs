//! Which IP addresses belong to the public internet: the IANA special-purpose address registries (RFC 6890), turned
//! into a yes or no. Where a registry says "globally reachable" of a small block that no web server lives in (protocol
//! assignments, relays), the answer is no: nobody's receiver is there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What may not be reached in IPv4: first address and prefix length.
const DENIED_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),       // "this network", RFC 791; the unspecified address
    ([10, 0, 0, 0], 8),      // private use, RFC 1918
    ([100, 64, 0, 0], 10),   // shared address space (carrier-grade NAT), RFC 6598
    ([127, 0, 0, 0], 8),     // loopback, RFC 1122
    ([169, 254, 0, 0], 16),  // link-local, RFC 3927; cloud metadata services
    ([172, 16, 0, 0], 12),   // private use, RFC 1918
    ([192, 0, 0, 0], 24),    // IETF protocol assignments, RFC 6890
    ([192, 0, 2, 0], 24),    // documentation (TEST-NET-1), RFC 5737
    ([192, 88, 99, 0], 24),  // 6to4 relays, deprecated, RFC 7526
    ([192, 168, 0, 0], 16),  // private use, RFC 1918
    ([198, 18, 0, 0], 15),   // benchmarking, RFC 2544
    ([198, 51, 100, 0], 24), // documentation (TEST-NET-2), RFC 5737
    ([203, 0, 113, 0], 24),  // documentation (TEST-NET-3), RFC 5737
    ([224, 0, 0, 0], 4),     // multicast, RFC 5771
    ([240, 0, 0, 0], 4),     // reserved, RFC 1112; limited broadcast, RFC 8190
];

/// What may not be reached inside 2000::/3, the only block from which IPv6 addresses are given to the public
/// (RFC 4291, IANA IPv6 address space). All that lies outside is refused without being named: loopback, unspecified,
/// IPv4-compatible, discard-only 100::/64, local NAT64 64:ff9b:1::/48, SRv6 5f00::/16, unique local fc00::/7, link-local
/// fe80::/10, site-local fec0::/10, multicast ff00::/8.
const DENIED_V6: [([u16; 2], u32); 4] = [
    ([0x2001, 0x0000], 23), // IETF protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID, DRIP …
    ([0x2001, 0x0db8], 32), // documentation, RFC 3849
    ([0x2002, 0x0000], 16), // 6to4, RFC 3056: leads wherever its embedded IPv4 address says
    ([0x3fff, 0x0000], 20), // documentation, RFC 9637
];

/// Whether `address` is a public unicast address. An IPv4 address inside an IPv6 one (mapped, RFC 4291 §2.5.5.2, or
/// behind the well-known NAT64 prefix, RFC 6052) is judged as the IPv4 address that it leads to.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped().or_else(|| behind_nat64(v6)) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !DENIED_V4.iter().any(|&(network, prefix)| (bits ^ u32::from_be_bytes(network)) >> (32 - prefix) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let front = u32::from(a) << 16 | u32::from(b);
    let denied = |&([a, b], prefix): &([u16; 2], u32)| {
        let network = u32::from(a) << 16 | u32::from(b);
        (front ^ network) >> (32 - prefix) == 0
    };
    front >> 29 == 0b001 && !DENIED_V6.iter().any(denied)
}

/// The IPv4 address that 64:ff9b::/96 stands for.
fn behind_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn public_unicast_addresses_may_be_reached() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2003::1",
            "3ffe:ffff::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn special_purpose_addresses_may_not() {
        for address in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.255",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::808:808",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fdff:ffff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }
}
