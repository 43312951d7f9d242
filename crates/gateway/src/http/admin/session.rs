//! `/session`: signing in and out, and who one is.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::AdminState;
use super::body::StrangersMembers;
use super::caller::{Caller, DEVICE_COOKIE, Person, SESSION_COOKIE, check_origin, session_secret};
use super::described::SignInRequest;
use super::error::AdminError;
use crate::admins::{Actor, ActorKind, Browser, Change, NewSession, SignIn};
use crate::clock::timestamp;
use crate::http::request_id::RequestId;
use crate::settings::{Settings, WebAddress};

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
    let security = Security::of(&headers, &state.settings.current())?;
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
    Ok((StatusCode::NO_CONTENT, opening_cookies(&new, security)).into_response())
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
    let security = Security::of(&headers, &state.settings.current()).unwrap_or(Security::Plain);
    let cookie = cookie(SESSION_COOKIE, "", "; Max-Age=0", security);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// How long a browser is known again when somebody signs in: a year.
const DEVICE_LIFE_S: u32 = 365 * 86_400;

/// The headers that hand a new session to the browser, and what it is known again by. The session lives as long as the browser, or as
/// long as the session on a device that is to be remembered.
pub(super) fn opening_cookies(new: &NewSession, security: Security) -> AppendHeaders<[(HeaderName, HeaderValue); 2]> {
    let session = &new.session;
    let life_s = (session.expires_at - session.created_at) / 1_000;
    let life = if session.remember { format!("; Max-Age={life_s}") } else { String::new() };
    AppendHeaders([
        (header::SET_COOKIE, cookie(SESSION_COOKIE, &new.token, &life, security)),
        (header::SET_COOKIE, cookie(DEVICE_COOKIE, &new.device, &format!("; Max-Age={DEVICE_LIFE_S}"), security)),
    ])
}

fn cookie(name: &str, value: &str, life: &str, security: Security) -> HeaderValue {
    let secure = if security == Security::TlsOnly { "; Secure" } else { "" };
    let text = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/admin{life}{secure}");
    HeaderValue::try_from(text).expect("what cookies hold here is base64")
}

/// Over what a cookie may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    TlsOnly,
}

impl Security {
    /// TLS only, where the public address has it or the request came by it. A page that was opened over plain http would not get such a
    /// cookie from its browser, and whoever signs in there would be signed out at once without a word. At another address it gets a
    /// plain one, as ever; at the public address itself it is refused, and told where to go.
    pub(super) fn of(headers: &HeaderMap, settings: &Settings) -> Result<Self, AdminError> {
        if came_by_tls(headers, settings) {
            return Ok(Self::TlsOnly);
        }
        let page = headers.get(header::ORIGIN).and_then(|origin| WebAddress::parse(origin.to_str().ok()?));
        let public = WebAddress::parse(&settings.base_url).filter(|public| is_scheme(public, "https"));
        match (page, public) {
            (Some(page), Some(public)) if is_scheme(&page, "http") => {
                if host(page.authority).eq_ignore_ascii_case(host(public.authority)) {
                    let message = format!(
                        "a browser keeps no session that is opened over plain http at the host of base_url, which has https: open {} \
                         instead, or change base_url",
                        settings.base_url
                    );
                    return Err(AdminError::new(StatusCode::FORBIDDEN, "https_required", message));
                }
                Ok(Self::Plain)
            }
            (_, Some(_)) => Ok(Self::TlsOnly),
            (Some(page), None) if is_scheme(&page, "https") => Ok(Self::TlsOnly),
            (_, None) => Ok(Self::Plain),
        }
    }
}

fn is_scheme(address: &WebAddress<'_>, scheme: &str) -> bool {
    address.scheme.eq_ignore_ascii_case(scheme)
}

/// Without the port: cookies know none.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// TLS ends at a reverse proxy, which says so. Only asked about the caller's own cookie, so who forges the header where proxies
/// are trusted harms nobody else.
fn came_by_tls(headers: &HeaderMap, settings: &Settings) -> bool {
    !settings.trusted_proxies.is_empty() && headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_tls_where_the_page_has_it_and_nobody_is_locked_out_without_a_word() {
        use Security::{Plain, TlsOnly};
        let (none, public) = ("", "https://grok.example.com/base");
        let trusted = vec![serde_json::from_value("10.0.0.0/8".into()).unwrap()];
        let of = |base_url: &str, origin: Option<&str>, proto: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("inner:8000"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            if let Some(proto) = proto {
                headers.insert("x-forwarded-proto", proto.parse().unwrap());
            }
            let settings =
                Settings { base_url: base_url.to_owned(), trusted_proxies: trusted.clone(), ..Settings::default() };
            Security::of(&headers, &settings).ok()
        };
        let cases = [
            (public, None, None, Some(TlsOnly)),
            (public, Some("https://grok.example.com"), None, Some(TlsOnly)),
            (public, Some("https://other.example.com"), None, Some(TlsOnly)),
            ("HTTPS://grok.example.com", None, None, Some(TlsOnly)),
            // At home, past the proxy.
            (public, Some("http://192.168.1.5:8000"), None, Some(Plain)),
            (public, Some("http://localhost:8000"), None, Some(Plain)),
            // There the browser would not keep it, whatever the port.
            (public, Some("http://grok.example.com"), None, None),
            (public, Some("http://GROK.example.com:8000"), None, None),
            // A proxy says that it was TLS after all.
            (public, Some("http://grok.example.com"), Some("https"), Some(TlsOnly)),
            (none, None, Some("https"), Some(TlsOnly)),
            (none, None, Some("http"), Some(Plain)),
            (none, Some("https://grok.example.com"), None, Some(TlsOnly)),
            (none, Some("http://192.168.1.5:8000"), None, Some(Plain)),
            ("http://grok.example.com", Some("http://grok.example.com"), None, Some(Plain)),
            ("http://grok.example.com", None, None, Some(Plain)),
        ];
        for (base_url, origin, proto, expected) in cases {
            assert_eq!(of(base_url, origin, proto), expected, "{base_url} {origin:?} {proto:?}");
        }
        assert_eq!((host("[::1]:80"), host("[::1]"), host("a:80"), host("a")), ("[::1]", "[::1]", "a", "a"));
    }
}
