//! What the upstream tells an account about itself (UPSTREAM.md 11 and 12).

use axum::extract::{Request, State};
use serde_json::{Value, json};

use super::{
    App,
    answer::{self, Answered},
    entry::{Entry, Route, enter},
};
use crate::account::{CredentialState, mode_of};

const RATE_LIMITS: Route = Route::unary("rate_limits");
const SUBSCRIPTIONS: Route = Route::unary("subscriptions");
const MODES: Route = Route::unary("modes");
const MODELS: Route = Route::unary("models");
const SESSION: Route = Route::page("session");

const MODE_IDS: [&str; 4] = ["auto", "fast", "expert", "heavy"];

pub(super) async fn rate_limits(State(shared): State<App>, request: Request) -> Answered {
    let Entry { sso, body } = enter(&shared, RATE_LIMITS, None, request).await?;
    let Some(mode) = mode_of(&body) else {
        return Err(answer::bad_request(RATE_LIMITS.errors, "modelName is required"));
    };
    let mut state = shared.state();
    match state.accounts.get_mut(&sso) {
        Some(account) if account.rate_limits_forbidden => Err(answer::status(RATE_LIMITS.errors, 403, 7, "Forbidden")),
        Some(account) if account.rate_limits_challenged => Err(answer::challenge()),
        Some(account) if !account.rate_limits_throttled => Ok(answer::ok(&account.quota(&mode).json())),
        _ => Err(answer::too_many_requests(RATE_LIMITS.errors)),
    }
}

pub(super) async fn subscriptions(State(shared): State<App>, request: Request) -> Answered {
    let sso = enter(&shared, SUBSCRIPTIONS, None, request).await?.sso;
    let state = shared.state();
    Ok(answer::ok(&state.accounts.get(&sso).map_or(Value::Null, |account| account.subscriptions_json())))
}

/// Modes without any quota need a better plan.
pub(super) async fn modes(State(shared): State<App>, request: Request) -> Answered {
    let sso = enter(&shared, MODES, None, request).await?.sso;
    let mut state = shared.state();
    let mut available = |mode: &str| state.accounts.get_mut(&sso).is_some_and(|account| account.quota(mode).total > 0);
    let mode = |id: &str| {
        let upgrade = json!({"requiresUpgrade": {"message": "Upgrade to use this mode.",
            "minimumSubscriptionTier": "SUBSCRIPTION_TIER_GROK_PRO"}});
        let availability = if available(id) { json!({"available": {}}) } else { upgrade };
        json!({"id": id, "title": id, "description": "", "badgeText": "", "iconHint": "", "tags": [],
            "availability": availability})
    };
    let modes: Vec<Value> = MODE_IDS.map(mode).to_vec();
    Ok(answer::ok(&json!({"modes": modes, "defaultModeId": "auto"})))
}

pub(super) async fn models(State(shared): State<App>, request: Request) -> Answered {
    enter(&shared, MODELS, None, request).await?;
    let model = |(id, mode): (&str, &str)| json!({"modelId": id, "name": id, "description": "", "tags": [], "badgeText": "", "modelMode": mode});
    let models = [
        ("grok-3", "MODEL_MODE_FAST"),
        ("grok-4-auto", "MODEL_MODE_AUTO"),
        ("grok-4", "MODEL_MODE_EXPERT"),
        ("grok-4-heavy", "MODEL_MODE_HEAVY"),
    ];
    Ok(answer::ok(&json!({
        "models": models.map(model).to_vec(),
        "defaultFreeModel": "grok-3",
        "defaultProModel": "grok-4-auto",
        "defaultHeavyModel": "grok-4-heavy",
        "defaultAnonModel": "grok-3",
        "unavailableModels": [],
    })))
}

pub(super) async fn session(State(shared): State<App>, request: Request) -> Answered {
    let sso = match enter(&shared, SESSION, None, request).await {
        Ok(entry) => entry.sso,
        // Whoever has no session is told so, with status 200.
        Err(_) => return Ok(answer::ok(&json!({"status": "unauthenticated"}))),
    };
    let state = shared.state();
    let Some(account) = state.accounts.get(&sso) else {
        return Err(answer::unauthorized(SESSION.errors));
    };
    let session = json!({"userId": &*account.user_id, "email": format!("{sso}@example.org"), "organizationId": ""});
    Ok(answer::ok(&match account.credential {
        CredentialState::Valid => json!({"status": "authenticated", "session": session}),
        CredentialState::Blocked => json!({"status": "blocked", "session": session}),
        CredentialState::Unknown => json!({"status": "unauthenticated"}),
    }))
}
