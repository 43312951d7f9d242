//! `/session`: signing in and out, and who one is.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::AdminState;
use super::body::StrangersMembers;
use super::caller::{Caller, Person, SESSION_COOKIE, check_origin, session_secret};
use super::described::SignInRequest;
use super::error::AdminError;
use crate::admins::{Actor, ActorKind, Browser, Change, NewSession, SignIn};
use crate::clock::timestamp;
use crate::http::request_id::RequestId;
use crate::settings::Settings;

/// Who calls.
#[derive(Serialize, ToSchema)]
pub(super) struct WhoBody {
    /// The admin's name, or the token's.
    username: String,
    /// `owner` for people, `token` for scripts.
    role: &'static str,
    remember: bool,
    created_at: Option<String>,
    /// The session ends then, whatever happens.
    expires_at: Option<String>,
    /// The session ends then unless it is used before.
    idle_expires_at: Option<String>,
    claim_needed: bool,
    /// For consoles on machines whose clock is wrong: the times above are ours.
    server_time: String,
}

/// `GET /session`. Without a session the failure says whether the gateway waits to be claimed.
#[utoipa::path(
    get,
    path = "/session",
    operation_id = "session_show",
    tag = "session",
    responses((status = 200, description = "Who calls.", body = WhoBody)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Result<Caller, AdminError>,
) -> Result<Json<WhoBody>, AdminError> {
    let claim_needed = state.admins.claim_needed();
    let caller = caller.map_err(|error| error.with_context("claim_needed", json!(claim_needed)))?;
    let session = caller.session();
    Ok(Json(WhoBody {
        username: caller.name().to_owned(),
        role: if session.is_some() { "owner" } else { "token" },
        remember: session.is_some_and(|session| session.remember),
        created_at: session.map(|session| timestamp(session.created_at)),
        expires_at: session.map(|session| timestamp(session.expires_at)),
        idle_expires_at: session.map(|session| timestamp(session.idle_expires_at)),
        claim_needed,
        server_time: timestamp(state.clock.now_ms()),
    }))
}

/// `POST /session`
#[utoipa::path(
    post,
    path = "/session",
    operation_id = "session_sign_in",
    tag = "session",
    request_body = SignInRequest,
    responses((status = 204, description = "Signed in; the session is in the cookie.")),
)]
pub(super) async fn sign_in(
    State(state): State<AdminState>,
    browser: Browser,
    headers: HeaderMap,
    Extension(request_id): Extension<RequestId>,
    StrangersMembers(mut body): StrangersMembers,
) -> Result<Response, AdminError> {
    check_origin(&headers, &state.settings.current())?;
    let (username, password) = (body.required_text("username"), body.required_text("password"));
    let remember = body.flag("remember").unwrap_or(false);
    body.finish()?;
    let address = browser.address;
    let new = match state.admins.sign_in(SignIn { username, password, remember, browser }).await {
        Ok(new) => new,
        Err(error) => {
            tracing::warn!(%address, %error, "a sign-in was refused");
            return Err(error.into());
        }
    };
    // A session is never taken over: whoever had the old one does not get the new one.
    if let Some(Ok(old)) = session_secret(&headers).map(|secret| state.admins.authenticate(secret)) {
        state.admins.sign_out(&old).await?;
    }
    let actor = Actor {
        kind: ActorKind::Session,
        name: new.session.username.clone(),
        address: Some(address),
        request_id: Some(request_id.0),
    };
    state.trail.record(&actor, Change::new("session.create", &new.session.id)).await;
    Ok((StatusCode::NO_CONTENT, [opening_cookie(&new, &headers, &state.settings.current())]).into_response())
}

/// `DELETE /session`
#[utoipa::path(
    delete,
    path = "/session",
    operation_id = "session_sign_out",
    tag = "session",
    responses((status = 204, description = "Signed out.")),
)]
pub(super) async fn sign_out(
    State(state): State<AdminState>,
    headers: HeaderMap,
    Person { caller, session }: Person,
) -> Result<Response, AdminError> {
    state.admins.sign_out(&session).await?;
    state.note(&caller, Change::new("session.delete", &session.id)).await;
    let cookie = cookie("", &headers, &state.settings.current(), "; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// The header that hands a new session to the browser. It lives as long as the browser, or as long as the session on a device
/// that is to be remembered.
pub(super) fn opening_cookie(new: &NewSession, headers: &HeaderMap, settings: &Settings) -> (HeaderName, HeaderValue) {
    let session = &new.session;
    let life_s = (session.expires_at - session.created_at) / 1_000;
    let life = if session.remember { format!("; Max-Age={life_s}") } else { String::new() };
    (header::SET_COOKIE, cookie(&new.token, headers, settings, &life))
}

fn cookie(secret: &str, headers: &HeaderMap, settings: &Settings, life: &str) -> HeaderValue {
    let secure = if came_by_tls(headers, settings) { "; Secure" } else { "" };
    let text = format!("{SESSION_COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/admin{life}{secure}");
    HeaderValue::try_from(text).expect("session secrets are letters, digits, dashes and underscores")
}

/// TLS ends at a reverse proxy, which says so. Only asked about the caller's own cookie, so who forges the header where proxies
/// are trusted harms nobody else.
fn came_by_tls(headers: &HeaderMap, settings: &Settings) -> bool {
    !settings.trusted_proxies.is_empty() && headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}
