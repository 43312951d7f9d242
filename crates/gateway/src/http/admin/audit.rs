//! `GET /audit`: who changed what.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use super::query::Parameters;
use crate::admins::AuditEntry;
use crate::store::audit_trail::AuditQuery;

/// A window of the audit trail, newest first.
#[derive(Serialize)]
pub(super) struct AuditList {
    items: Vec<AuditEntry>,
    /// `before=` of the next, older window; `null` at the end.
    next: Option<String>,
    /// `after=` of the window before, with what is newer.
    prev: Option<String>,
}

/// `GET /audit?actor=&action=&subject=&before=&after=&limit=`
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
    let id = |entry: Option<&AuditEntry>| entry.map(|entry| entry.id().to_owned());
    let next = if has_more || forwards { id(items.last()) } else { None };
    Ok(Json(AuditList { next, prev: id(items.first()), items }))
}
