//! Who calls: a person by the session in the cookie, or a script by its token; and whether the call may have been forged by a
//! foreign page.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};

use super::AdminState;
use super::error::{AdminError, SharedRate};
use crate::admins::{Actor, ActorKind, Admins, Browser, Scope, Session, SessionError, TOKEN_PREFIX};
use crate::events::Reader;
use crate::http::client_address::ClientAddress;
use crate::http::request_id::RequestId;
use crate::settings::{Settings, WebAddress};

/// Name of the cookie.
pub(crate) const SESSION_COOKIE: &str = "grok2api_session";

/// Name of the cookie by which a browser is known again when somebody signs in. It opens nothing.
pub(super) const DEVICE_COOKIE: &str = "grok2api_device";

/// Who calls. Taking this in a handler is what protects its route.
#[derive(Clone)]
pub(crate) struct Caller {
    who: Who,
    actor: Actor,
}

/// As what they came in.
#[derive(Clone, Debug)]
enum Who {
    /// A person at the console.
    Session(Session),
    /// A script, by the id of its token.
    Token(String),
}

impl Caller {
    pub(super) fn person(session: Session, actor: Actor) -> Self {
        Self { who: Who::Session(session), actor }
    }

    pub(super) fn token(id: String, actor: Actor) -> Self {
        Self { who: Who::Token(id), actor }
    }

    /// What the audit trail says of them.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    pub(super) fn name(&self) -> &str {
        &self.actor.name
    }

    /// The session, if it is a person who calls.
    pub(super) fn session(&self) -> Option<&Session> {
        match &self.who {
            Who::Session(session) => Some(session),
            Who::Token(_) => None,
        }
    }

    /// As which they read events.
    pub(super) fn reader(&self) -> Reader {
        match &self.who {
            Who::Session(session) => Reader::Session(session.id.clone()),
            Who::Token(id) => Reader::Token(id.clone()),
        }
    }

    /// Whether what they came in with still opens the door. Asking does not count as using it.
    pub(super) fn is_still_in(&self, admins: &Admins) -> bool {
        match &self.who {
            Who::Session(session) => admins.session_lives(session),
            Who::Token(id) => admins.token_lives(id),
        }
    }
}

/// A person who is signed in: for what a script's token may not do.
pub(super) struct Person {
    pub(super) caller: Caller,
    pub(super) session: Session,
}

impl FromRequestParts<AdminState> for Person {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, AdminError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        match caller.session().cloned() {
            Some(session) => Ok(Self { caller, session }),
            None => Err(AdminError::forbidden("this is for people who are signed in, not for tokens")),
        }
    }
}

impl FromRequestParts<AdminState> for Caller {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, AdminError> {
        // Only we put things there.
        if let Some(caller) = parts.extensions.remove::<Self>() {
            return Ok(caller);
        }
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        if let Some(token) = bearer(&parts.headers).filter(|secret| secret.starts_with(TOKEN_PREFIX)) {
            let needed = (!is_read).then(|| scope_of(parts.uri.path()));
            // Not forged by a page: no browser sends this header along by itself.
            let token = state.admins.authenticate_token(token, needed)?;
            if let Some(rate) = parts.extensions.get::<SharedRate>() {
                rate.set(token.rate);
            }
            return Ok(Self::token(token.id, actor(ActorKind::Token, token.name, parts)));
        }
        let secret = session_secret(&parts.headers).ok_or_else(unauthenticated)?;
        let session = open_session(&state.admins, secret)?;
        if !is_read {
            check_not_forged(&parts.headers, &state.settings.current())?;
        }
        let actor = actor(ActorKind::Session, session.username.clone(), parts);
        Ok(Self::person(session, actor))
    }
}

/// The session that a secret opens.
pub(super) fn open_session(admins: &Admins, secret: &str) -> Result<Session, AdminError> {
    match admins.authenticate(secret) {
        Ok(session) => Ok(session),
        Err(SessionError::Expired) => {
            let message = "the session has ended; sign in again";
            Err(AdminError::new(StatusCode::UNAUTHORIZED, "session_expired", message))
        }
        Err(SessionError::Unknown) => Err(unauthenticated()),
    }
}

/// What a token must be allowed in order to change something there; whatever is not named takes all.
fn scope_of(path: &str) -> Scope {
    let path = path.strip_prefix("/admin/api/v1").unwrap_or(path);
    if path == "/conversations/match" {
        // It only looks.
        return Scope::Read;
    }
    match path.trim_start_matches('/').split('/').next() {
        Some("accounts" | "imports") => Scope::Accounts,
        Some("keys") => Scope::Keys,
        Some("settings") => Scope::Settings,
        // The topics of a stream change nothing but what its reader is told.
        Some("events") => Scope::Read,
        _ => Scope::All,
    }
}

pub(super) fn actor(kind: ActorKind, name: String, parts: &Parts) -> Actor {
    Actor {
        kind,
        name,
        address: parts.extensions.get::<ClientAddress>().map(|address| address.0),
        request_id: parts.extensions.get::<RequestId>().map(|id| Arc::clone(&id.0)),
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
        let device = cookie(&parts.headers, DEVICE_COOKIE).map(str::to_owned);
        Ok(Self { address, user_agent, device })
    }
}

/// Whether a request outside the admin API comes from an admin: by cookie, or with a session or a token as bearer.
pub(crate) fn is_signed_in(admins: &Admins, headers: &HeaderMap) -> bool {
    let is_known = |secret: &str| {
        if secret.starts_with(TOKEN_PREFIX) {
            admins.authenticate_token(secret, None).is_ok()
        } else {
            admins.authenticate(secret).is_ok()
        }
    };
    session_secret(headers).or(bearer(headers)).is_some_and(is_known)
}

/// What an `Authorization: Bearer` header holds.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// The session's secret in the request's cookies.
pub(super) fn session_secret(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, SESSION_COOKIE)
}

fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == wanted).then_some(value))
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
    let message = "sign in first (POST /admin/api/v1/session), or send a token of the admin API as a bearer token";
    AdminError::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
}
