//! `/settings`: the hot configuration.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::AdminState;
use super::body::{JsonBody, Members};
use super::caller::Caller;
use super::error::AdminError;
use super::identifiers::{etag, if_match};
use crate::settings::{SettingsError, SettingsHandle, schema};

/// `GET /settings`: values in force (secrets masked), their version, and the defaults.
pub(super) async fn show(State(state): State<AdminState>, _: Caller) -> Response {
    shown(&state.settings)
}

/// `GET /settings/schema`: what each setting is, in both languages.
pub(super) async fn described(_: Caller) -> Json<Value> {
    Json(json!({ "settings": schema() }))
}

/// `PATCH /settings`: a JSON merge patch. Two people who edit at once must notice, so the version seen is required.
pub(super) async fn edit(
    State(state): State<AdminState>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(patch): JsonBody,
) -> Result<Response, AdminError> {
    if !headers.contains_key(header::IF_MATCH) {
        let message = "send If-Match with the version that GET /settings gave";
        return Err(AdminError::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", message));
    }
    let version = if_match(&headers)?;
    change(&state.settings, move |settings| settings.patch(&patch, version.as_deref()).map(drop)).await?;
    tracing::info!(admin = caller.session.username, "an admin changed settings");
    Ok(shown(&state.settings))
}

/// `POST /settings/reset`: back to the defaults, for the settings in `keys`.
pub(super) async fn reset(
    State(state): State<AdminState>,
    caller: Caller,
    headers: HeaderMap,
    mut body: Members,
) -> Result<Response, AdminError> {
    let version = if_match(&headers)?;
    let names = match body.texts("keys") {
        Some(names) => names,
        None => body.refuse("keys", "required", "must name the settings to reset").unwrap_or_default(),
    };
    body.finish()?;
    change(&state.settings, move |settings| settings.reset(&names, version.as_deref()).map(drop)).await?;
    tracing::info!(admin = caller.session.username, "an admin reset settings");
    Ok(shown(&state.settings))
}

/// Settings wait for the disk, which must not hold up other requests.
async fn change(
    settings: &SettingsHandle,
    work: impl FnOnce(&SettingsHandle) -> Result<(), SettingsError> + Send + 'static,
) -> Result<(), AdminError> {
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || work(&settings)).await.map_err(AdminError::internal)?.map_err(AdminError::from)
}

fn shown(settings: &SettingsHandle) -> Response {
    let (values, version) = settings.shown();
    let body = json!({ "values": values, "version": version, "defaults": SettingsHandle::defaults() });
    ([etag(&version)], Json(body)).into_response()
}
