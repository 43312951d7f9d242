//! The admin routes of the Python Grok2API that scripts use (login, tokens, config), as a thin layer over the present ones, for one
//! major version. Answers carry a `Deprecation` header and name the successor.
//!
//! What differs from then: an account is named by its fingerprint in every answer; where a raw token went in, it still may, and a
//! fingerprint as well.

mod config;
mod tokens;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::body::StrangersMembers;
use super::caller::{actor, bearer, open_session};
use super::error::{self, AdminError};
use super::{AdminState, Caller};
use crate::admins::{Actor, ActorKind, AdminsError, Browser, Change, Scope, SignIn, TOKEN_PREFIX};
use crate::http::request_id::RequestId;

/// 1 September 2026, as the header wants it.
const DEPRECATED_SINCE: &str = "@1788220800";

/// The routes, relative to `/admin/api`.
pub(crate) fn router(state: AdminState) -> Router {
    let scoped = |scope: Scope| Extension(scope);
    let tokens = Router::new()
        .route("/tokens", get(tokens::list).post(tokens::add).patch(tokens::edit).delete(tokens::delete))
        .route("/tokens/batch", post(tokens::add_many).delete(tokens::delete_many))
        .layer(scoped(Scope::Accounts));
    let config = Router::new()
        .route("/config", get(config::show).post(config::change))
        .route("/config/reset", post(config::reset))
        .layer(scoped(Scope::Settings));
    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .merge(tokens)
        .merge(config)
        .route("/", any(error::unknown_route))
        .route("/{*path}", any(error::unknown_route))
        .method_not_allowed_fallback(error::unknown_method)
        .layer(from_fn(deprecate))
        .layer(from_fn(error::finish))
        .with_state(state)
}

/// Who calls: with a session or a token of the admin API as bearer. No browser sends that along by itself, so nothing is forged.
struct OldCaller(Caller);

impl FromRequestParts<AdminState> for OldCaller {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, AdminError> {
        let secret = bearer(&parts.headers).map(str::to_owned).ok_or_else(|| {
            let message = "send the token that POST /admin/api/login gave as a bearer token";
            AdminError::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
        })?;
        if secret.starts_with(TOKEN_PREFIX) {
            let scope = parts.extensions.get::<Scope>().copied().unwrap_or(Scope::All);
            let needed = (parts.method != Method::GET).then_some(scope);
            let token = state.admins.authenticate_token(&secret, needed)?;
            return Ok(Self(Caller::token(token.id, actor(ActorKind::Token, token.name, parts))));
        }
        let session = open_session(&state.admins, &secret)?;
        let actor = actor(ActorKind::Session, session.username.clone(), parts);
        Ok(Self(Caller::person(session, actor)))
    }
}

/// `POST /login` `{username, password}`: 200 also when they are wrong; `success` tells.
async fn login(
    State(state): State<AdminState>,
    browser: Browser,
    Extension(request_id): Extension<RequestId>,
    StrangersMembers(mut body): StrangersMembers,
) -> Result<Response, AdminError> {
    let (username, password) = (body.required_text("username"), body.required_text("password"));
    body.finish()?;
    let address = browser.address;
    match state.admins.sign_in(SignIn { username, password, remember: true, browser }).await {
        Ok(new) => {
            let actor = Actor {
                kind: ActorKind::Session,
                name: new.session.username.clone(),
                address: Some(address),
                request_id: Some(request_id.0),
            };
            state.trail.record(&actor, Change::new("session.create", &new.session.id)).await;
            Ok(Json(json!({ "success": true, "token": new.token, "message": "signed in" })).into_response())
        }
        Err(error @ (AdminsError::WrongCredentials | AdminsError::Throttled { .. })) => {
            tracing::warn!(%address, %error, "a sign-in was refused");
            let body = json!({ "success": false, "token": Value::Null, "message": error.to_string() });
            Ok(Json(body).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /logout`
async fn logout(State(state): State<AdminState>, OldCaller(caller): OldCaller) -> Result<Json<Value>, AdminError> {
    if let Some(session) = caller.session() {
        state.admins.sign_out(session).await?;
        state.note(&caller, Change::new("session.delete", &session.id)).await;
    }
    Ok(Json(json!({ "success": true, "message": "signed out" })))
}

/// Says of every answer that its route will go, and what takes its place.
async fn deprecate(request: Request, next: Next) -> Response {
    let successor = match request.uri().path().trim_start_matches("/admin/api").split('/').nth(1) {
        Some("login" | "logout") => "/admin/api/v1/session",
        Some("config") => "/admin/api/v1/settings",
        _ => "/admin/api/v1/accounts",
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("deprecation"), HeaderValue::from_static(DEPRECATED_SINCE));
    if let Ok(link) = HeaderValue::try_from(format!("<{successor}>; rel=\"successor-version\"")) {
        headers.insert(header::LINK, link);
    }
    response
}
