//! The simulator's own routes, for test suites in other languages, demos and the browser.

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{App, answer};
use crate::{
    account::{Account, AccountState, CredentialState, Subscription, SubscriptionStatus},
    calls::Call,
    script::Reply,
};

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/accounts", get(accounts).post(put_account))
        .route("/accounts/{sso}/reply", post(reply).delete(clear_replies))
        .route("/accounts/{sso}/upgrade", post(upgrade).delete(clear_upgrades))
        .route("/routes", get(routes).post(switch_routes))
        .route("/replies", get(replies))
        .route("/report", get(report))
        .route("/uploads", get(uploads))
        .route("/calls", get(calls).delete(clear_calls))
        .route("/reset", post(reset))
}

/// A control request that makes no sense.
struct Mistake(u16, String);

impl IntoResponse for Mistake {
    fn into_response(self) -> Response {
        answer::raw(self.0, "application/json", json!({"error": self.1}).to_string().into_bytes())
    }
}

fn bad(message: impl Into<String>) -> Mistake {
    Mistake(400, message.into())
}

fn parse(bytes: &Bytes) -> Result<Value, Mistake> {
    serde_json::from_slice(bytes).map_err(|error| bad(format!("the body is no JSON: {error}")))
}

async fn accounts(State(shared): State<App>) -> Response {
    let state = shared.state();
    let mut rows: Vec<Value> = state.accounts.iter().map(|(sso, account)| account_json(sso, account)).collect();
    rows.sort_by(|left, right| left["sso"].as_str().cmp(&right["sso"].as_str()));
    answer::ok(&rows.into())
}

fn account_json(sso: &str, account: &AccountState) -> Value {
    let quotas = account.quotas.iter().map(|(mode, quota)| {
        let quota = json!({"remaining": quota.remaining, "total": quota.total, "wait_seconds": quota.wait_seconds});
        (mode.clone(), quota)
    });
    json!({
        "sso": sso,
        "user_id": &*account.user_id,
        "credential": match account.credential {
            CredentialState::Valid => "valid",
            CredentialState::Unknown => "unknown",
            CredentialState::Blocked => "blocked",
        },
        "quotas": quotas.collect::<Map<_, _>>(),
        "default_quota": account.default_quota,
        "subscriptions": account.subscriptions.iter().map(|row| row.tier.as_str()).collect::<Vec<_>>(),
        "queued": account.queue.len(),
        "sticky": account.sticky.is_some(),
    })
}

/// Adds or changes an account; members that are left out stay as they are.
async fn put_account(State(shared): State<App>, bytes: Bytes) -> Result<Response, Mistake> {
    let body = parse(&bytes)?;
    let sso = body["sso"].as_str().filter(|sso| !sso.is_empty()).ok_or_else(|| bad("sso is missing"))?;
    let mut state = shared.state();
    let default_quota = shared.options.default_quota;
    let account = state.accounts.entry(sso.to_owned()).or_insert_with(|| AccountState::new(sso, default_quota));
    change_account(account, &body)?;
    Ok(answer::ok(&account_json(sso, account)))
}

fn change_account(account: &mut AccountState, body: &Value) -> Result<(), Mistake> {
    if let Some(quota) = body["default_quota"].as_i64() {
        account.default_quota = quota;
    }
    for (mode, wanted) in body["quota"].as_object().into_iter().flatten() {
        let quota = account.quota(mode);
        quota.remaining = wanted["remaining"].as_i64().ok_or_else(|| bad("quota.<mode>.remaining is no number"))?;
        quota.total = wanted["total"].as_i64().unwrap_or(quota.total.max(quota.remaining));
        quota.wait_seconds = wanted["wait_seconds"].as_i64();
    }
    if let Some(words) = body["words_before_limit"].as_u64() {
        account.words_before_limit = usize::try_from(words).map_err(|_| bad("words_before_limit is too large"))?;
    }
    if let Some(credential) = body["credential"].as_str() {
        account.credential = match credential {
            "valid" => CredentialState::Valid,
            "unknown" => CredentialState::Unknown,
            "blocked" => CredentialState::Blocked,
            other => return Err(bad(format!("credential {other:?} is none of valid, unknown, blocked"))),
        };
    }
    if let Some(rows) = body["subscriptions"].as_array() {
        account.subscriptions = rows.iter().map(subscription).collect::<Result<_, _>>()?;
    }
    for (name, flag) in [
        ("fail_share", &mut account.fail_share),
        ("fail_clone", &mut account.fail_clone),
        ("fail_reconnect", &mut account.fail_reconnect),
        ("rate_limits_throttled", &mut account.rate_limits_throttled),
        ("rate_limits_challenged", &mut account.rate_limits_challenged),
        ("rate_limits_forbidden", &mut account.rate_limits_forbidden),
    ] {
        *flag = body[name].as_bool().unwrap_or(*flag);
    }
    Ok(())
}

/// A tier, or `{"tier", "active"}`.
fn subscription(row: &Value) -> Result<Subscription, Mistake> {
    let tier = row.as_str().or(row["tier"].as_str()).ok_or_else(|| bad("a subscription has no tier"))?;
    let status = if row["active"] == false { SubscriptionStatus::Inactive } else { SubscriptionStatus::Active };
    Ok(Subscription { tier: tier.to_owned(), status })
}

