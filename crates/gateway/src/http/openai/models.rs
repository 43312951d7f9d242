//! `GET /v1/models`, from a table: no upstream call. A key that may not use all models sees those it may.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::http::ApiState;
use crate::http::caller::{Asking, authenticate};
use crate::http::client_address::ClientAddress;
use crate::http::error::ApiError;
use crate::http::request_id::RequestId;
use crate::keys::ApiKey;
use crate::settings::NamedModel;

/// Clients want a real time; the day the present modes appeared is as good as any.
const CREATED: i64 = 1_774_224_000;

pub(in crate::http) async fn list_models(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request_id: axum::Extension<RequestId>,
    client: Option<axum::Extension<ClientAddress>>,
) -> Response {
    let client = client.map(|client| client.0);
    let asking = Asking { route: "/v1/models", headers: &headers, request_id: &request_id.0, client };
    let key = match authenticate(&state, &asking) {
        Ok(key) => key,
        Err(error) => return error.into_response(&request_id.0.0),
    };
    let models: Vec<Value> = listed(&state, &key).iter().map(shown).collect();
    Json(json!({ "object": "list", "data": models })).into_response()
}

pub(in crate::http) async fn get_model(
    State(state): State<ApiState>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    request_id: axum::Extension<RequestId>,
    client: Option<axum::Extension<ClientAddress>>,
) -> Response {
    let client = client.map(|client| client.0);
    let asking = Asking { route: "/v1/models", headers: &headers, request_id: &request_id.0, client };
    let key = match authenticate(&state, &asking) {
        Ok(key) => key,
        Err(error) => return error.into_response(&request_id.0.0),
    };
    // A name that is not even text is no model's name.
    let id = id.map(|Path(id)| id).unwrap_or_default();
    match listed(&state, &key).iter().find(|model| model.name == id) {
        Some(model) => Json(shown(model)).into_response(),
        None => ApiError::model_not_found(&id).into_response(&request_id.0.0),
    }
}

/// Names that the key may use now. Patterns are none.
fn listed(state: &ApiState, key: &ApiKey) -> Vec<NamedModel> {
    let mut models = state.settings.current().named_models();
    models.retain(|model| {
        !model.is_pattern() && model.enabled && (key.allows(&model.name) || key.allows(&model.model.id))
    });
    models
}

fn shown(model: &NamedModel) -> Value {
    let mut shown = json!({
        "id": model.name,
        "object": "model",
        "created": CREATED,
        "owned_by": "xai",
        "mode": model.model.mode.id(),
        "reasoning": model.model.reasoning,
    });
    if let Some(entry) = model.entry {
        shown["description"] = json!(entry.description);
        shown["context_length"] = json!(entry.context_length);
        shown["minimum_tier"] = json!(entry.minimum_tier.label());
    }
    if let Some(alias_of) = &model.alias_of {
        shown["alias_of"] = json!(alias_of);
    }
    shown
}
