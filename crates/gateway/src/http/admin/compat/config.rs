//! `/config`: the settings, under the name they had.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::super::AdminState;
use super::super::body::Members;
use super::super::error::AdminError;
use super::super::query::Parameters;
use super::super::settings::settings_change;
use super::OldCaller;
use crate::settings::{HistoryError, SettingsError, SettingsHandle, schema};

/// `GET /config`: schema, groups and values, secrets masked.
pub(super) async fn show(State(state): State<AdminState>, _: OldCaller) -> Result<Json<Value>, AdminError> {
    let schema = serde_json::to_value(schema()).map_err(AdminError::internal)?;
    let (values, _) = state.settings.shown();
    let by_name = |entries: &Value| {
        let entries = entries.as_array().into_iter().flatten();
        let members = entries.filter_map(|entry| Some((entry["name"].as_str()?.to_owned(), entry.clone())));
        Value::Object(members.collect())
    };
    let settings = by_name(&schema["settings"]);
    let groups = by_name(&schema["groups"]);
    Ok(Json(json!({ "schema": settings, "groups": groups, "values": values })))
}

/// `POST /config` `{config}`: each setting by itself; a bad value is told beside its name, with 200.
pub(super) async fn change(
    State(state): State<AdminState>,
    caller: OldCaller,
    mut body: Members,
) -> Result<Json<Value>, AdminError> {
    let config = body.object("config").unwrap_or_default();
    body.finish()?;
    let mut results = Map::new();
    for (name, value) in config {
        let patch = json!({ name.clone(): value });
        let work = move |settings: &SettingsHandle| settings.patch(&patch, None).map(drop);
        let result = match state.history.change(caller.0.name(), work).await {
            Ok(changes) => {
                if !changes.is_empty() {
                    state.note(&caller.0, settings_change("settings.update", &changes)).await;
                }
                json!({ "success": true })
            }
            Err(HistoryError::Settings(error @ SettingsError::Invalid { .. })) => {
                json!({ "success": false, "error": error.to_string() })
            }
            Err(error) => return Err(error.into()),
        };
        results.insert(name, result);
    }
    Ok(Json(json!({ "results": results })))
}

/// `POST /config/reset?key=`: one setting, or all without the parameter.
pub(super) async fn reset(
    State(state): State<AdminState>,
    caller: OldCaller,
    mut parameters: Parameters,
) -> Result<Json<Value>, AdminError> {
    let names = match parameters.take("key") {
        Some(name) => vec![name],
        None => SettingsHandle::defaults().keys().cloned().collect(),
    };
    parameters.finish()?;
    let work = move |settings: &SettingsHandle| settings.reset(&names, None).map(drop);
    let changes = state.history.change(caller.0.name(), work).await?;
    if !changes.is_empty() {
        state.note(&caller.0, settings_change("settings.reset", &changes)).await;
    }
    Ok(Json(json!({ "success": true })))
}
