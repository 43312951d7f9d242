//! Who calls: the session in the cookie, and whether the call may have been forged by a foreign page.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};

use super::AdminState;
use super::error::AdminError;
use crate::admins::{Admins, Browser, Session, SessionError};
use crate::http::client_address::ClientAddress;
use crate::settings::{Settings, WebAddress};

/// Name of the cookie.
pub(crate) const SESSION_COOKIE: &str = "grok2api_session";

/// A signed-in admin. Taking this in a handler is what protects its route.
pub(crate) struct Caller {
    pub(crate) session: Session,
}

impl FromRequestParts<AdminState> for Caller {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, AdminError> {
        let secret = session_secret(&parts.headers).ok_or_else(unauthenticated)?;
        let session = match state.admins.authenticate(secret) {
            Ok(session) => session,
            Err(SessionError::Expired) => {
                let message = "the session has ended; sign in again";
                return Err(AdminError::new(StatusCode::UNAUTHORIZED, "session_expired", message));
            }
            Err(SessionError::Unknown) => return Err(unauthenticated()),
        };
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            check_not_forged(&parts.headers, &state.settings.current())?;
        }
        Ok(Self { session })
    }
}

/// Who is at the other end, signed in or not.
impl<S: Send + Sync> FromRequestParts<S> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // Without a known address all callers are slowed down together, which errs on the safe side.
        let address =
            parts.extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0);
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok()).map(str::to_owned);
        Ok(Self { address, user_agent })
    }
}

/// Whether a request outside the admin API comes from a signed-in admin, by cookie or as a bearer token.
pub(crate) fn is_signed_in(admins: &Admins, headers: &HeaderMap) -> bool {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let secret = session_secret(headers).or(bearer.map(str::trim));
    secret.is_some_and(|secret| admins.authenticate(secret).is_ok())
}

/// The session's secret in the request's cookies.
pub(super) fn session_secret(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}

/// A page of another site can make a browser send our cookie along, but neither set this header nor hide its origin.
fn check_not_forged(headers: &HeaderMap, settings: &Settings) -> Result<(), AdminError> {
    if headers.get("x-requested-with").is_none_or(|value| value != "console") {
        let message = "calls with a session cookie that change something need the header X-Requested-With: console";
        return Err(AdminError::new(StatusCode::FORBIDDEN, "csrf", message));
    }
    check_origin(headers, settings)
}

/// Refuses calls from pages of other sites. Browsers name the page's origin; scripts send none.
pub(super) fn check_origin(headers: &HeaderMap, settings: &Settings) -> Result<(), AdminError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(WebAddress::parse).map(|origin| origin.authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let public = WebAddress::parse(&settings.base_url).map(|address| address.authority);
    let same = |own: Option<&str>| origin.zip(own).is_some_and(|(origin, own)| origin.eq_ignore_ascii_case(own));
    if same(host) || same(public) {
        return Ok(());
    }
    let message = "the Origin header names another site; behind a reverse proxy that changes Host, set base_url";
    Err(AdminError::new(StatusCode::FORBIDDEN, "csrf", message))
}

fn unauthenticated() -> AdminError {
    AdminError::new(StatusCode::UNAUTHORIZED, "unauthenticated", "sign in first: POST /admin/api/v1/session")
}
