//! Which addresses are on the open web. What a client names must not lead into the networks that only this machine reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::settings::Network;

/// None of a name's addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address is not on the public internet")]
pub(super) struct NotPublic;

/// The addresses among `found` that may be connected to: public ones, and those that the operator allows.
pub(super) fn permitted(
    found: impl IntoIterator<Item = SocketAddr>,
    allowed: &[Network],
) -> Result<Vec<SocketAddr>, NotPublic> {
    let permitted: Vec<_> = found.into_iter().filter(|address| is_permitted(address.ip(), allowed)).collect();
    if permitted.is_empty() { Err(NotPublic) } else { Ok(permitted) }
}

/// Whether one address may be connected to.
pub(super) fn is_permitted(address: IpAddr, allowed: &[Network]) -> bool {
    is_public(address) || allowed.iter().any(|network| network.contains(address))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but the special-purpose networks of IPv4.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        // "This" network, private networks, carrier-grade NAT, loopback, link-local (cloud metadata stands there).
        (0 | 10 | 127, _, _) | (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _)
        // Protocol assignments, documentation, relays from IPv6, benchmarks.
        | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113)
        // Multicast, reserved, broadcast.
        | (224..=255, _, _)
    )
}

/// Global unicast without its special-purpose networks. An IPv4 address in IPv6 clothes is judged as what it is, or refused.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        let ([g1, g2], [h1, h2]) = (g.to_be_bytes(), h.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(g1, g2, h1, h2));
    }
    let is_global_unicast = a & 0xe000 == 0x2000;
    // Protocol assignments with Teredo, documentation, 6to4.
    let is_special = a == 0x2001 && b < 0x200 || (a, b) == (0x2001, 0xdb8) || a == 0x3fff && b < 0x1000 || a == 0x2002;
    is_global_unicast && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_web_is_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for hidden in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(hidden.parse().unwrap()), "{hidden}");
        }
    }

    #[test]
    fn of_a_name_only_what_may_be_connected_to_remains() {
        let addresses = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let nas: Network = "192.168.7.7".parse().unwrap();
        let mixed = addresses(&["10.0.0.1:0", "1.1.1.1:0", "[::1]:0", "[2606:4700::1]:0"]);
        assert_eq!(permitted(mixed, &[]), Ok(addresses(&["1.1.1.1:0", "[2606:4700::1]:0"])));
        assert_eq!(permitted(addresses(&["10.0.0.1:0", "[fe80::1]:0"]), &[nas]), Err(NotPublic));
        assert_eq!(permitted(addresses(&["192.168.7.7:0"]), &[nas]), Ok(addresses(&["192.168.7.7:0"])));
        assert_eq!(permitted(addresses(&["[::ffff:192.168.7.7]:0"]), &[nas]).map(|kept| kept.len()), Ok(1));
        assert_eq!(permitted(addresses(&["192.168.7.8:0"]), &[nas]), Err(NotPublic));
        assert_eq!(permitted([], &[nas]), Err(NotPublic));
    }
}
