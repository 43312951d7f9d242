//! `/settings`: the hot configuration, and what it was.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::body::{JsonBody, Members};
use super::caller::Caller;
use super::described::{AdminErrorBody, ResetRequest};
use super::error::AdminError;
use super::identifiers::{ResourceId, etag, if_match};
use super::query::Parameters;
use crate::admins::Change;
use crate::clock::timestamp;
use crate::settings::{Schema, SettingChange, SettingsHandle, SettingsPatch, SettingsValues, schema};

/// Changes in the history that are shown.
const SHOWN: usize = 50;

/// The values in force.
#[derive(Serialize, ToSchema)]
pub(super) struct SettingsBody {
    /// Secrets are masked.
    #[schema(value_type = SettingsValues)]
    values: Map<String, Value>,
    /// What `If-Match` has to hold.
    version: String,
    #[schema(value_type = SettingsValues)]
    defaults: Map<String, Value>,
}

/// One change of the settings.
#[derive(Serialize, ToSchema)]
pub(super) struct HistoryBody {
    id: String,
    at: String,
    /// An admin, a token, `file` for a hand edit, `start` for the beginning.
    actor: String,
    changes: Vec<SettingChange>,
}

/// Changes of the settings, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct HistoryList {
    items: Vec<HistoryBody>,
}

/// `GET /settings`: values in force (secrets masked), their version, and the defaults.
#[utoipa::path(
    get,
    path = "/settings",
    operation_id = "settings_show",
    tag = "settings",
    responses((status = 200, description = "The values in force.", body = SettingsBody, headers(("ETag" = String)))),
)]
pub(super) async fn show(State(state): State<AdminState>, _: Caller) -> Response {
    shown(&state.settings)
}

/// `GET /settings/schema`: what each setting is, in both languages.
#[utoipa::path(
    get,
    path = "/settings/schema",
    operation_id = "settings_described",
    tag = "settings",
    responses((status = 200, description = "What each setting is.", body = Schema)),
)]
pub(super) async fn described(_: Caller) -> Json<Schema> {
    Json(schema())
}

/// `PATCH /settings`: a JSON merge patch. Two people who edit at once must notice, so the version seen is required.
#[utoipa::path(
    patch,
    path = "/settings",
    operation_id = "settings_edit",
    tag = "settings",
    params(
        ("If-Match" = Option<String>, Header, description = "Required. The version that the caller saw, in quotes, as `ETag` gave it.", example = "\"3\""),
    ),
    request_body = SettingsPatch,
    responses((status = 200, description = "The values in force now.", body = SettingsBody, headers(("ETag" = String))), (status = 409, description = "The settings file holds something that cannot be used.", body = AdminErrorBody), (status = 428, description = "`If-Match` is missing.", body = AdminErrorBody)),
)]
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
    let work = move |settings: &SettingsHandle| settings.patch(&patch, version.as_deref()).map(drop);
    let changes = state.history.change(caller.name(), work).await?;
    note(&state, &caller, "settings.update", &changes).await;
    Ok(shown(&state.settings))
}

/// `POST /settings/reset`: back to the defaults, for the settings in `keys`.
#[utoipa::path(
    post,
    path = "/settings/reset",
    operation_id = "settings_reset",
    tag = "settings",
    params(
        ("If-Match" = Option<String>, Header, description = "The version that the caller saw, in quotes, as `ETag` gave it.", example = "\"3\""),
    ),
    request_body = ResetRequest,
    responses((status = 200, description = "The values in force now.", body = SettingsBody, headers(("ETag" = String))), (status = 409, description = "The settings file holds something that cannot be used.", body = AdminErrorBody)),
)]
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
    let work = move |settings: &SettingsHandle| settings.reset(&names, version.as_deref()).map(drop);
    let changes = state.history.change(caller.name(), work).await?;
    note(&state, &caller, "settings.reset", &changes).await;
    Ok(shown(&state.settings))
}

/// `POST /settings/validate`: whether a merge patch would be accepted.
#[utoipa::path(
    post,
    path = "/settings/validate",
    operation_id = "settings_validate",
    tag = "settings",
    request_body = SettingsPatch,
    responses((status = 204, description = "The patch would be accepted.")),
)]
pub(super) async fn validate(
    State(state): State<AdminState>,
    _: Caller,
    JsonBody(patch): JsonBody,
) -> Result<StatusCode, AdminError> {
    state.settings.with(&patch)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /settings/history`: the last changes, newest first.
#[utoipa::path(
    get,
    path = "/settings/history",
    operation_id = "settings_history",
    tag = "settings",
    params(
        ("limit" = Option<u32>, Query, description = "Changes in the answer; 50 unless given.", minimum = 1, maximum = 200),
    ),
    responses((status = 200, description = "The last changes, newest first.", body = HistoryList)),
)]
pub(super) async fn history(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<HistoryList>, AdminError> {
    let limit = parameters.number("limit", 1..=200).unwrap_or(SHOWN);
    parameters.finish()?;
    let entries = state.history.list(limit).await?;
    let items = entries.into_iter().map(|entry| HistoryBody {
        id: entry.id,
        at: timestamp(entry.at),
        actor: entry.actor,
        changes: entry.changes,
    });
    Ok(Json(HistoryList { items: items.collect() }))
}

/// `POST /settings/history/{id}/actions/revert`: the settings as they were after that change.
#[utoipa::path(
    post,
    path = "/settings/history/{id}/actions/revert",
    operation_id = "settings_revert",
    tag = "settings",
    params(
        ("id" = String, Path, description = "The change.", example = "set_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("If-Match" = Option<String>, Header, description = "The version that the caller saw, in quotes, as `ETag` gave it.", example = "\"3\""),
    ),
    responses((status = 200, description = "The values in force now.", body = SettingsBody, headers(("ETag" = String))), (status = 409, description = "The settings of that time, or the file, cannot be read.", body = AdminErrorBody)),
)]
pub(super) async fn revert(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    headers: HeaderMap,
) -> Result<Response, AdminError> {
    let id = id.of_kind("set_")?;
    let changes = state.history.revert(caller.name(), &id, if_match(&headers)?).await?;
    note(&state, &caller, "settings.revert", &changes).await;
    Ok(shown(&state.settings))
}

async fn note(state: &AdminState, caller: &Caller, action: &'static str, changes: &[SettingChange]) {
    if !changes.is_empty() {
        state.note(caller, settings_change(action, changes)).await;
    }
}

/// A change of the settings as the audit trail has it.
pub(crate) fn settings_change(action: &'static str, changes: &[SettingChange]) -> Change {
    let side = |value: fn(&SettingChange) -> &Value| {
        let members = changes.iter().map(|change| (change.name.clone(), value(change).clone()));
        Value::Object(members.collect())
    };
    Change { action, subject: None, before: side(|change| &change.before), after: side(|change| &change.after) }
}

fn shown(settings: &SettingsHandle) -> Response {
    let (values, version) = settings.shown();
    let etag = etag(&version);
    ([etag], Json(SettingsBody { values, version, defaults: SettingsHandle::defaults() })).into_response()
}

/// What a stream is told when the settings have changed.
pub(crate) fn settings_event(version: &str) -> Value {
    json!({ "version": version })
}
