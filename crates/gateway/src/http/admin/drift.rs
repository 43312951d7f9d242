//! `GET` and `DELETE /system/drift`: what the upstream said that this version does not know.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use crate::admins::Change;
use crate::clock::timestamp;

/// What is not known, the last seen first.
#[derive(Serialize, ToSchema)]
pub(super) struct DriftList {
    items: Vec<DriftItem>,
}

/// One unknown thing.
#[derive(Serialize, ToSchema)]
pub(super) struct DriftItem {
    /// `websocket` or `rest`.
    transport: String,
    /// What it is and what it calls itself, for instance `event:response.new` or `error:NewKind`.
    kind: String,
    /// How often it came.
    count: i64,
    first_at: String,
    last_at: String,
    /// Its shape: names of members and types of values, nothing else.
    sample: String,
}

/// `GET /system/drift`
#[utoipa::path(
    get,
    path = "/system/drift",
    operation_id = "drift_list",
    tag = "system",
    responses((status = 200, description = "What the upstream said that is not known here.", body = DriftList)),
)]
pub(super) async fn list(State(state): State<AdminState>, _: Caller) -> Result<Json<DriftList>, AdminError> {
    let rows = state.store.drift().await?;
    let items = rows.into_iter().map(|row| DriftItem {
        transport: row.transport,
        kind: row.kind,
        count: row.count,
        first_at: timestamp(row.first_at),
        last_at: timestamp(row.last_at),
        sample: row.sample,
    });
    Ok(Json(DriftList { items: items.collect() }))
}

/// `DELETE /system/drift`
#[utoipa::path(
    delete,
    path = "/system/drift",
    operation_id = "drift_clear",
    tag = "system",
    responses((status = 204, description = "Forgotten.")),
)]
pub(super) async fn clear(State(state): State<AdminState>, caller: Caller) -> Result<StatusCode, AdminError> {
    state.store.clear_drift().await?;
    state.note(&caller, Change::new("drift.clear", "drift")).await;
    Ok(StatusCode::NO_CONTENT)
}
