//! Who is calling. A forwarded address is believed only from the proxies that the settings name.

use std::net::IpAddr;

use http::HeaderMap;

use crate::settings::Network;

/// The address of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr, pub(crate) Way);

/// How the client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Straight,
    /// Through a proxy whose headers are believed.
    TrustedProxy,
}

impl ClientAddress {
    /// `peer` is who holds the connection. The list of `X-Forwarded-For` is read from its end, past the proxies that are
    /// trusted: what stands before them is whatever the client wrote.
    pub(crate) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut address = peer.to_canonical();
        if !is_trusted(address) {
            return Self(address, Way::Straight);
        }
        let lists: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        for entry in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
            let Ok(forwarded) = entry.trim().parse::<IpAddr>() else { break };
            address = forwarded.to_canonical();
            if !is_trusted(address) {
                break;
            }
        }
        Self(address, Way::TrustedProxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &str, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let trusted: Vec<Network> =
            trusted.iter().map(|text| serde_json::from_value((*text).into()).unwrap()).collect();
        ClientAddress::of(peer.parse().unwrap(), &headers, &trusted).0.to_string()
    }

    #[test]
    fn forwarded_addresses_are_believed_only_from_trusted_proxies() {
        assert_eq!(address("203.0.113.9", "10.1.1.1", &[]), "203.0.113.9");
        assert_eq!(address("127.0.0.1", "198.51.100.7", &["127.0.0.0/8"]), "198.51.100.7");
        assert_eq!(
            address("127.0.0.1", "6.6.6.6, 198.51.100.7, 10.0.0.2", &["127.0.0.0/8", "10.0.0.0/8"]),
            "198.51.100.7"
        );
        assert_eq!(address("127.0.0.1", "nonsense", &["127.0.0.0/8"]), "127.0.0.1");
    }
}
