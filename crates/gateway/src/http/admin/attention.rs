//! `GET /attention`: what needs a person, worst first. Each line has a cause, a count and where to go; an empty list means that
//! nothing does.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use crate::clock::timestamp;
use crate::store::Trouble;

/// Keys whose time ends within this are worth a line.
const SOON_MS: i64 = 7 * 86_400_000;

/// What the upstream said within this and nobody understood is worth a line.
const DRIFT_MS: i64 = 86_400_000;

/// So many failures within so many minutes, and more than answers, are trouble.
const FAILING: i64 = 5;
const FAILING_MINUTES: usize = 15;

/// So many requests without a valid key within a quarter of an hour: a client with a wrong key that goes on and on, or somebody who
/// guesses.
const REJECTED: u64 = 100;

/// What needs a person.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct AttentionList {
    items: Vec<AttentionItem>,
}

/// One thing that does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct AttentionItem {
    /// `database_failing`, `database_damaged`, `no_account`, `no_account_available`, `exit_refused`, `requests_failing`, `requests_rejected`,
    /// `settings_file_refused`, `accounts_invalid`, `accounts_unreadable`,
    /// `accounts_duplicate`, `records_dropped`, `upstream_drift`, `keys_expiring`.
    code: &'static str,
    /// `error`: requests fail; `warning`: something is lost; `info`: something will be.
    severity: &'static str,
    /// How many things it is about.
    count: u64,
    message: String,
    /// Figures of the message.
    params: Value,
    /// The list that shows them, relative to the API's base.
    target: Option<&'static str>,
}

/// `GET /attention`
#[utoipa::path(
    get,
    path = "/attention",
    operation_id = "attention_list",
    tag = "system",
    responses((status = 200, description = "What needs a person, worst first.", body = AttentionList)),
)]
pub(super) async fn list(State(state): State<AdminState>, _: Caller) -> Json<AttentionList> {
    Json(attention(&state).await)
}

/// How many requests failed and how many there were, when most fail. What a client or an owner has to mend counts too: those who ask
/// are not served.
async fn failing(state: &AdminState) -> Option<(u64, u64)> {
    let (_, minutes) = state.records.last_minutes().await.ok()?;
    let recent = minutes.iter().rev().take(FAILING_MINUTES);
    let (failed, succeeded) =
        recent.fold((0, 0), |(failed, succeeded), sums| (failed + sums.failed, succeeded + sums.succeeded));
    let is_failing = failed >= FAILING && failed > succeeded;
    let number = |number: i64| u64::try_from(number).ok();
    is_failing.then(|| Some((number(failed)?, number(failed + succeeded)?))).flatten()
}

pub(super) async fn attention(state: &AdminState) -> AttentionList {
    let mut items = Vec::new();
    let mut add = |code, severity, count, message: String, params: Value, target| {
        items.push(AttentionItem { code, severity, count, message, params, target });
    };
    if let Some(Trouble { kind, message, saved_as }) = state.store.trouble().await {
        let params = json!({ "reason": kind, "saved_as": saved_as });
        add("database_failing", "error", 1, message, params, Some("/system/health"));
    }
    if let Some(damage) = state.store.damage() {
        add("database_damaged", "error", 1, damage, json!({}), Some("/system/health"));
    }
    let accounts = state.accounts.summary();
    let count = |name: &str| accounts.states.get(name).copied().unwrap_or(0);
    if accounts.total == 0 {
        add("no_account", "error", 0, "There is no account.".to_owned(), json!({}), Some("/accounts"));
    } else if accounts.able() == 0 {
        let message = format!("None of the {} accounts can serve now.", accounts.total);
        add(
            "no_account_available",
            "error",
            accounts.total,
            message,
            json!({ "states": accounts.states }),
            Some("/accounts"),
        );
    }
    if let Some(label) = state.exit.closed() {
        let message = format!("The upstream refuses this gateway's way out ({label}); it is left alone for a while.");
        add("exit_refused", "error", 1, message, json!({ "reason": label }), Some("/system/health"));
    }
    if let Some((failed, done)) = failing(state).await {
        let message = format!("{failed} of {done} requests failed in the last {FAILING_MINUTES} minutes.");
        let params = json!({ "failed": failed, "done": done });
        add("requests_failing", "warning", failed, message, params, Some("/requests?outcome=failed"));
    }
    let rejected = state.recorder.rejected().recent();
    if rejected >= REJECTED {
        let message = format!("{rejected} requests without a valid key came in the last 15 minutes.");
        add("requests_rejected", "warning", rejected, message, json!({}), Some("/requests/rejected"));
    }
    if let Some(problem) = state.settings.refusal() {
        let message = "The settings file cannot be used; the last good settings stay in force.".to_owned();
        add("settings_file_refused", "warning", 1, message, json!({ "problem": problem }), Some("/settings"));
    }
    let unreadable = accounts.unreadable;
    if unreadable > 0 {
        let message = format!(
            "The tokens of {unreadable} accounts cannot be opened: they were sealed with another key. Put the old secret.key \
             (or GROK2API_SECRET_KEY) back and restart, or replace the tokens of these accounts."
        );
        add("accounts_unreadable", "error", unreadable, message, json!({}), Some("/accounts?state=invalid"));
    }
    let invalid = count("invalid").saturating_sub(unreadable);
    if invalid > 0 {
        let message = format!("{invalid} accounts are invalid: their tokens have ended or their users are blocked.");
        add("accounts_invalid", "warning", invalid, message, json!({}), Some("/accounts?state=invalid"));
    }
    if accounts.duplicates > 0 {
        let count = accounts.duplicates;
        let message =
            format!("{count} accounts belong to users of whom another account was added before: they share its quota.");
        add("accounts_duplicate", "info", count, message, json!({}), Some("/accounts?duplicate=true"));
    }
    let dropped = state.writer.dropped();
    if dropped > 0 {
        let message = format!("{dropped} rows of the log were dropped because the database could not keep up.");
        add("records_dropped", "warning", dropped, message, json!({}), Some("/system"));
    }
    let now = state.clock.now_ms();
    let drift =
        state.store.drift_since(now.saturating_sub(DRIFT_MS)).await.ok().and_then(|count| u64::try_from(count).ok());
    if let Some(kinds @ 1..) = drift {
        let message = format!("The upstream said {kinds} kinds of things today that this version does not know.");
        add("upstream_drift", "info", kinds, message, json!({}), Some("/system/drift"));
    }
    if let Some((count, first)) = state.keys.expiring(now, now.saturating_add(SOON_MS)) {
        let first = timestamp(first);
        let message = format!("{count} API keys end within a week, the first at {first}.");
        add("keys_expiring", "info", count, message, json!({ "first": first }), Some("/keys?sort=expires_at"));
    }
    AttentionList { items }
}
