//! `/stats`: what the console's charts show.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::AdminState;
use super::caller::Caller;
use super::described::{BucketParameters, RangeParameters};
use super::error::AdminError;
use super::query::Parameters;
use super::request_view::Names;
use super::requests::check_buckets;
use crate::accounts::ModeCapacity;
use crate::audit::{Group, GroupValue, Metric, Range, SeriesQuery, automatic_step};
use crate::clock::timestamp;
use crate::store::statistics::{Dimension, Sums};

/// The range when none is asked for.
const DEFAULT_RANGE_MS: i64 = 86_400_000;

/// The longest range, in seconds.
const LONGEST_RANGE: i64 = 400 * 86_400;

/// Minutes over which "now" is told, and over which the pace is measured.
const RECENT_MINUTES: usize = 15;
const PACE_MINUTES: i64 = 30;

/// Fewer requests than this tell no pace.
const PACE_REQUESTS: i64 = 20;

/// A pace is not followed further than this.
const PACE_AHEAD_MS: i64 = 6 * 3_600_000;

/// What statistics can be grouped by.
const GROUPS: [(&str, Dimension); 8] = [
    ("model", Dimension::Model),
    ("mode", Dimension::Mode),
    ("key", Dimension::Key),
    ("account", Dimension::Account),
    ("error_code", Dimension::ErrorCode),
    ("receipt", Dimension::Receipt),
    ("transport", Dimension::Transport),
    ("client", Dimension::Client),
];

fn range(parameters: &mut Parameters, now: i64) -> Range {
    let usual = Range { from: now - DEFAULT_RANGE_MS, until: now + 1 };
    parameters.range(now, LONGEST_RANGE).unwrap_or(usual)
}

fn metrics(parameters: &mut Parameters, usual: &[Metric]) -> Vec<Metric> {
    let names = parameters.words("metric");
    if names.is_empty() {
        return usual.to_vec();
    }
    let mut metrics = Vec::new();
    for name in names {
        match Metric::named(&name) {
            Some(metric) => metrics.push(metric),
            None => {
                let known = Metric::ALL.map(Metric::name).join(", ");
                parameters.refuse("metric", "choice", format!("must be one of {known}"));
            }
        }
    }
    metrics
}

fn is_compared(parameters: &mut Parameters) -> bool {
    parameters.choice("compare", &[("prev", true), ("none", false)]).unwrap_or(false)
}

