//! `/requests`: the request log.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::described::{BucketParameters, RangeParameters, RequestFilterParameters, RequestPage};
use super::error::AdminError;
use super::export::{Format, Sheet, file};
use super::identifiers::ResourceId;
use super::query::Parameters;
use super::request_query::{cursor_text, facet_fields, field_name, filter, page_query};
use super::request_view::{self, Names};
use crate::audit::{Basis, Facet, MOST_BUCKETS, PageQuery, Range, automatic_step};
use crate::clock::timestamp;
use crate::store::request_log::{Direction, Field};

/// The range of a histogram when none is asked for.
const HISTOGRAM_S: i64 = 86_400;

/// The longest range, in seconds.
const LONGEST_RANGE: i64 = 3_650 * 86_400;

/// Rows of a file that are read at once.
const ROWS: usize = 500;

const SHEET: Sheet = Sheet {
    name: "requests",
    columns: &[
        "at",
        "id",
        "request_id",
        "route",
        "stream",
        "model",
        "mode",
        "outcome",
        "ending",
        "status",
        "error.code",
        "error.message",
        "key.id",
        "key.name",
        "account.id",
        "account.label",
        "conversation_id",
        "receipt",
        "transport",
        "attempt_count",
        "queue_ms",
        "first_byte_ms",
        "first_token_ms",
        "duration_ms",
        "bytes",
        "prompt_tokens",
        "completion_tokens",
        "reasoning_tokens",
        "client",
        "ip",
    ],
};

/// `GET /requests`: newest first; `before` and `after` take `next` and `prev` of an earlier answer. As CSV or NDJSON: all of it.
#[utoipa::path(
    get,
    path = "/requests",
    operation_id = "requests_list",
    tag = "requests",
    params(RequestFilterParameters, RangeParameters, ("before" = Option<String>, Query, description = "`next` of an earlier page."), ("after" = Option<String>, Query, description = "`prev` of an earlier page."), ("limit" = Option<u32>, Query, description = "Items of the answer; 40 unless given.", minimum = 1, maximum = 500)),
    responses((status = 200, description = "A page of the request log, newest first. With `Accept: text/csv` or `application/x-ndjson`: all of it, as a file.", body = RequestPage)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, AdminError> {
    let query = page_query(&mut parameters, state.clock.now_ms());
    parameters.finish()?;
    if let Some(format) = Format::wanted(&headers) {
        return Ok(export(state, query, format));
    }
    let page = state.records.page(&query).await?;
    let estimate = state.records.estimate(&query.filter).await?;
    let names = Names::of(&state, page.rows.iter().filter_map(|row| row.account_id.as_deref()));
    let items: Vec<Value> = page.rows.iter().map(|row| request_view::row(row, &names)).collect();
    Ok(Json(json!({
        "items": items,
        "next": page.next.as_ref().map(cursor_text),
        "prev": page.prev.as_ref().map(cursor_text),
        "estimate": estimate,
        // A filter that matches little is looked for only so long: `next` goes on from there.
        "searched_to": page.searched_to.map(timestamp),
    }))
    .into_response())
}

/// `GET /requests/{id}`: by its id, or by what `X-Request-ID` said.
#[utoipa::path(
    get,
    path = "/requests/{id}",
    operation_id = "requests_show",
    tag = "requests",
    params(("id" = String, Path, description = "Its id, or what `X-Request-ID` said.")),
    responses((status = 200, description = "One request with its attempts, routing and times.", body = Value)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
) -> Result<Json<Value>, AdminError> {
    let entry = state.records.entry(id.any()).await?;
    let entry = entry.ok_or_else(|| AdminError::not_found("there is no such request in the log"))?;
    Ok(Json(request_view::entry(&state, &entry)))
}

/// Requests without a valid key.
#[derive(Serialize, ToSchema)]
pub(super) struct RejectedList {
    /// Newest first: the newest 200, of one address the newest 50.
    items: Vec<RejectedBody>,
    /// How many there were since the start of the service.
    total: u64,
    /// How many there were in the last 15 minutes.
    recent: u64,
}

/// One of them.
#[derive(Serialize, ToSchema)]
pub(super) struct RejectedBody {
    at: String,
    /// What its answer said in `X-Request-ID`.
    request_id: String,
    route: &'static str,
    status: u16,
    /// `missing_api_key`, `invalid_api_key`, `api_key_disabled`, `api_key_expired`.
    error_code: &'static str,
    ip: Option<String>,
    user_agent: Option<String>,
    /// Beginning and end of the key that was sent, as the list of keys shows them.
    key_preview: Option<String>,
}

/// `GET /requests/rejected`: what anybody can send is not in the log.
#[utoipa::path(
    get,
    path = "/requests/rejected",
    operation_id = "requests_rejected",
    tag = "requests",
    responses((status = 200, description = "Requests to `/v1` that carried no valid key, newest first. They are in no list and no figure besides.", body = RejectedList)),
)]
pub(super) async fn rejected(
    State(state): State<AdminState>,
    _: Caller,
    parameters: Parameters,
) -> Result<Json<RejectedList>, AdminError> {
    parameters.finish()?;
    let rejected = state.recorder.rejected();
    let (newest, total) = rejected.newest();
    let items = newest.into_iter().map(|request| RejectedBody {
        at: timestamp(request.at),
        request_id: request.request_id.to_string(),
        route: request.route,
        status: request.status,
        error_code: request.code,
        ip: request.client_ip.map(|address| address.to_string()),
        user_agent: request.user_agent,
        key_preview: request.key_preview,
    });
    Ok(Json(RejectedList { items: items.collect(), total, recent: rejected.recent() }))
}

