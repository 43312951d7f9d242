//! `/sessions`: who is signed in, and where; and how to end that.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::{Caller, Person};
use super::error::AdminError;
use super::identifiers::ResourceId;
use crate::admins::{Change, Session, SessionView};
use crate::clock::timestamp;

/// A signed-in browser.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionBody {
    id: String,
    username: String,
    /// Whether it is the caller's own.
    current: bool,
    remember: bool,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
    idle_expires_at: String,
    address: Option<String>,
    user_agent: Option<String>,
}

/// All sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    items: Vec<SessionBody>,
    total: usize,
}

/// `GET /sessions`: the last used first.
#[utoipa::path(
    get,
    path = "/sessions",
    operation_id = "sessions_list",
    tag = "session",
    responses((status = 200, description = "Who is signed in, the last used first.", body = SessionList)),
)]
pub(super) async fn list(State(state): State<AdminState>, caller: Caller) -> Json<SessionList> {
    let own = caller.session().map(|session| session.id.clone());
    let items: Vec<SessionBody> = state.admins.sessions().into_iter().map(|view| shown(view, own.as_deref())).collect();
    Json(SessionList { total: items.len(), items })
}

/// `DELETE /sessions`: ends all but the caller's own.
#[utoipa::path(
    delete,
    path = "/sessions",
    operation_id = "sessions_delete_others",
    tag = "session",
    responses((status = 204, description = "All sessions but the caller's own have ended.")),
)]
pub(super) async fn delete_others(
    State(state): State<AdminState>,
    Person { caller, session: own }: Person,
) -> Result<StatusCode, AdminError> {
    let others = state.admins.sessions().into_iter().map(|view| view.session).filter(|session| session.id != own.id);
    for session in others {
        end(&state, &caller, &session).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /sessions/{id}`
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    operation_id = "sessions_delete",
    tag = "session",
    params(
        ("id" = String, Path, description = "The session.", example = "ses_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 204, description = "The session has ended.")),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<StatusCode, AdminError> {
    let id = id.of_kind("ses_")?;
    let view = state.admins.sessions().into_iter().find(|view| view.session.id == id);
    let view = view.ok_or_else(|| AdminError::not_found("there is no such session"))?;
    end(&state, &caller, &view.session).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn end(state: &AdminState, caller: &Caller, session: &Session) -> Result<(), AdminError> {
    state.admins.sign_out(session).await?;
    state.note(caller, Change::new("session.delete", &session.id)).await;
    Ok(())
}

fn shown(view: SessionView, own: Option<&str>) -> SessionBody {
    let session = view.session;
    SessionBody {
        current: own == Some(session.id.as_str()),
        id: session.id,
        username: session.username,
        remember: session.remember,
        created_at: timestamp(session.created_at),
        last_seen_at: timestamp(view.last_seen_at),
        expires_at: timestamp(session.expires_at),
        idle_expires_at: timestamp(session.idle_expires_at),
        address: view.address,
        user_agent: view.user_agent,
    }
}
