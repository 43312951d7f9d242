//! What every request passes first: it is counted and logged, its headers and its cookie are checked.

use std::{collections::BTreeMap, time::SystemTime};

use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, Method, header, request::Parts},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use super::{
    App,
    answer::{self, ErrorForm, Refusal},
};
use crate::{
    account::{CredentialState, mode_of},
    calls::{Call, Transport},
    state::{Shared, State},
};

/// Padding is optional in `x-statsig-id`.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A kind of request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// Its name in the report.
    pub name: &'static str,
    pub errors: ErrorForm,
    pub headers: Headers,
}

/// Which headers a route insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Headers {
    /// Those of the web app's calls.
    Api,
    /// Those of any page of the site: no statsig, no request id.
    Page,
    /// Those of a WebSocket upgrade: no statsig, no referer.
    Socket,
}

impl Route {
    pub(super) const fn unary(name: &'static str) -> Self {
        Self { name, errors: ErrorForm::Bare, headers: Headers::Api }
    }

    pub(super) const fn streaming(name: &'static str) -> Self {
        Self { name, errors: ErrorForm::Wrapped, headers: Headers::Api }
    }

    pub(super) const fn page(name: &'static str) -> Self {
        Self { name, errors: ErrorForm::Bare, headers: Headers::Page }
    }
}

/// A request that passed.
pub(super) struct Entry {
    pub sso: String,
    pub body: Value,
}

/// Reads a request with a JSON body or none, and admits it. `subject` is the conversation or link in its path.
pub(super) async fn enter(
    shared: &App,
    route: Route,
    subject: Option<&str>,
    request: Request,
) -> Result<Entry, Refusal> {
    let (parts, body) = request.into_parts();
    // The client went away while it sent its body: nobody reads the answer.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let body = serde_json::from_slice(&bytes);
    let mut state = shared.state();
    let admitted = admit_parts(shared, &mut state, route, subject, &parts, body.as_ref().ok());
    let sso = admitted?;
    match body {
        Ok(body) => Ok(Entry { sso, body }),
        Err(_) if bytes.is_empty() => Ok(Entry { sso, body: Value::Null }),
        Err(error) => {
            state.violate("bad_json", format!("{}: {error}", route.name));
            Err(answer::bad_request(route.errors, "Invalid request body"))
        }
    }
}

/// Admits a request whose body is not JSON.
pub(super) fn enter_form(shared: &App, route: Route, parts: &Parts) -> Result<String, Refusal> {
    admit_parts(shared, &mut shared.state(), route, None, parts, None)
}

/// Counts and logs a request, and checks its headers and its cookie.
pub(super) fn admit_parts(
    shared: &Shared,
    state: &mut State,
    route: Route,
    subject: Option<&str>,
    parts: &Parts,
    body: Option<&Value>,
) -> Result<String, Refusal> {
    let sso = cookie(&parts.headers, "sso");
    *state.counts.entry(route.name).or_default() += 1;
    if shared.options.keep_tree {
        state.calls.push(call(route, subject, parts, sso.clone(), body));
    }
    check_headers(state, route, parts);
    if route.headers == Headers::Api && !statsig_is_fine(state, route, &parts.headers) {
        return Err(answer::anti_bot(route.errors));
    }
    authenticate(state, route, sso)
}

fn call(route: Route, subject: Option<&str>, parts: &Parts, sso: Option<String>, body: Option<&Value>) -> Call {
    let body = body.cloned().unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Call {
        route: route.name,
        transport: if route.headers == Headers::Socket { Transport::Socket } else { Transport::Rest },
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        account: sso,
        conversation_id: subject.map(str::to_owned),
        parent_response_id: text("parentResponseId"),
        message: text("message"),
        mode: mode_of(&body),
        allow_indexing: body["allowIndexing"].as_bool(),
        headers: logged_headers(parts),
        time: SystemTime::now(),
        body,
    }
}

/// Request headers as the log keeps them.
pub(super) fn logged_headers(parts: &Parts) -> BTreeMap<String, String> {
    let value = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    parts.headers.iter().map(|(name, content)| (name.as_str().to_owned(), value(content))).collect()
}

/// Missing and odd headers are reported; the upstream is not known to refuse them (UPSTREAM.md 2).
fn check_headers(state: &mut State, route: Route, parts: &Parts) {
    let headers = &parts.headers;
    let mut required = match route.headers {
        Headers::Socket => vec!["user-agent", "origin"],
        _ => vec!["user-agent", "referer"],
    };
    if route.headers == Headers::Api {
        required.extend(["origin", "x-xai-request-id"]);
        if parts.method == Method::POST || parts.method == Method::PUT {
            required.push("content-type");
        }
    }
    for name in required {
        match text(headers, name) {
            Some(value) => check_value(state, route, name, value),
            None => state.violate("missing_header", format!("{}: {name}", route.name)),
        }
    }
    if text(headers, "accept").is_some_and(|accept| accept.contains("event-stream")) {
        state.violate("bad_header", format!("{}: accept asks for an event stream", route.name));
    }
}

fn check_value(state: &mut State, route: Route, name: &str, value: &str) {
    let fine = match name {
        "user-agent" => value.starts_with("Mozilla/5.0"),
        "origin" => value.starts_with("https://") || value.starts_with("http://127.0.0.1"),
        "referer" => value.starts_with("https://") || value.starts_with("http://127.0.0.1"),
        "x-xai-request-id" => uuid::Uuid::parse_str(value).is_ok(),
        "content-type" => {
            ["application/json", "text/plain", "multipart/form-data"].iter().any(|kind| value.starts_with(kind))
        }
        _ => true,
    };
    if !fine {
        state.violate("bad_header", format!("{}: {name}: {value}", route.name));
    }
}

fn statsig_is_fine(state: &mut State, route: Route, headers: &HeaderMap) -> bool {
    let Some(value) = text(headers, "x-statsig-id") else {
        state.violate("missing_statsig", route.name);
        return false;
    };
    let fine = !value.is_empty() && BASE64.decode(value).is_ok();
    if !fine {
        state.violate("bad_statsig", format!("{}: {value}", route.name));
    }
    fine
}

fn authenticate(state: &mut State, route: Route, sso: Option<String>) -> Result<String, Refusal> {
    let Some(sso) = sso else {
        state.violate("missing_cookie", route.name);
        return Err(answer::no_credentials(route.errors));
    };
    let Some(account) = state.accounts.get(&sso) else {
        state.violate("unknown_cookie", format!("{}: {sso}", route.name));
        return Err(answer::unauthorized(route.errors));
    };
    match account.credential {
        CredentialState::Valid => Ok(sso),
        // The session route tells of such accounts in its body.
        _ if route.name == "session" => Ok(sso),
        CredentialState::Unknown => Err(answer::unauthorized(route.errors)),
        CredentialState::Blocked => Err(answer::blocked(route.errors)),
    }
}

/// A header as text; one that is not text counts as missing.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A cookie's value. HTTP/2 may spread cookies over several header lines.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}