/// The whole filtered list, read while it is sent.
fn export(state: AdminState, query: PageQuery, format: Format) -> Response {
    let query = PageQuery { direction: Direction::Older, limit: ROWS, ..query };
    let rows = stream::unfold(Some(query), move |going_on| {
        let state = state.clone();
        async move {
            let query = going_on?;
            let page = match state.records.page(&query).await {
                Ok(page) => page,
                Err(error) => return Some((Err(error), None)),
            };
            let names = Names::of(&state, page.rows.iter().filter_map(|row| row.account_id.as_deref()));
            let rows = page.rows.iter().map(|row| request_view::whole_row(row, &names)).collect();
            Some((Ok(rows), page.next.map(|next| PageQuery { start: Some(next), ..query })))
        }
    });
    file(SHEET, format, rows)
}

/// `GET /requests/facets?field=model,key&…filter`: values with their counts, each field as if it did not filter itself.
#[utoipa::path(
    get,
    path = "/requests/facets",
    operation_id = "requests_facets",
    tag = "requests",
    params(("field" = String, Query, description = "Fields, with commas between."), RequestFilterParameters, RangeParameters),
    responses((status = 200, description = "Values of fields with their counts; a field does not filter itself.", body = Value)),
)]
pub(super) async fn facets(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<Value>, AdminError> {
    let fields = facet_fields(&mut parameters)?;
    let filter = filter(&mut parameters, state.clock.now_ms());
    parameters.finish()?;
    let facets = state.records.facets(&filter, &fields).await?;
    let accounts = facets.iter().filter(|facet| facet.field == Field::Account);
    let names = Names::of(&state, accounts.flat_map(|facet| facet.values.iter().map(|(value, _)| value.as_str())));
    let shown: Vec<Value> = facets.iter().map(|facet| shown_facet(facet, &names)).collect();
    Ok(Json(json!({ "facets": shown })))
}

fn shown_facet(facet: &Facet, names: &Names<'_>) -> Value {
    let values = facet.values.iter().map(|(value, count)| {
        let name = match facet.field {
            Field::Key => names.key(value)["name"].clone(),
            Field::Account => names.account(value)["label"].clone(),
            _ => json!(value),
        };
        json!({ "value": value, "name": name, "count": count })
    });
    let (basis, since) = basis(facet.basis);
    json!({ "field": field_name(facet.field), "values": values.collect::<Vec<_>>(), "basis": basis, "since": since })
}

/// `log`: every matching row was counted. `statistics`: sums by whole hours. `newest`: rows from `since` on.
fn basis(basis: Basis) -> (&'static str, Option<String>) {
    match basis {
        Basis::Log => ("log", None),
        Basis::Statistics => ("statistics", None),
        Basis::Newest { since } => ("newest", Some(timestamp(since))),
    }
}

/// `GET /requests/histogram?range=24h&step=auto&tz=…&…filter`: how the requests lie in time, by how they ended.
#[utoipa::path(
    get,
    path = "/requests/histogram",
    operation_id = "requests_histogram",
    tag = "requests",
    params(RequestFilterParameters, RangeParameters, BucketParameters),
    responses((status = 200, description = "Requests over time, by outcome.", body = Value)),
)]
pub(super) async fn histogram(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<Value>, AdminError> {
    let now = state.clock.now_ms();
    let (zone_name, zone) = parameters.zone();
    let step = parameters.step();
    let filter = filter(&mut parameters, now);
    let until = filter.until.unwrap_or(now + 1);
    let from = filter.from.unwrap_or(until - HISTOGRAM_S * 1_000);
    let range = Range { from, until };
    let step_s = step.unwrap_or_else(|| automatic_step(range));
    check_buckets(&mut parameters, range, step_s);
    parameters.finish()?;
    let histogram = state.records.histogram(&filter, range, step_s, &zone).await?;
    let (basis, since) = basis(histogram.basis);
    let count = |of: fn(&crate::audit::Outcomes) -> i64| -> Vec<Option<i64>> {
        histogram.counts.iter().map(|counts| counts.as_ref().map(of)).collect()
    };
    let edges = &histogram.edges;
    Ok(Json(json!({
        "buckets": edges.iter().take(edges.len().saturating_sub(1)).map(|edge| timestamp(*edge)).collect::<Vec<_>>(),
        "until": edges.last().map(|edge| timestamp(*edge)),
        "step_s": histogram.step_s,
        "tz": zone_name,
        "succeeded": count(|counts| counts.succeeded),
        "failed": count(|counts| counts.failed),
        "cancelled": count(|counts| counts.cancelled),
        "basis": basis,
        "since": since,
    })))
}

/// A chart has room for so many buckets.
pub(super) fn check_buckets(parameters: &mut Parameters, range: Range, step_s: i64) {
    let most = i64::try_from(MOST_BUCKETS).unwrap_or(i64::MAX) - 1;
    let too_long = range.until - range.from > LONGEST_RANGE * 1_000;
    if range.from >= range.until || too_long || (range.until - range.from) / (step_s * 1_000) >= most {
        parameters.refuse("step", "range", format!("must cut the range into at most {most} buckets"));
    }
}
