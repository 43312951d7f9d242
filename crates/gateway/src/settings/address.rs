//! Addresses as settings and options hold them: web addresses and networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The parts of `scheme://credentials@host:port/rest`, as far as settings need them taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WebAddress<'a> {
    pub(crate) scheme: &'a str,
    /// What stands before the `@`.
    pub(crate) credentials: Option<&'a str>,
    /// Host and port.
    pub(crate) authority: &'a str,
    /// Path, query and fragment; empty or beginning with `/`, `?` or `#`.
    pub(crate) rest: &'a str,
}

impl<'a> WebAddress<'a> {
    /// Takes an address apart; `None` when it has no scheme, no host or a port that is none.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, after) = text.split_once("://")?;
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        let (credentials, authority) = match authority.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, authority),
        };
        let clean = text.bytes().all(|byte| byte.is_ascii_graphic());
        let scheme_is_name = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        (clean && scheme_is_name && is_authority(authority)).then_some(Self { scheme, credentials, authority, rest })
    }

    /// Whether nothing follows the host, but for one slash.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.rest, "" | "/")
    }
}

fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
        Some(_) => return false,
        None => match authority.split_once(':') {
            Some((host, port)) => (host, &authority[authority.len() - port.len() - 1..]),
            None => (authority, ""),
        },
    };
    let host_is_name = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    host_is_name && (port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

/// A range of IP addresses, written `10.0.0.0/8`, `fd00::/8` or as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies inside. An IPv4 address that arrives in its IPv6 form counts as IPv4.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let host_bits = 32 - u32::from(self.prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let host_bits = 128 - u32::from(self.prefix);
                (own.to_bits() ^ other.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "an IP address or a network such as 10.0.0.0/8";
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| EXPECTED)?)),
            None => (text, None),
        };
        // An IPv4 address in its IPv6 form would give the length another meaning; it is refused rather than guessed at.
        let address =
            address.parse::<IpAddr>().ok().filter(|address| address.to_canonical() == *address).ok_or(EXPECTED)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(EXPECTED);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The parts of an address are the address, and a network is read again as the same.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(text: &str) {
    if let Some(WebAddress { scheme, credentials, authority, rest }) = WebAddress::parse(text) {
        let credentials = credentials.map(|credentials| format!("{credentials}@")).unwrap_or_default();
        assert_eq!(format!("{scheme}://{credentials}{authority}{rest}"), text);
        assert!(!authority.is_empty() && !authority.contains(['/', '?', '#', '@']));
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
        assert!(network.contains(network.address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_address_is_taken_apart() {
        let cases = [
            ("https://grok.com", Some(("https", None, "grok.com", ""))),
            ("http://[::1]:8000/", Some(("http", None, "[::1]:8000", "/"))),
            ("socks5://me:p@ss@host:1080", Some(("socks5", Some("me:p@ss"), "host:1080", ""))),
            ("https://host/path?query#fragment", Some(("https", None, "host", "/path?query#fragment"))),
            ("https://host:port", None),
            ("https://host:99999", None),
            ("https://:80", None),
            ("https://", None),
            ("grok.com", None),
            ("https://two words", None),
            ("https://a\r\nb", None),
            ("https://[nonsense]", None),
            ("https://a:1:2", None),
        ];
        for (text, expected) in cases {
            let parts = WebAddress::parse(text)
                .map(|address| (address.scheme, address.credentials, address.authority, address.rest));
            assert_eq!(parts, expected, "{text}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let cases = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1", "::1", true),
        ];
        for (network, address, inside) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "host", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "::ffff:10.0.0.0/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
