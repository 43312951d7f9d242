//! `GET /models`: what clients may call models, what stands behind each name, and how it fares. Names are given and switched off in
//! the settings `model_aliases` and `disabled_models`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use crate::audit::{Metric, Range};
use crate::store::statistics::Dimension;

const DAY_MS: i64 = 86_400_000;

/// Most models whose figures are told; those that were asked for most.
const MOST: usize = 100;

/// A name that clients may use.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelView {
    name: String,
    /// `listed`: the gateway's own; `alias`: a further name; `pattern`: all names that begin so.
    kind: &'static str,
    /// The model that an alias or a pattern stands for.
    alias_of: Option<String>,
    enabled: bool,
    /// What the upstream is asked for.
    mode: String,
    description: Option<&'static str>,
    /// Tokens; a hint, because the upstream publishes none.
    context_length: Option<u32>,
    /// The plan that an account needs, as far as is known: `free`, `super` or `heavy`.
    minimum_tier: Option<&'static str>,
    /// Whether it thinks before it answers; `null`: it decides.
    reasoning: Option<bool>,
    /// Accounts that can serve its mode now; `null` where the mode is not one of the known.
    ready_accounts: Option<u64>,
    /// Queries left over these accounts, and in all, as far as they are known.
    quota_remaining: Option<i64>,
    quota_total: Option<i64>,
    /// Of the last 24 hours, by this name.
    requests_24h: i64,
    succeeded_24h: i64,
    #[schema(value_type = Option<f64>)]
    first_token_p50_ms: Value,
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub(super) struct NamedModels {
    items: Vec<ModelView>,
    /// Names that clients have used in the last 24 hours and that pass through as they are.
    passed_through: Vec<PassedThrough>,
}

/// A name that nobody has given.
#[derive(Serialize, ToSchema)]
pub(super) struct PassedThrough {
    name: String,
    requests_24h: i64,
    succeeded_24h: i64,
}

/// `GET /models`
#[utoipa::path(
    get,
    path = "/models",
    operation_id = "models_list",
    tag = "models",
    responses((status = 200, description = "The names that clients may use, those switched off included.", body = NamedModels)),
)]
pub(super) async fn list(State(state): State<AdminState>, _: Caller) -> Result<Json<NamedModels>, AdminError> {
    let settings = state.settings.current();
    let now = state.clock.now_ms();
    let day = Range { from: now - DAY_MS, until: now + 1 };
    let wanted = Metric::wanted(&[Metric::Requests, Metric::Succeeded, Metric::FirstTokenP50]);
    let top = state.records.top(Dimension::Model, day, "requests", MOST, wanted, false).await?;
    let modes = state.accounts.capacity();
    let figures =
        |name: &str| top.lines.iter().find(|line| line.value.eq_ignore_ascii_case(name)).map(|line| &line.sums);
    let models = settings.named_models();
    let items = models.iter().map(|model| {
        let sums = figures(&model.name);
        let mode = model.model.mode.id();
        let capacity = modes.iter().find(|capacity| capacity.mode == mode);
        let known = capacity.filter(|capacity| capacity.measured + capacity.derived > 0);
        ModelView {
            name: model.name.clone(),
            kind: match (&model.alias_of, model.is_pattern()) {
                (None, _) => "listed",
                (Some(_), false) => "alias",
                (Some(_), true) => "pattern",
            },
            alias_of: model.alias_of.clone(),
            enabled: model.enabled,
            mode: mode.to_owned(),
            description: model.entry.map(|entry| entry.description),
            context_length: model.entry.map(|entry| entry.context_length),
            minimum_tier: model.entry.map(|entry| entry.minimum_tier.label()),
            reasoning: model.model.reasoning,
            ready_accounts: capacity.map(|capacity| capacity.ready),
            quota_remaining: known.map(|capacity| capacity.remaining),
            quota_total: known.map(|capacity| capacity.total),
            requests_24h: sums.map_or(0, |sums| sums.requests),
            succeeded_24h: sums.map_or(0, |sums| sums.succeeded),
            first_token_p50_ms: sums.map_or(Value::Null, |sums| Metric::FirstTokenP50.of(sums)),
        }
    });
    let is_given = |name: &str| models.iter().any(|model| model.name.eq_ignore_ascii_case(name));
    let others = top.lines.iter().filter(|line| !line.value.is_empty() && !is_given(&line.value));
    let passed_through = others.map(|line| PassedThrough {
        name: line.value.clone(),
        requests_24h: line.sums.requests,
        succeeded_24h: line.sums.succeeded,
    });
    Ok(Json(NamedModels { items: items.collect(), passed_through: passed_through.collect() }))
}
