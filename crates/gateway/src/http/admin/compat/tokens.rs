//! `/tokens`: the accounts, under the name they had.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::AdminState;
use super::super::body::{LargeMembers, Members};
use super::super::error::AdminError;
use super::OldCaller;
use crate::accounts::{AccountError, AccountPatch, AccountQuery, AccountView, Edited, NewAccount};
use crate::admins::Change;
use crate::clock::parse_timestamp;

/// `GET /tokens`: all of them, and counters.
pub(super) async fn list(State(state): State<AdminState>, _: OldCaller) -> Result<Json<Value>, AdminError> {
    let everything = AccountQuery { limit: usize::MAX, ..AccountQuery::default() };
    let now = state.clock.now_ms();
    let tokens: Vec<Value> = state.accounts.first(&everything)?.0.iter().map(|account| shown(account, now)).collect();
    let summary = state.accounts.summary();
    let count = |name: &str| summary.states.get(name).copied().unwrap_or(0);
    let stats = json!({
        "total": summary.total,
        "active": summary.able(),
        "cooldown": count("cooling") + count("exhausted"),
        "invalid": count("invalid"),
        "disabled": count("disabled"),
    });
    Ok(Json(json!({ "tokens": tokens, "stats": stats })))
}

/// `POST /tokens` `{token, name, enabled}`: adds one; 409 if it is known.
pub(super) async fn add(
    State(state): State<AdminState>,
    caller: OldCaller,
    mut body: Members,
) -> Result<Json<Value>, AdminError> {
    let token = body.required_text("token");
    let (name, enabled) = (body.text("name"), body.flag("enabled").unwrap_or(true));
    body.finish()?;
    let account = add_one(&state, &caller, token, name, enabled).await?;
    Ok(Json(json!({ "success": true, "token": account.fingerprint, "id": account.id })))
}

/// `POST /tokens/batch` `{tokens, name, enabled}`: adds many and counts what became of them.
pub(super) async fn add_many(
    State(state): State<AdminState>,
    caller: OldCaller,
    LargeMembers(mut body): LargeMembers,
) -> Result<Json<Value>, AdminError> {
    let tokens = required_tokens(&mut body);
    let (name, enabled) = (body.text("name"), body.flag("enabled").unwrap_or(true));
    body.finish()?;
    let (mut added, mut duplicates, mut empty, mut invalid) = (0, 0, 0, 0);
    for token in tokens {
        if token.trim().is_empty() {
            empty += 1;
            continue;
        }
        let new = NewAccount { token, label: name.clone(), tags: Vec::new(), enabled };
        match state.accounts.add(new, caller.0.name()).await {
            Ok(account) => {
                added += 1;
                let change = Change::new("account.create", &account.id).between(&Value::Null, &account);
                state.note(&caller.0, change).await;
            }
            Err(AccountError::Duplicate { .. }) => duplicates += 1,
            Err(AccountError::InvalidToken(_)) => invalid += 1,
            Err(error) => return Err(error.into()),
        }
    }
    if added > 0 {
        state.events.publish("account.list_changed", "accounts", "", &json!({}));
    }
    Ok(Json(json!({ "added": added, "duplicates": duplicates, "empty": empty, "invalid": invalid })))
}

/// `PATCH /tokens` `{token, name, enabled}`
pub(super) async fn edit(
    State(state): State<AdminState>,
    caller: OldCaller,
    mut body: Members,
) -> Result<Json<Value>, AdminError> {
    let token = body.required_text("token");
    let patch = AccountPatch { label: body.text("name"), enabled: body.flag("enabled"), ..AccountPatch::default() };
    body.finish()?;
    let before = find(&state, &token).ok_or_else(unknown)?;
    let Edited { before, after } = state.accounts.patch(&before.id, patch, None, caller.0.name()).await?;
    state.note(&caller.0, Change::new("account.update", &after.id).between(&before, &after)).await;
    Ok(Json(json!({ "success": true, "token": after.fingerprint, "id": after.id })))
}

/// `DELETE /tokens` `{token}`
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: OldCaller,
    mut body: Members,
) -> Result<Json<Value>, AdminError> {
    let token = body.required_text("token");
    body.finish()?;
    let account = find(&state, &token).ok_or_else(unknown)?;
    delete_one(&state, &caller, &account).await?;
    Ok(Json(json!({ "success": true, "removed": 1, "not_found": 0 })))
}

/// `DELETE /tokens/batch` `{tokens}`
pub(super) async fn delete_many(
    State(state): State<AdminState>,
    caller: OldCaller,
    LargeMembers(mut body): LargeMembers,
) -> Result<Json<Value>, AdminError> {
    let tokens = required_tokens(&mut body);
    body.finish()?;
    let (mut removed, mut not_found) = (0, 0);
    for token in tokens {
        match find(&state, &token) {
            Some(account) => {
                delete_one(&state, &caller, &account).await?;
                removed += 1;
            }
            None => not_found += 1,
        }
    }
    Ok(Json(json!({ "removed": removed, "not_found": not_found })))
}

fn required_tokens(body: &mut Members) -> Vec<String> {
    match body.texts("tokens") {
        Some(tokens) => tokens,
        None => body.refuse("tokens", "required", "must be a list of tokens").unwrap_or_default(),
    }
}

async fn add_one(
    state: &AdminState,
    caller: &OldCaller,
    token: String,
    label: Option<String>,
    enabled: bool,
) -> Result<AccountView, AdminError> {
    let account = state.accounts.add(NewAccount { token, label, tags: Vec::new(), enabled }, caller.0.name()).await?;
    state.note(&caller.0, Change::new("account.create", &account.id).between(&Value::Null, &account)).await;
    state.events.publish("account.list_changed", "accounts", "", &json!({ "created": account.id }));
    Ok(account)
}

async fn delete_one(state: &AdminState, caller: &OldCaller, account: &AccountView) -> Result<(), AdminError> {
    state.accounts.delete(&account.id, false, caller.0.name()).await?;
    state.note(&caller.0, Change::new("account.delete", &account.id).between(account, &Value::Null)).await;
    state.events.publish("account.list_changed", "accounts", "", &json!({ "deleted": account.id }));
    Ok(())
}

/// By the raw token, or by the fingerprint that answers name it by.
fn find(state: &AdminState, token: &str) -> Option<AccountView> {
    let id = state.accounts.resolve(token)?;
    state.accounts.get(&id)
}

fn unknown() -> AdminError {
    AdminError::not_found("there is no such token")
}

fn shown(account: &AccountView, now: i64) -> Value {
    let until = account.state.until.as_deref().and_then(parse_timestamp);
    let seconds = until.map_or(0, |until| (until - now).max(0).div_euclid(1_000));
    let remaining = account.quota.iter().filter_map(|quota| quota.remaining).max();
    json!({
        "token": account.fingerprint,
        "id": account.id,
        "name": account.label,
        "enabled": account.enabled,
        "account_type": account.tier.as_deref().unwrap_or("unknown"),
        "status": account.state.name,
        "cooldown_seconds": seconds,
        "remaining_queries": remaining,
        "failure_count": account.consecutive_failures,
        "last_used": account.last_used_at,
        "created_at": account.created_at,
    })
}
