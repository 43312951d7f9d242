//! Cross-origin rules of the client routes. Browser clients call them from other origins, so they are open by default; the admin
//! routes never are.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request};

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, x-grok2api-turn, x-grok2api-conversation, x-grok2api-ignored, x-grok2api-accounts, retry-after, \
     x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests",
);

/// What one request may be told, decided before it is served.
pub(super) struct Cors {
    allow_origin: Option<HeaderValue>,
}

impl Cors {
    pub(super) fn of<B>(request: &Request<B>, allowed: &[String]) -> Self {
        let origin = request.headers().get(ORIGIN);
        let allow_origin = origin.and_then(|origin| {
            if allowed.iter().any(|allowed| allowed == "*") {
                Some(HeaderValue::from_static("*"))
            } else {
                allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
            }
        });
        Self { allow_origin }
    }

    /// Adds to an answer what the browser needs to show it to the page, errors included.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        if let Some(origin) = &self.allow_origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
    }

    /// Adds the answer to a preflight.
    pub(super) fn mark_preflight<B>(&self, request: &Request<B>, headers: &mut HeaderMap) {
        if self.allow_origin.is_none() {
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        // Named one by one, for `*` does not cover `Authorization`.
        let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let names = wanted.unwrap_or_else(|| HeaderValue::from_static("authorization, content-type"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
}

/// Whether a request is a browser's question before the real one.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
