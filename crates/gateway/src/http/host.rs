//! Under which name a request came. Links, cookies and the check of origins rest on it, so there has to be exactly one.

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri, Version};

use crate::settings::WebAddress;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HostProblem {
    #[error("The request has no Host header")]
    Missing,
    #[error("The request has more than one Host header")]
    Several,
    #[error("The Host header is not a host name with an optional port")]
    Invalid,
    #[error("The request target is not a path, and not an http address either")]
    Target,
}

/// Checks the name. A request for a whole address, as proxies send it, becomes one for its path under the name in the address:
/// that one counts, whatever the header says.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<(), HostProblem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(HostProblem::Several),
        (None, _) if request.version() >= Version::HTTP_11 => return Err(HostProblem::Missing),
        (None, _) => {}
        (Some(host), None) if host.to_str().is_ok_and(is_host) => {}
        (Some(_), None) => return Err(HostProblem::Invalid),
    }
    if *request.method() == Method::CONNECT {
        return Ok(());
    }
    let uri = request.uri();
    let Some(authority) = uri.authority() else { return Ok(()) };
    if !matches!(uri.scheme_str(), Some("http" | "https")) || !is_host(authority.as_str()) {
        return Err(HostProblem::Target);
    }
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| HostProblem::Target)?;
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, host);
    Ok(())
}

fn is_host(text: &str) -> bool {
    let url = format!("http://{text}");
    WebAddress::parse(&url).is_some_and(|address| address.credentials.is_none() && address.rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(target: &str, hosts: &[&str], version: Version) -> Result<(String, String), HostProblem> {
        let mut request = Request::get(target).version(version).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
        }
        check(&mut request)?;
        let host = request.headers().get(HOST).map_or("", |host| host.to_str().unwrap());
        Ok((request.uri().to_string(), host.to_owned()))
    }

    #[test]
    fn a_request_has_one_name() {
        use HostProblem::{Invalid, Missing, Several, Target};
        type Case<'a> = (&'a str, &'a [&'a str], Result<(&'a str, &'a str), HostProblem>);
        let cases: [Case<'_>; 17] = [
            ("/v1/models?a=b", &["rig"], Ok(("/v1/models?a=b", "rig"))),
            ("/", &["rig:8000"], Ok(("/", "rig:8000"))),
            ("/", &["[::1]:8000"], Ok(("/", "[::1]:8000"))),
            ("/", &["my_nas.local."], Ok(("/", "my_nas.local."))),
            ("/", &[], Err(Missing)),
            ("/", &["rig", "rig"], Err(Several)),
            ("/", &["rig", "other"], Err(Several)),
            ("/", &[""], Err(Invalid)),
            ("/", &["rig other"], Err(Invalid)),
            ("/", &["rig/path"], Err(Invalid)),
            ("/", &["me@rig"], Err(Invalid)),
            ("/", &["rig:port"], Err(Invalid)),
            ("/", &["r\u{f6}g"], Err(Invalid)),
            ("http://a.example/v1/models?a=b", &["b.example"], Ok(("/v1/models?a=b", "a.example"))),
            ("http://a.example:81", &["a.example:81"], Ok(("/", "a.example:81"))),
            ("ftp://a.example/", &["a.example"], Err(Target)),
            ("http://me@a.example/", &["a.example"], Err(Target)),
        ];
        for (target, hosts, expected) in cases {
            let expected = expected.map(|(target, host)| (target.to_owned(), host.to_owned()));
            assert_eq!(checked(target, hosts, Version::HTTP_11), expected, "{target} {hosts:?}");
        }
        assert_eq!(checked("http://a.example/", &[], Version::HTTP_11), Err(Missing));
        // Before 1.1 nobody had to name it.
        assert_eq!(checked("/", &[], Version::HTTP_10), Ok(("/".to_owned(), String::new())));
        assert_eq!(checked("/", &["a", "b"], Version::HTTP_10), Err(Several));
        assert_eq!(checked("/", &["a b"], Version::HTTP_10), Err(Invalid));
    }
}
