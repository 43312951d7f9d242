//! The upgrade to the WebSocket (UPSTREAM.md 16.1).

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};

use super::{
    App,
    answer::{self, Answered, ErrorForm, Refusal},
    entry::{Headers, Route, admit_parts, cookie, logged_headers, text},
};
use crate::{
    calls::SocketGuard,
    script::{BeforeHeaders, Reply},
    socket::{Accepted, Origin, Upgraded, accept_key},
    state::State as Store,
};

const SOCKET: Route = Route { name: "socket", errors: ErrorForm::Bare, headers: Headers::Socket };

pub(super) async fn upgrade(State(shared): State<App>, mut request: Request) -> Answered {
    if !shared.switches.socket() {
        *shared.state().counts.entry(SOCKET.name).or_default() += 1;
        return Err(answer::no_route());
    }
    let on_upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let (sso, reply) = admit(&shared, &parts)?;
    let_in(reply).await?;
    let Some(key) = upgrade_key(&parts.headers) else {
        shared.state().violate("no_upgrade", format!("{:?} without the headers of an upgrade", parts.version));
        return Err(answer::bad_request(SOCKET.errors, "A WebSocket upgrade is expected"));
    };
    let response = switching(key);
    if let Some(upgraded) = parts.extensions.get::<Upgraded>() {
        let mut origin = Origin { sso, path: String::new(), headers: BTreeMap::new() };
        // For the log, if there is one.
        if shared.options.keep_tree {
            origin.path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            origin.headers = logged_headers(&parts);
        }
        let guard = SocketGuard::open(&shared.counters);
        upgraded.accept(on_upgrade, Accepted { shared, origin, guard });
    }
    Ok(response)
}

/// Checks cookie and user, and takes what the account's script says to upgrades.
fn admit(shared: &App, parts: &Parts) -> Result<(String, Option<Reply>), Refusal> {
    let mut state = shared.state();
    let sso = admit_parts(shared, &mut state, SOCKET, None, parts, None)?;
    check_user(&mut state, &sso, parts)?;
    let reply = state.accounts.get_mut(&sso).and_then(|account| account.upgrade_reply());
    Ok((sso, reply))
}

/// `uid` must be the account's, and so must the cookie `x-userid` if it is there.
fn check_user(state: &mut Store, sso: &str, parts: &Parts) -> Result<(), Refusal> {
    let user_id = state.accounts.get(sso).map(|account| account.user_id.clone()).unwrap_or_default();
    let pairs = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let uid = pairs.into_iter().find(|(name, _)| *name == "uid").map(|(_, value)| value);
    if uid != Some(&*user_id) {
        state.violate("wrong_uid", format!("{sso} connects as {uid:?}"));
        return Err(answer::status(SOCKET.errors, 403, 7, "Forbidden"));
    }
    if let Some(other) = cookie(&parts.headers, "x-userid").filter(|id| **id != *user_id) {
        state.violate("wrong_uid", format!("{sso} has the cookie x-userid={other}"));
    }
    if parts.headers.contains_key(header::AUTHORIZATION) {
        state.violate("bad_header", format!("{}: authorization", SOCKET.name));
    }
    Ok(())
}

/// Refuses or delays as scripted.
async fn let_in(reply: Option<Reply>) -> Result<(), Refusal> {
    match reply {
        Some(Reply::Http { status, content_type, body }) => {
            Err(answer::raw(status, &content_type, body.into_bytes()).into())
        }
        Some(Reply::RateLimited { .. }) => Err(answer::too_many_requests(SOCKET.errors)),
        Some(Reply::Script(script)) => {
            match script.before_headers {
                BeforeHeaders::Send => {}
                BeforeHeaders::Wait(wait) => tokio::time::sleep(wait).await,
                BeforeHeaders::Hang => std::future::pending().await,
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The client's key, if it asks for an upgrade at all.
fn upgrade_key(headers: &HeaderMap) -> Option<&str> {
    let says = |name, word: &str| text(headers, name).is_some_and(|value| value.to_lowercase().contains(word));
    let asked = says("upgrade", "websocket") && says("connection", "upgrade") && says("sec-websocket-version", "13");
    text(headers, "sec-websocket-key").filter(|_| asked)
}

fn switching(key: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept_key(key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}
