//! Whether the service lives, whether it can work, and what it measures.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::ApiState;
use super::error::ApiError;
use super::request_id::RequestId;
use crate::store::TroubleKind;

/// The form that existing monitors read.
pub(super) async fn health() -> Response {
    Json(json!({ "status": "healthy", "service": "Grok2API", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// The process lives.
pub(super) async fn healthz() -> Response {
    (StatusCode::OK, "ok\n").into_response()
}

/// The process can work: every component with its state, 503 if one of them fails.
pub(super) async fn readyz(State(state): State<ApiState>) -> Response {
    let trouble = state.store.trouble().await;
    let is_ready = trouble.is_none();
    let database = match (trouble, state.store.damage()) {
        (Some(trouble), _) => json!({ "status": "failed", "code": trouble.kind, "message": trouble.message }),
        (None, Some(_)) => json!({ "status": "degraded", "code": TroubleKind::Damaged }),
        (None, None) => json!({ "status": "ok" }),
    };
    let exit = match state.exit.closed() {
        None => json!({ "status": "ok" }),
        Some(label) => json!({ "status": "degraded", "message": label }),
    };
    let body = json!({
        "status": if is_ready { "ready" } else { "not_ready" },
        "components": { "database": database, "upstream_exit": exit, "accounts": { "total": state.accounts.len() } },
    });
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// Prometheus text, for whoever sends an admin session: as the console's cookie, or as a bearer token. `--metrics-listen` serves it without.
pub(super) async fn metrics(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request_id: axum::Extension<RequestId>,
) -> Response {
    if super::admin::is_signed_in(&state.admins, &headers) {
        render_metrics(&state)
    } else {
        ApiError::forbidden_metrics().into_response(&request_id.0.0)
    }
}

/// The metrics of this moment.
pub(super) fn render_metrics(state: &ApiState) -> Response {
    for (name, count) in state.accounts.summary().states {
        state.metrics.accounts(name, count);
    }
    state.metrics.writer(state.writer.waiting(), state.writer.dropped());
    state.metrics.exit_opened(state.exit.opened());
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], state.metrics.render()).into_response()
}