/// `GET /stats/series?metric=requests,failed&by=model&range=7d&step=auto&tz=Asia/Shanghai&compare=prev`
#[utoipa::path(
    get,
    path = "/stats/series",
    operation_id = "stats_series",
    tag = "stats",
    params(("metric" = Option<String>, Query, description = "Figures, with commas between."), ("by" = Option<String>, Query, description = "`model`, `mode`, `key`, `account`, `error_code`, `receipt`, `transport`, `client`."), RangeParameters, BucketParameters, ("compare" = Option<String>, Query, description = "`prev`: beside the stretch before; `none`.")),
    responses((status = 200, description = "Figures over time.", body = Value)),
)]
pub(super) async fn series(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<Value>, AdminError> {
    let now = state.clock.now_ms();
    let usual = [Metric::Requests, Metric::Succeeded, Metric::Failed, Metric::Cancelled];
    let metrics = metrics(&mut parameters, &usual);
    let by = parameters.choice("by", &GROUPS).unwrap_or(Dimension::All);
    let range = range(&mut parameters, now);
    let (zone_name, zone) = parameters.zone();
    let step_s = parameters.step().unwrap_or_else(|| automatic_step(range));
    check_buckets(&mut parameters, range, step_s);
    let compare = is_compared(&mut parameters);
    parameters.finish()?;
    let query = SeriesQuery { range, step_s, zone, by, wanted: Metric::wanted(&metrics), compare };
    let series = state.records.series(&query).await?;
    let names = names(
        &state,
        by,
        series.groups.iter().filter_map(|group| match &group.value {
            GroupValue::One(value) => Some(value.as_str()),
            _ => None,
        }),
    );
    let edges = &series.buckets.edges;
    // Before the statistics begin nothing is known; nought would be a claim.
    let known: Vec<bool> = edges.iter().skip(1).map(|until| series.since.is_some_and(|since| *until > since)).collect();
    let shown = series
        .groups
        .iter()
        .flat_map(|group| metrics.iter().map(|metric| shown_series(group, *metric, &known, names.group(&group.value))));
    let shown: Vec<Value> = shown.collect();
    Ok(Json(json!({
        "from": edges.first().map(|edge| timestamp(*edge)),
        "until": edges.last().map(|edge| timestamp(*edge)),
        "step_s": series.buckets.step_s,
        "tz": zone_name,
        "approximate": series.buckets.approximate,
        "running": edges.last().is_some_and(|until| *until > now),
        "data_since": series.since.map(timestamp),
        "buckets": edges.iter().take(series.buckets.len()).map(|edge| timestamp(*edge)).collect::<Vec<_>>(),
        "series": shown,
    })))
}

fn shown_series(group: &Group, metric: Metric, known: &[bool], name: Value) -> Value {
    let values =
        group.buckets.iter().zip(known).map(|(sums, known)| if *known { metric.of(sums) } else { Value::Null });
    let mut shown = json!({
        "metric": metric.name(),
        "group": name,
        "values": values.collect::<Vec<_>>(),
        "total": metric.of(&group.total),
    });
    if let Some(previous) = &group.previous {
        let values = previous.buckets.iter().map(|sums| metric.of(sums));
        shown["previous"] = json!({ "values": values.collect::<Vec<_>>(), "total": metric.of(&previous.total) });
    }
    shown
}

/// `GET /stats/top?by=key&metric=requests&range=24h&limit=10&compare=prev`
#[utoipa::path(
    get,
    path = "/stats/top",
    operation_id = "stats_top",
    tag = "stats",
    params(("by" = String, Query, description = "`model`, `mode`, `key`, `account`, `error_code`, `receipt`, `transport`, `client`."), ("metric" = Option<String>, Query, description = "Figures, with commas between."), RangeParameters, ("limit" = Option<u32>, Query, description = "Items of the answer; 10 unless given.", minimum = 1, maximum = 100), ("compare" = Option<String>, Query, description = "`prev`: beside the stretch before; `none`.")),
    responses((status = 200, description = "The largest values of a dimension, with all figures.", body = Value)),
)]
pub(super) async fn top(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<Value>, AdminError> {
    let now = state.clock.now_ms();
    let by = parameters.choice("by", &GROUPS);
    if by.is_none() {
        parameters.refuse("by", "required", "is required");
    }
    let by = by.unwrap_or(Dimension::Model);
    let metric = metrics(&mut parameters, &[Metric::Requests]);
    let column = match metric.as_slice() {
        [metric] => metric.column(),
        _ => None,
    };
    if column.is_none() {
        parameters.refuse("metric", "choice", "must be one figure that can be added up, such as requests");
    }
    let range = range(&mut parameters, now);
    let limit = parameters.number("limit", 1..=100).unwrap_or(10);
    let compare = is_compared(&mut parameters);
    parameters.finish()?;
    let column = column.unwrap_or("requests");
    let top = state.records.top(by, range, column, limit, Metric::wanted(&Metric::ALL), compare).await?;
    let names = names(&state, by, top.lines.iter().map(|line| line.value.as_str()));
    let whole = metric.first().map(|metric| metric.of(&top.total));
    let items: Vec<Value> = top
        .lines
        .iter()
        .map(|line| {
            let mut item = figures(&line.sums);
            item["group"] = names.group(&GroupValue::One(line.value.clone()));
            item["share"] = share(metric.first().map(|metric| metric.of(&line.sums)), whole.as_ref());
            if let Some(previous) = &line.previous {
                item["previous"] = figures(previous);
            }
            item
        })
        .collect();
    Ok(Json(json!({
        "by": by.name(),
        "from": timestamp(top.counted.from),
        "until": timestamp(top.counted.until),
        "items": items,
        "total": figures(&top.total),
        "previous_total": top.previous_total.as_ref().map(figures),
    })))
}

fn figures(sums: &Sums) -> Value {
    Value::Object(Metric::ALL.into_iter().map(|metric| (metric.name().to_owned(), metric.of(sums))).collect())
}

fn share(part: Option<Value>, whole: Option<&Value>) -> Value {
    match (part.and_then(|part| part.as_f64()), whole.and_then(Value::as_f64)) {
        (Some(part), Some(whole)) if whole > 0.0 => json!((part / whole * 10_000.0).round() / 10_000.0),
        _ => Value::Null,
    }
}

/// Names of groups.
struct GroupNames<'a> {
    by: Dimension,
    names: Names<'a>,
}

fn names<'a>(state: &'a AdminState, by: Dimension, values: impl Iterator<Item = &'a str>) -> GroupNames<'a> {
    let accounts = values.filter(|_| by == Dimension::Account);
    GroupNames { by, names: Names::of(state, accounts) }
}

impl GroupNames<'_> {
    fn group(&self, value: &GroupValue) -> Value {
        let value = match value {
            GroupValue::All => return Value::Null,
            GroupValue::Other => return json!({ "id": null, "name": null, "other": true }),
            GroupValue::One(value) => value,
        };
        let name = match self.by {
            Dimension::Key => self.names.key(value)["name"].clone(),
            Dimension::Account => self.names.account(value)["label"].clone(),
            _ => json!(value),
        };
        json!({ "id": value, "name": name, "other": false })
    }
}

