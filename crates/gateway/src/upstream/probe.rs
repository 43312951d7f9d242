//! Trying things out for a person: whether the way out works, and whether an address leads back to this gateway.

use std::time::{Duration, Instant};

use protocol::failure::{FailureKind, classify_http};
use protocol::headers::{HeaderValues, browser_headers, statsig_error_form};
use protocol::model::find;
use protocol::rest;
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use serde_json::Value;
use uuid::Uuid;

use super::client::read_body;
use super::{Upstream, UpstreamError};
use crate::settings::Settings;

/// Patience with one request of a probe.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is read of an answer.
const BODY: usize = 64 * 1024;

/// What a way out is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExitProbe {
    /// Whether requests reach the upstream and are not refused for where they come from.
    pub(crate) ok: bool,
    /// `reachable`, or what stood in the way.
    pub(crate) outcome: &'static str,
    /// The address that the upstream sees, where it tells.
    pub(crate) exit_address: Option<String>,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) status: Option<u16>,
    pub(crate) message: Option<String>,
}

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReachProbe {
    /// Whether it leads to this gateway.
    pub(crate) ok: bool,
    /// `this_gateway`, `something_else`, `unreachable`.
    pub(crate) outcome: &'static str,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) status: Option<u16>,
    pub(crate) message: Option<String>,
}

/// What came from a public link.
#[derive(Clone, Debug)]
pub(crate) struct LinkProbe {
    pub(crate) latency_ms: u64,
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    /// Where it leads on to.
    pub(crate) location: Option<String>,
    pub(crate) body: bytes::Bytes,
}

impl Upstream {
    /// Follows a link of this gateway as somebody outside would, and reads up to `limit` bytes; what stood in the way, in words.
    pub(crate) async fn probe_link(&self, url: &str, limit: usize) -> Result<LinkProbe, String> {
        let words = |error: reqwest::Error| UpstreamError::from(error).to_string();
        // Straight, not through the proxy: that one is for the upstream.
        let client =
            self.direct_builder(&Settings::default()).and_then(reqwest::ClientBuilder::build).map_err(words)?;
        let began = Instant::now();
        let answer = client.get(url).timeout(PATIENCE).send().await.map_err(words)?;
        let latency_ms = milliseconds(began);
        let status = answer.status().as_u16();
        let header =
            |name: HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (content_type, location) = (header(CONTENT_TYPE), header(LOCATION));
        let body = read_body(answer, limit).await.map_err(|error| error.to_string())?;
        Ok(LinkProbe { latency_ms, status, content_type, location, body })
    }

    /// Goes out under these settings, without an account: asks which address the upstream sees (UPSTREAM.md 17), then makes a call
    /// that nobody may make unsigned. Whoever is told so was let in; whoever is challenged was not.
    pub(crate) async fn probe_exit(&self, settings: &Settings) -> ExitProbe {
        match self.try_exit(settings).await {
            Ok(probe) => probe,
            Err(error) => ExitProbe {
                ok: false,
                outcome: error.label(),
                exit_address: None,
                latency_ms: None,
                status: None,
                message: Some(error.to_string()),
            },
        }
    }

    async fn try_exit(&self, settings: &Settings) -> Result<ExitProbe, UpstreamError> {
        let client = self.probe_client(settings)?;
        let headers = anonymous_headers(settings);
        let began = Instant::now();
        let trace = client.get(format!("{}/cdn-cgi/trace", self.base_url())).headers(headers.clone());
        let trace = trace.timeout(PATIENCE).send().await?;
        let latency_ms = milliseconds(began);
        let exit_address = match trace.status().as_u16() {
            200 => address_in(&read_body(trace, BODY).await?),
            _ => None,
        };
        let route = rest::rate_limits(&find("auto").mode);
        let call = client.post(format!("{}{}", self.base_url(), route.path)).headers(headers).body(route.body);
        let answer = call.timeout(PATIENCE).send().await?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read_body(answer, BODY).await?;
        let refused = match classify_http(status, content_type.as_deref(), &body).kind {
            FailureKind::Exit(trouble) if status != 200 => Some(trouble.label()),
            _ => None,
        };
        Ok(ExitProbe {
            ok: refused.is_none(),
            outcome: refused.unwrap_or("reachable"),
            exit_address,
            latency_ms: Some(latency_ms),
            status: Some(status),
            message: None,
        })
    }

    /// Follows an address and looks whether this gateway answers: it repeats the id of a request, which nobody else can know.
    pub(crate) async fn probe_address(&self, base_url: &str) -> ReachProbe {
        let unreachable = |message: String| ReachProbe {
            ok: false,
            outcome: "unreachable",
            latency_ms: None,
            status: None,
            message: Some(message),
        };
        // Straight, not through the proxy: that one is for the upstream.
        let client = match self.probe_client(&Settings { proxy_url: String::new(), ..Settings::default() }) {
            Ok(client) => client,
            Err(error) => return unreachable(UpstreamError::from(error).to_string()),
        };
        let request_id = format!("probe-{}", Uuid::new_v4().simple());
        let began = Instant::now();
        let request = client.get(format!("{base_url}/health")).header("x-request-id", &request_id).timeout(PATIENCE);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return unreachable(UpstreamError::from(error).to_string()),
        };
        let latency_ms = Some(milliseconds(began));
        let status = answer.status().as_u16();
        let repeats_id = answer.headers().get("x-request-id").is_some_and(|id| id.as_bytes() == request_id.as_bytes());
        let body = read_body(answer, BODY).await.unwrap_or_default();
        let names_itself = serde_json::from_slice(&body).is_ok_and(|body: Value| body["service"] == "Grok2API");
        let ok = status == 200 && repeats_id && names_itself;
        let outcome = if ok { "this_gateway" } else { "something_else" };
        ReachProbe { ok, outcome, latency_ms, status: Some(status), message: None }
    }
}

/// What a browser sends, without an account.
fn anonymous_headers(settings: &Settings) -> HeaderMap {
    let statsig = statsig_error_form(crate::secrets::random_array());
    let request_id = Uuid::new_v4().to_string();
    let values = HeaderValues { user_agent: &settings.user_agent, statsig_id: &statsig, request_id: &request_id };
    let mut headers = HeaderMap::new();
    for (name, value) in browser_headers(values) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Ok(mut cookies) = HeaderValue::from_str(&settings.clearance_cookies)
        && !settings.clearance_cookies.is_empty()
    {
        cookies.set_sensitive(true);
        headers.insert(COOKIE, cookies);
    }
    headers
}

/// The line `ip=…`, if it holds an address.
fn address_in(trace: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(trace).ok()?;
    let address = text.lines().find_map(|line| line.strip_prefix("ip="))?.trim();
    address.parse::<std::net::IpAddr>().ok().map(|address| address.to_string())
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_and_nothing_else_is_taken_for_one() {
        assert_eq!(address_in(b"fl=1\nip=203.0.113.9\nts=1\n"), Some("203.0.113.9".to_owned()));
        assert_eq!(address_in(b"ip=2001:db8::1"), Some("2001:db8::1".to_owned()));
        for other in [&b"<html>ip=1"[..], b"ip=<script>", b"", b"\xff"] {
            assert_eq!(address_in(other), None);
        }
    }
}
