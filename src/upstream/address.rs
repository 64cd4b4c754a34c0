//! Which addresses the configured *name* of an upstream may lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the open internet: not of this machine, this link, this network,
/// nor set aside for anything but ordinary hosts (RFC 6890).
///
/// Addresses that carry an IPv4 address within (mapped, NAT64, 6to4) are judged by that one.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // Of this network, of this machine, and all from multicast upwards.
        (0 | 127 | 224..=255, _, _) => false,
        // Private (RFC 1918), shared (RFC 6598), of this link (RFC 3927).
        (10, _, _) | (172, 16..=31, _) | (192, 168, _) => false,
        (100, 64..=127, _) | (169, 254, _) => false,
        // Protocol assignments (RFC 6890), benchmarks (RFC 2544), relays of 6to4 (RFC 7526).
        (192, 0, 0) | (198, 18 | 19, _) | (192, 88, 99) => false,
        // Examples in documents (RFC 5737).
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => false,
        _ => true,
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    // Global unicast is 2000::/3 (RFC 4291 section 2.4); Teredo's 2001::/32 tunnels to anywhere.
    let teredo = matches!(address.segments(), [0x2001, 0, ..]);
    // Examples in documents (RFC 3849, RFC 9637).
    let example = match address.segments() {
        [0x2001, 0xdb8, ..] => true,
        [0x3fff, next, ..] => next < 0x1000,
        _ => false,
    };
    (0x2000..=0x3fff).contains(&first) && !teredo && !example
}

/// The IPv4 address within an IPv6 one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped (RFC 4291) and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            octets(high, low)
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => octets(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_link_and_network_are_not_public() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "::127.0.0.1",
            "64:ff9b:1::1",
            "192.88.99.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "2001:db8::1",
            "3fff:fff::1",
            "::ffff:0:10.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for public in [
            "9.9.9.9",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "100.128.0.1",
            "198.20.0.1",
            "2620:fe::9",
            "::ffff:9.9.9.9",
            "64:ff9b::909:909",
            "2002:909:909::1",
            "2001:db9::1",
            "3fff:1000::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
