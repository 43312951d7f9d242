//! Where clients reach this gateway, for links in answers.

use http::HeaderMap;
use http::header::HOST;

use super::client_address::Way;
use crate::settings::{Settings, WebAddress};

/// The public address, without a slash at the end: the setting, else the one that the client used. Empty where neither is
/// known; links are then relative.
pub(super) fn public_url(headers: &HeaderMap, way: Option<Way>, settings: &Settings) -> String {
    if !settings.base_url.is_empty() {
        return settings.base_url.trim_end_matches('/').to_owned();
    }
    let is_believed = way == Some(Way::TrustedProxy);
    let forwarded = |name: &str| {
        // Of a chain of proxies, the first is the one that the client spoke to.
        let value = headers.get(name).filter(|_| is_believed)?.to_str().ok()?;
        Some(value.split(',').next()?.trim()).filter(|value| !value.is_empty())
    };
    let scheme = match forwarded("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        _ => "http",
    };
    let host = forwarded("x-forwarded-host").or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
    let url = format!("{scheme}://{host}");
    // Whatever stands there goes into the Markdown of an answer.
    match WebAddress::parse(&url) {
        Some(address) if address.credentials.is_none() && address.rest.is_empty() => url,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(headers: &[(&'static str, &str)], way: Way, base_url: &str) -> String {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        public_url(&headers, Some(way), &Settings { base_url: base_url.to_owned(), ..Settings::default() })
    }

    #[test]
    fn the_setting_comes_first_then_what_the_client_used() {
        let host = [("host", "nas.local:8000")];
        assert_eq!(url(&host, Way::Straight, "https://grok.example/base/"), "https://grok.example/base");
        assert_eq!(url(&host, Way::Straight, ""), "http://nas.local:8000");
        let proxied = [("host", "inner:8000"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "grok.example")];
        assert_eq!(url(&proxied, Way::TrustedProxy, ""), "https://grok.example");
        assert_eq!(url(&proxied, Way::Straight, ""), "http://inner:8000", "anybody can write such headers");
        assert_eq!(url(&proxied[..2], Way::TrustedProxy, ""), "https://inner:8000");
    }

    #[test]
    fn what_is_no_host_does_not_get_into_an_answer() {
        for host in ["a b", "a)[x](http://evil.example", "me@h.example", "h.example/path", "h.example:port", ""] {
            assert_eq!(url(&[("host", host)], Way::Straight, ""), "", "{host}");
        }
        assert_eq!(public_url(&HeaderMap::new(), None, &Settings::default()), "");
    }
}
