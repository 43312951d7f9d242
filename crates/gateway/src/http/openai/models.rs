//! `GET /v1/models`, from a table: no upstream call. A key that may not use all models sees those it may.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use protocol::model::{CatalogueEntry, catalogue};
use serde_json::{Value, json};

use crate::http::ApiState;
use crate::http::caller::authenticate;
use crate::http::error::ApiError;
use crate::http::request_id::RequestId;

/// Clients want a real time; the day the present modes appeared is as good as any.
const CREATED: i64 = 1_774_224_000;

pub(in crate::http) async fn list_models(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request_id: axum::Extension<RequestId>,
) -> Response {
    let key = match authenticate(&state, &headers) {
        Ok(key) => key,
        Err(error) => return error.into_response(&request_id.0.0),
    };
    let models: Vec<Value> = catalogue().iter().filter(|entry| key.allows(entry.id)).map(shown).collect();
    Json(json!({ "object": "list", "data": models })).into_response()
}

pub(in crate::http) async fn get_model(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    request_id: axum::Extension<RequestId>,
) -> Response {
    let key = match authenticate(&state, &headers) {
        Ok(key) => key,
        Err(error) => return error.into_response(&request_id.0.0),
    };
    // A name that is not even text is no model's name.
    let id = id.map(|Path(id)| id).unwrap_or_default();
    match catalogue().iter().find(|entry| entry.id == id && key.allows(entry.id)) {
        Some(entry) => Json(shown(entry)).into_response(),
        None => ApiError::model_not_found(&id).into_response(&request_id.0.0),
    }
}

fn shown(entry: &CatalogueEntry) -> Value {
    json!({
        "id": entry.id,
        "object": "model",
        "created": CREATED,
        "owned_by": "xai",
        "description": entry.description,
        "context_length": entry.context_length,
        "mode": entry.mode,
        "minimum_tier": entry.minimum_tier.label(),
        "reasoning": entry.reasoning,
    })
}
