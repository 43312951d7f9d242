//! `/keys`: API keys. A secret is told once, in the answer that makes the key.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::error::AdminError;
use super::identifiers::{ResourceId, etag, if_match_number};
use crate::clock::timestamp;
use crate::keys::{KeyPatch, KeyReasoning, KeyView};

/// `GET /keys`: all keys, oldest first.
pub(super) async fn list(State(state): State<AdminState>, _: Caller) -> Json<Value> {
    let items: Vec<Value> = state.keys.list().iter().map(shown).collect();
    Json(json!({ "total": items.len(), "items": items }))
}

/// `POST /keys`: one key, or `count` numbered ones.
pub(super) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    mut body: Members,
) -> Result<Response, AdminError> {
    let name = body.required_text("name");
    let count = body.count("count").unwrap_or(1);
    body.finish()?;
    let new = state.keys.create(&name, count).await?;
    tracing::info!(admin = caller.session.username, count = new.len(), "an admin made API keys");
    let keys: Vec<Value> = new
        .iter()
        .map(|new| {
            let mut key = shown(&new.key);
            key["key"] = json!(new.secret);
            key
        })
        .collect();
    Ok((StatusCode::CREATED, Json(json!({ "keys": keys }))).into_response())
}

/// `GET /keys/{id}`
pub(super) async fn show(State(state): State<AdminState>, _: Caller, id: ResourceId) -> Result<Response, AdminError> {
    let id = id.of_kind("key_")?;
    let key = state.keys.get(&id).ok_or_else(|| AdminError::not_found("there is no such key"))?;
    Ok(answer(&key))
}

/// `PATCH /keys/{id}`: name, enabled, and how reasoning is shown (`null`: as the settings say).
pub(super) async fn edit(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    headers: HeaderMap,
    mut body: Members,
) -> Result<Response, AdminError> {
    let id = id.of_kind("key_")?;
    let version = if_match_number(&headers)?;
    let patch = KeyPatch { name: body.text("name"), enabled: body.flag("enabled"), reasoning: reasoning(&mut body) };
    body.finish()?;
    let key = state.keys.patch(&id, patch, version).await?;
    tracing::info!(admin = caller.session.username, key = id, "an admin changed an API key");
    Ok(answer(&key))
}

/// `DELETE /keys/{id}`
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<StatusCode, AdminError> {
    let id = id.of_kind("key_")?;
    state.keys.delete(&id).await?;
    tracing::info!(admin = caller.session.username, key = id, "an admin deleted an API key");
    Ok(StatusCode::NO_CONTENT)
}

fn reasoning(body: &mut Members) -> Option<Option<KeyReasoning>> {
    let Some(name) = body.nullable_text("reasoning")? else { return Some(None) };
    match KeyReasoning::parse(&name) {
        Some(reasoning) => Some(Some(reasoning)),
        None => {
            let names: Vec<&str> = KeyReasoning::ALL.iter().map(|reasoning| reasoning.as_str()).collect();
            body.refuse("reasoning", "choice", format!("must be null or one of {}", names.join(", ")))
        }
    }
}

fn answer(key: &KeyView) -> Response {
    ([etag(key.version)], Json(shown(key))).into_response()
}

fn shown(key: &KeyView) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "preview": key.preview,
        "enabled": key.enabled,
        "reasoning": key.reasoning.map(KeyReasoning::as_str),
        "created_at": timestamp(key.created_at),
        "last_used_at": key.last_used_at.map(timestamp),
        "version": key.version,
    })
}
