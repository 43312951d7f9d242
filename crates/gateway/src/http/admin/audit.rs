//! `GET /audit`: who changed what.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use super::query::Parameters;
use crate::admins::AuditEntry;
use crate::store::audit_trail::AuditQuery;

/// A window of the audit trail, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditList {
    items: Vec<AuditEntry>,
    /// `before=` of the next, older window; `null` at the end.
    next: Option<String>,
    /// `after=` of the window before, with what is newer.
    prev: Option<String>,
}

/// `GET /audit?actor=&action=&subject=&before=&after=&limit=`
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "audit_list",
    tag = "system",
    params(
        ("actor" = Option<String>, Query, description = "An admin or a token, by name."),
        ("action" = Option<String>, Query, description = "What was done (`key.update`), or to what kind of thing (`key`)."),
        ("subject" = Option<String>, Query, description = "The id of the thing."),
        ("before" = Option<String>, Query, description = "Only what is older than this entry."),
        ("after" = Option<String>, Query, description = "Only what is newer than this entry."),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "A window of the audit trail, newest first.", body = AuditList)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<AuditList>, AdminError> {
    let limit = parameters.limit();
    let query = AuditQuery {
        actor: parameters.take("actor"),
        action: parameters.take("action"),
        subject: parameters.take("subject"),
        before: parameters.take("before"),
        after: parameters.take("after"),
        // One more than is shown tells whether there are others.
        limit: i64::try_from(limit + 1).unwrap_or(i64::MAX),
    };
    if query.before.is_some() && query.after.is_some() {
        parameters.refuse("after", "conflict", "cannot be given together with before");
    }
    parameters.finish()?;
    let mut items = state.trail.list(&query).await?;
    let has_more = items.len() > limit;
    let forwards = query.after.is_some();
    if has_more && forwards {
        items.remove(0);
    }
    items.truncate(limit);
    let id = |entry: Option<&AuditEntry>| entry.map(|entry| entry.id.clone());
    let next = if has_more || forwards { id(items.last()) } else { None };
    Ok(Json(AuditList { next, prev: id(items.first()), items }))
}