/// `GET /stats/now`: the present, and the last hour by minutes.
#[utoipa::path(
    get,
    path = "/stats/now",
    operation_id = "stats_now",
    tag = "stats",
    responses((status = 200, description = "The present, and the last hour by minutes.", body = Value)),
)]
pub(super) async fn now(State(state): State<AdminState>, _: Caller) -> Result<Json<Value>, AdminError> {
    let (first, minutes) = state.records.last_minutes().await?;
    let of = |metric: Metric| minutes.iter().map(|sums| metric.of(sums)).collect::<Vec<_>>();
    let mut recent = Sums::default();
    minutes.iter().rev().take(RECENT_MINUTES).for_each(|sums| recent.add(sums));
    // The running minute is not over: the one before is the last that can be told.
    let last_whole = minutes.iter().rev().nth(1).cloned().unwrap_or_default();
    Ok(Json(json!({
        "at": timestamp(state.clock.now_ms()),
        "in_flight": state.metrics.open_streams(),
        "requests_per_min": last_whole.requests,
        "success_rate_15m": Metric::SuccessRate.of(&recent),
        "first_token_p50_ms": Metric::FirstTokenP50.of(&recent),
        "first_token_p95_ms": Metric::FirstTokenP95.of(&recent),
        // Of all answers together.
        "tokens_per_s": json!((last_whole.completion_tokens as f64 / 60.0 * 10.0).round() / 10.0),
        "minutes": {
            "from": timestamp(first),
            "requests": of(Metric::Requests),
            "failed": of(Metric::Failed),
            "success_rate": of(Metric::SuccessRate),
            "first_token_p50_ms": of(Metric::FirstTokenP50),
            "first_token_p95_ms": of(Metric::FirstTokenP95),
            "completion_tokens": of(Metric::CompletionTokens),
        },
    })))
}

/// `GET /stats/heatmap?range=30d&tz=…`: by weekday and hour of the viewer's zone, Monday first.
#[utoipa::path(
    get,
    path = "/stats/heatmap",
    operation_id = "stats_heatmap",
    tag = "stats",
    params(RangeParameters, ("tz" = Option<String>, Query, description = "A time zone such as `Asia/Shanghai`.")),
    responses((status = 200, description = "Requests and failures by weekday, Monday first, and hour.", body = Value)),
)]
pub(super) async fn heatmap(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<Value>, AdminError> {
    let now = state.clock.now_ms();
    let usual = Range { from: now - 30 * DEFAULT_RANGE_MS, until: now + 1 };
    let range = parameters.range(now, 100 * 86_400).unwrap_or(usual);
    let (zone_name, zone) = parameters.zone();
    parameters.finish()?;
    let week = state.records.heatmap(range, &zone).await?;
    let of = |cell: fn(&crate::audit::HourOfWeek) -> i64| -> Vec<Vec<i64>> {
        week.iter().map(|day| day.iter().map(cell).collect()).collect()
    };
    Ok(Json(json!({
        "from": timestamp(range.from),
        "until": timestamp(range.until),
        "tz": zone_name,
        "requests": of(|cell| cell.requests),
        "failed": of(|cell| cell.failed),
    })))
}

/// `GET /stats/capacity`: what is left by mode, how long it lasts at the present pace, what comes back when.
#[utoipa::path(
    get,
    path = "/stats/capacity",
    operation_id = "stats_capacity",
    tag = "stats",
    responses((status = 200, description = "By mode: what is left, how long it lasts, what comes back.", body = Value)),
)]
pub(super) async fn capacity(State(state): State<AdminState>, _: Caller) -> Result<Json<Value>, AdminError> {
    let now = state.clock.now_ms();
    let used: BTreeMap<String, i64> = state.records.requests_by_mode(PACE_MINUTES).await?.into_iter().collect();
    let accounts = state.accounts.clone();
    let modes = accounts.capacity();
    let modes: Vec<Value> =
        modes.iter().map(|mode| shown_mode(mode, used.get(mode.mode).copied().unwrap_or(0), now)).collect();
    Ok(Json(json!({ "at": timestamp(now), "modes": modes })))
}

fn shown_mode(mode: &ModeCapacity, used: i64, now: i64) -> Value {
    let known = mode.measured + mode.derived > 0;
    let lasts_ms = (used >= PACE_REQUESTS && known).then(|| mode.remaining * PACE_MINUTES * 60_000 / used);
    let recoveries = mode.recoveries.iter().map(|(at, amount)| json!({ "at": timestamp(*at), "amount": amount }));
    json!({
        "mode": mode.mode,
        "remaining": known.then_some(mode.remaining),
        "total": known.then_some(mode.total),
        "ready_accounts": mode.ready,
        "accounts": { "measured": mode.measured, "derived": mode.derived, "unknown": mode.unknown },
        "pace": {
            "requests": used,
            "window_s": PACE_MINUTES * 60,
            "sufficient": used >= PACE_REQUESTS,
            "lasts_s": lasts_ms.map(|lasts| lasts.min(PACE_AHEAD_MS) / 1_000),
            "exhausted_at": lasts_ms.filter(|lasts| *lasts < PACE_AHEAD_MS).map(|lasts| timestamp(now + lasts)),
        },
        "recoveries": recoveries.collect::<Vec<_>>(),
    })
}
