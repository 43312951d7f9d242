//! `GET /accounts/{id}/history`: what became of an account, and who changed it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use super::identifiers::ResourceId;
use super::query::Parameters;
use crate::accounts::HistoryEntry;
use crate::admins::AuditEntry;
use crate::store::audit_trail::AuditQuery;

/// Letters of an id after its kind. Of both kinds they begin with when they were made.
const ID: usize = 32;

/// One line: a change of the account's state, or of what a person has set.
#[derive(Serialize, ToSchema)]
struct HistoryLine {
    #[serde(flatten)]
    #[schema(inline)]
    entry: HistoryEntry,
    /// Where `kind` is `changed`, what a person did, as in the audit trail.
    action: Option<String>,
    /// The members that a person changed, as they were.
    before: Value,
    /// The members that a person changed, as they are.
    after: Value,
}

/// A window of an account's history, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountHistory {
    items: Vec<HistoryLine>,
    /// `before=` of the next, older window; `null` at the end.
    next: Option<String>,
}

/// `GET /accounts/{id}/history?before=&limit=`
#[utoipa::path(
    get,
    path = "/accounts/{id}/history",
    operation_id = "accounts_history",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account; also one that was deleted.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("before" = Option<String>, Query, description = "Only what is older than this line."),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "A window of its history of 30 days, newest first.", body = AccountHistory)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
    mut parameters: Parameters,
) -> Result<Json<AccountHistory>, AdminError> {
    let id = id.of_kind("acc_")?;
    let limit = parameters.limit();
    let before = parameters.take("before").map(|before| before.split_once('_').map_or("", |(_, id)| id).to_owned());
    if before.as_ref().is_some_and(|id| id.len() != ID || !id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        parameters.refuse("before", "format", "must be the id of a line of this history");
    }
    parameters.finish()?;
    let of_kind = |kind: &str| before.as_ref().map(|id| format!("{kind}_{id}"));
    // One more than is shown tells whether there are others.
    let asked = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let query = AuditQuery { subject: Some(id.clone()), before: of_kind("aud"), limit: asked, ..AuditQuery::default() };
    let states = state.accounts.history(&id, of_kind("ach").as_deref(), asked).await?;
    let changes = state.trail.list(&query).await?;
    if states.is_empty() && changes.is_empty() && before.is_none() && state.accounts.get(&id).is_none() {
        return Err(AdminError::not_found("there is no such account"));
    }
    let mut items: Vec<HistoryLine> =
        states.into_iter().map(of_state).chain(changes.into_iter().map(of_change)).collect();
    items.sort_unstable_by(|left, right| made(right).cmp(made(left)));
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = has_more.then(|| items.last().map(|line| line.entry.id.clone())).flatten();
    // Only now, so that windows meet: what the state's own lines tell already.
    items.retain(|line| !is_told_by_state(line));
    Ok(Json(AccountHistory { items, next }))
}

fn made(line: &HistoryLine) -> &str {
    line.entry.id.split_once('_').map_or("", |(_, id)| id)
}

fn of_state(entry: HistoryEntry) -> HistoryLine {
    HistoryLine { entry, action: None, before: Value::Null, after: Value::Null }
}

fn of_change(change: AuditEntry) -> HistoryLine {
    HistoryLine {
        entry: HistoryEntry {
            id: change.id,
            at: change.at,
            kind: "changed".to_owned(),
            cause: "person".to_owned(),
            actor: Some(change.actor),
            mode: None,
            reason: None,
            until: None,
            request_id: None,
        },
        action: Some(change.action),
        before: change.before,
        after: change.after,
    }
}

/// The end of a rest, the switch and what came and went stand in the history as what they did.
fn is_told_by_state(line: &HistoryLine) -> bool {
    let only_state = |members: &Value| {
        let names = members.as_object().map(|members| members.keys()).into_iter().flatten();
        names.into_iter().all(|name| ["enabled", "state", "rests", "consecutive_failures"].contains(&name.as_str()))
    };
    match line.action.as_deref() {
        Some("account.clear_cooldown" | "account.create" | "account.delete" | "account.purge" | "account.restore") => {
            true
        }
        Some("account.update") => !line.after.is_null() && only_state(&line.before) && only_state(&line.after),
        _ => false,
    }
}