fn known_account(shared: &App, sso: &str) -> Result<Account, Mistake> {
    if !shared.state().accounts.contains_key(sso) {
        return Err(Mistake(404, format!("no account {sso:?}")));
    }
    Ok(Account { shared: shared.clone(), sso: sso.to_owned() })
}

/// Queues a reply, or makes it the account's standing one.
async fn reply(State(shared): State<App>, Path(sso): Path<String>, bytes: Bytes) -> Result<Response, Mistake> {
    let account = known_account(&shared, &sso)?;
    let body = parse(&bytes)?;
    let reply = read_reply(&body)?;
    if body["sticky"] == true {
        account.always(Some(reply));
    } else {
        account.push(reply);
    }
    Ok(answer::ok(&json!({"queued": account.queued()})))
}

/// Queues what an upgrade meets, or makes it what every upgrade of the account meets.
async fn upgrade(State(shared): State<App>, Path(sso): Path<String>, bytes: Bytes) -> Result<Response, Mistake> {
    let account = known_account(&shared, &sso)?;
    let body = parse(&bytes)?;
    let reply = read_reply(&body)?;
    if body["sticky"] == true {
        account.always_upgrade(Some(reply));
    } else {
        account.push_upgrade(reply);
    }
    Ok(answer::ok(&json!({"queued": account.queued_upgrades()})))
}

/// `{"name"}`, `{"text"}`, `{"tokens", "interval_ms", "thinking"}`, `{"frames"}`, `{"events"}` or
/// `{"status", "content_type", "body"}`.
fn read_reply(body: &Value) -> Result<Reply, Mistake> {
    if let Some(text) = body["text"].as_str() {
        return Ok(Reply::text(text));
    }
    if let Some(tokens) = body["tokens"].as_u64() {
        let number = |name: &str| body[name].as_u64().unwrap_or(0);
        let size = |number: u64| usize::try_from(number).map_err(|_| bad("a number is too large"));
        let interval = Duration::from_millis(number("interval_ms"));
        return Ok(Reply::Tokens { tokens: size(tokens)?, interval, thinking: size(number("thinking"))? });
    }
    if let Some(frames) = body["frames"].as_array() {
        let frame = |frame: &Value| frame.as_str().map_or_else(|| frame.to_string(), str::to_owned);
        return Ok(Reply::Frames(frames.iter().map(frame).collect()));
    }
    if let Some(events) = body["events"].as_array() {
        return Ok(Reply::Events(events.clone()));
    }
    if let Some(status) = body["status"].as_u64() {
        let status = u16::try_from(status).map_err(|_| bad("status is no HTTP status"))?;
        let content_type = body["content_type"].as_str().unwrap_or("application/json");
        return Ok(Reply::http(status, content_type, body["body"].as_str().unwrap_or_default()));
    }
    let name =
        body["name"].as_str().ok_or_else(|| bad("one of name, text, tokens, frames, events, status is needed"))?;
    Reply::named(name).ok_or_else(|| bad(format!("no reply {name:?}; GET /__simulator/replies lists them")))
}

/// Empties the queue and ends the standing reply.
async fn clear_replies(State(shared): State<App>, Path(sso): Path<String>) -> Result<Response, Mistake> {
    let account = known_account(&shared, &sso)?;
    account.clear();
    Ok(answer::ok(&json!({"queued": account.queued()})))
}

/// Lets upgrades in again.
async fn clear_upgrades(State(shared): State<App>, Path(sso): Path<String>) -> Result<Response, Mistake> {
    let account = known_account(&shared, &sso)?;
    account.clear_upgrades();
    Ok(answer::ok(&json!({"queued": account.queued_upgrades()})))
}

/// Which forms of the chat there are.
async fn routes(State(shared): State<App>) -> Response {
    answer::ok(&json!({"socket": shared.switches.socket(), "rest_chat": shared.switches.rest_chat()}))
}

/// Switches them; members that are left out stay as they are.
async fn switch_routes(State(shared): State<App>, bytes: Bytes) -> Result<Response, Mistake> {
    let body = parse(&bytes)?;
    if let Some(exists) = body["socket"].as_bool() {
        shared.switches.set_socket(exists);
    }
    if let Some(exists) = body["rest_chat"].as_bool() {
        shared.switches.set_rest_chat(exists);
    }
    Ok(routes(State(shared)).await)
}

async fn replies() -> Response {
    answer::ok(&Reply::names().collect::<Vec<_>>().into())
}

async fn report(State(shared): State<App>) -> Response {
    answer::ok(&shared.report().json())
}

async fn calls(State(shared): State<App>) -> Response {
    answer::ok(&shared.state().calls.iter().map(Call::json).collect::<Vec<_>>().into())
}

/// The files that accounts were given, with their bytes in base64.
async fn uploads(State(shared): State<App>) -> Response {
    let state = shared.state();
    let rows = state.uploads.iter().map(|file| {
        json!({
            "account": file.account,
            "name": file.name,
            "content_type": file.content_type,
            "content": STANDARD.encode(&file.content),
        })
    });
    answer::ok(&rows.collect::<Vec<_>>().into())
}

async fn clear_calls(State(shared): State<App>) -> Response {
    shared.state().calls.clear();
    answer::ok(&json!({}))
}

async fn reset(State(shared): State<App>) -> Response {
    shared.state().reset(shared.options.default_quota);
    answer::ok(&json!({}))
}
