//! `/accounts`: the pool's accounts, by id and fingerprint. A token goes in and never comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::described::{AccountFilterParameters, AccountPatchRequest, AccountRequest, AdminErrorBody, NewTokenRequest};
use super::error::AdminError;
use super::export::{Format, Sheet, file};
use super::identifiers::{ResourceId, etag, if_match_number};
use super::query::Parameters;
use crate::accounts::{
    AccountPage, AccountPatch, AccountQuery, AccountView, BinPage, Edited, FacetField, FacetValue, NewAccount, STATES,
    Summary, TIERS,
};
use crate::admins::Change;
use crate::store::StoreError;

/// Most values of a field that are told.
const MOST_FACETS: usize = 200;

/// Accounts of a file that are read at once.
const ROWS: usize = 500;

const SHEET: Sheet = Sheet {
    name: "accounts",
    columns: &[
        "id",
        "label",
        "fingerprint",
        "tags",
        "tier",
        "tier_source",
        "enabled",
        "state.name",
        "state.reason.code",
        "state.since",
        "state.until",
        "quota.auto.remaining",
        "quota.auto.total",
        "quota.fast.remaining",
        "quota.fast.total",
        "quota.expert.remaining",
        "quota.expert.total",
        "quota.heavy.remaining",
        "quota.heavy.total",
        "consecutive_failures",
        "transport",
        "duplicate_of",
        "created_at",
        "last_used_at",
    ],
};

const MOST_TAGS: usize = 20;
const LONGEST_TAG: usize = 64;

/// `GET /accounts?state=&tier=&tag=&reason=&q=&sort=&offset=&limit=&view=`
#[utoipa::path(
    get,
    path = "/accounts",
    operation_id = "accounts_list",
    tag = "accounts",
    params(
        AccountFilterParameters,
        ("sort" = Option<String>, Query, description = "Members to sort by, `-` in front for descending."),
        ("offset" = Option<u32>, Query, description = "Items to skip.", minimum = 0, maximum = 1000000000),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
        ("view" = Option<String>, Query, description = "The order of an earlier answer, for further windows of it; the filters and `sort` then do not count."),
    ),
    responses((status = 200, description = "A window of the accounts that match. With `Accept: text/csv` or `application/x-ndjson`: all of them, as a file.", body = AccountPage), (status = 410, description = "The order is no longer kept (`view_expired`): load the list anew.", body = AdminErrorBody)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, AdminError> {
    let mut query = filter(&mut parameters);
    query.sort = parameters
        .words("sort")
        .into_iter()
        .map(|word| match word.strip_prefix('-') {
            Some(member) => (member.to_owned(), true),
            None => (word, false),
        })
        .collect();
    query.offset = parameters.offset();
    query.limit = parameters.limit();
    query.view = parameters.take("view");
    parameters.finish()?;
    match Format::wanted(&headers) {
        Some(format) => export(&state, &query, format),
        None => Ok(Json(state.accounts.list(&query)?).into_response()),
    }
}

/// All that match, in the order of the list, read while they are sent.
fn export(state: &AdminState, query: &AccountQuery, format: Format) -> Result<Response, AdminError> {
    let ids = match &query.view {
        Some(view) => state.accounts.ids_of_view(view)?.to_vec(),
        None => state.accounts.matching(query)?,
    };
    let pieces: Vec<Vec<Arc<str>>> = ids.chunks(ROWS).map(<[_]>::to_vec).collect();
    let accounts = state.accounts.clone();
    let rows = stream::iter(pieces).then(move |ids| {
        let accounts = accounts.clone();
        async move {
            // Between two pieces others have their turn.
            tokio::task::yield_now().await;
            let accounts = ids.iter().filter_map(|id| accounts.get(id));
            accounts.map(|account| exported(&account, format)).collect::<Result<Vec<_>, _>>()
        }
    });
    Ok(file(SHEET, format, rows))
}

fn exported(account: &AccountView, format: Format) -> Result<Value, StoreError> {
    let mut row = serde_json::to_value(account).map_err(|error| StoreError::Unsupported(error.to_string()))?;
    if format == Format::Csv {
        // A column for each mode, and not a list in one cell.
        let by_mode = account.quota.iter().map(|quota| (quota.mode.clone(), json!(quota)));
        row["quota"] = Value::Object(by_mode.collect());
    }
    Ok(row)
}

/// `GET /accounts/facets?field=&…`: how many accounts have each value.
#[utoipa::path(
    get,
    path = "/accounts/facets",
    operation_id = "accounts_facets",
    tag = "accounts",
    params(
        ("field" = String, Query, description = "Any of these, separated by commas: `state`, `tier`, `tag`, `reason`.", example = "state,tier"),
        AccountFilterParameters,
    ),
    responses((status = 200, description = "By field the values and their counts, the most frequent first. A field's own filter does not count for it.", body = BTreeMap<String, Vec<FacetValue>>)),
)]
pub(super) async fn facets(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<BTreeMap<&'static str, Vec<FacetValue>>>, AdminError> {
    let names = FacetField::NAMES.map(|(name, _)| name);
    let known = |word: &str| FacetField::NAMES.into_iter().find(|(name, _)| *name == word);
    let fields = parameters.choices("field", known, &names);
    if fields.is_empty() {
        parameters.refuse("field", "required", format!("must name fields: {}", names.join(", ")));
    }
    let query = filter(&mut parameters);
    parameters.finish()?;
    let count = |(name, field)| (name, state.accounts.facets(field, &query, MOST_FACETS));
    Ok(Json(fields.into_iter().map(count).collect()))
}

/// `GET /accounts/summary`
#[utoipa::path(
    get,
    path = "/accounts/summary",
    operation_id = "accounts_summary",
    tag = "accounts",
    responses((status = 200, description = "Counters over all accounts.", body = Summary)),
)]
pub(super) async fn summary(State(state): State<AdminState>, _: Caller) -> Json<Summary> {
    Json(state.accounts.summary())
}

/// `POST /accounts`: adds one by its token.
#[utoipa::path(
    post,
    path = "/accounts",
    operation_id = "accounts_add",
    tag = "accounts",
    request_body = AccountRequest,
    responses((status = 201, description = "The account.", body = AccountView, headers(("Location" = String), ("ETag" = String))), (status = 409, description = "The account is known; `existing` names it.", body = AdminErrorBody)),
)]
pub(super) async fn add(
    State(state): State<AdminState>,
    caller: Caller,
    mut body: Members,
) -> Result<Response, AdminError> {
    let new = NewAccount {
        token: body.required_text("token"),
        label: body.text("label"),
        tags: tags(&mut body).unwrap_or_default(),
        enabled: body.flag("enabled").unwrap_or(true),
    };
    body.finish()?;
    let account = state.accounts.add(new, caller.name()).await?;
    state.note(&caller, Change::new("account.create", &account.id).between(&Value::Null, &account)).await;
    state.events.publish("account.list_changed", "accounts", "", &json!({ "created": account.id }));
    let location = format!("/admin/api/v1/accounts/{}", account.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], [etag(account.version)], Json(account)).into_response())
}

/// `GET /accounts/{id}`
#[utoipa::path(
    get,
    path = "/accounts/{id}",
    operation_id = "accounts_show",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 200, description = "The account.", body = AccountView, headers(("ETag" = String)))),
)]
pub(super) async fn show(State(state): State<AdminState>, _: Caller, id: ResourceId) -> Result<Response, AdminError> {
    let id = id.of_kind("acc_")?;
    let account = state.accounts.get(&id).ok_or_else(|| AdminError::not_found("there is no such account"))?;
    Ok(answer(account))
}

/// `PATCH /accounts/{id}`: label, tags, enabled, tier (`null`: as the upstream says).
#[utoipa::path(
    patch,
    path = "/accounts/{id}",
    operation_id = "accounts_edit",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("If-Match" = Option<String>, Header, description = "The version that the caller saw, in quotes, as `ETag` gave it.", example = "\"3\""),
    ),
    request_body = AccountPatchRequest,
    responses((status = 200, description = "The account as it is now.", body = AccountView, headers(("ETag" = String)))),
)]
pub(super) async fn edit(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    headers: HeaderMap,
    mut body: Members,
) -> Result<Response, AdminError> {
    let id = id.of_kind("acc_")?;
    let version = if_match_number(&headers)?;
    let patch = AccountPatch {
        label: body.text("label"),
        tags: tags(&mut body),
        enabled: body.flag("enabled"),
        tier: body.nullable_text("tier"),
    };
    if let Some(Some(tier)) = &patch.tier
        && !TIERS.contains(&tier.as_str())
    {
        body.refuse::<()>("tier", "choice", format!("must be one of {}, or null", TIERS.join(", ")));
    }
    body.finish()?;
    let Edited { before, after } = state.accounts.patch(&id, patch, version, caller.name()).await?;
    state.note(&caller, Change::new("account.update", &id).between(&before, &after)).await;
    publish(&state, &after);
    Ok(answer(after))
}

/// `DELETE /accounts/{id}?purge=`
#[utoipa::path(
    delete,
    path = "/accounts/{id}",
    operation_id = "accounts_delete",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("purge" = Option<bool>, Query, description = "For good, without a week in the bin."),
    ),
    responses((status = 204, description = "The account is deleted.")),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    mut parameters: Parameters,
) -> Result<StatusCode, AdminError> {
    let id = id.of_kind("acc_")?;
    let purge = parameters.choice("purge", &[("true", true), ("false", false)]).unwrap_or(false);
    parameters.finish()?;
    let before = state.accounts.get(&id);
    state.accounts.delete(&id, purge, caller.name()).await?;
    let action = if purge { "account.purge" } else { "account.delete" };
    state.note(&caller, Change::new(action, &id).between(&before, &Value::Null)).await;
    state.events.publish("account.list_changed", "accounts", "", &json!({ "deleted": id }));
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /accounts/bin?limit=&offset=`: what was deleted and can be had back.
#[utoipa::path(
    get,
    path = "/accounts/bin",
    operation_id = "accounts_bin",
    tag = "accounts",
    params(
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
        ("offset" = Option<u32>, Query, description = "Items to skip.", minimum = 0, maximum = 1000000000),
    ),
    responses((status = 200, description = "A window of the bin, the latest deletion first.", body = BinPage)),
)]
pub(super) async fn bin(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<BinPage>, AdminError> {
    let (limit, offset) = (parameters.limit(), parameters.offset());
    parameters.finish()?;
    Ok(Json(state.accounts.bin(limit, offset).await?))
}

/// `POST /accounts/{id}/actions/restore`: out of the bin, with its conversations.
#[utoipa::path(
    post,
    path = "/accounts/{id}/actions/restore",
    operation_id = "accounts_restore",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 200, description = "The account, which is in the pool.", body = AccountView, headers(("ETag" = String))), (status = 409, description = "It is not in the bin.", body = AdminErrorBody)),
)]
pub(super) async fn restore(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<Response, AdminError> {
    let id = id.of_kind("acc_")?;
    let account = state.accounts.restore(&id, caller.name()).await?;
    state.note(&caller, Change::new("account.restore", &id).between(&Value::Null, &account)).await;
    state.events.publish("account.list_changed", "accounts", "", &json!({ "created": account.id }));
    Ok(answer(account))
}

/// `POST /accounts/{id}/actions/clear_cooldown`
#[utoipa::path(
    post,
    path = "/accounts/{id}/actions/clear_cooldown",
    operation_id = "accounts_clear_cooldown",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 200, description = "The account, which may serve again.", body = AccountView, headers(("ETag" = String)))),
)]
pub(super) async fn clear_cooldown(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<Response, AdminError> {
    let id = id.of_kind("acc_")?;
    let Edited { before, after } = state.accounts.clear_cooldown(&id, caller.name()).await?;
    state.note(&caller, Change::new("account.clear_cooldown", &id).between(&before, &after)).await;
    publish(&state, &after);
    Ok(answer(after))
}

/// `POST /accounts/{id}/actions/replace_token` `{token, check}`: another token for the same account, when the old one has expired.
#[utoipa::path(
    post,
    path = "/accounts/{id}/actions/replace_token",
    operation_id = "accounts_replace_token",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    request_body = NewTokenRequest,
    responses((status = 200, description = "The account, with its conversations and its history.", body = AccountView, headers(("ETag" = String))), (status = 409, description = "Another account has this token; `existing` names it.", body = AdminErrorBody)),
)]
pub(super) async fn replace_token(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    mut body: Members,
) -> Result<Response, AdminError> {
    let id = id.of_kind("acc_")?;
    let token = body.required_text("token");
    let check = body.flag("check").unwrap_or(false);
    body.finish()?;
    if check && state.chat.is_dead_token(&state.accounts.credential_of_token(&token)?).await {
        let message = "the upstream does not let this token in; the account keeps the one it has";
        return Err(AdminError::field("/token", "credential_dead", message));
    }
    let Edited { before, after } = state.accounts.replace_token(&id, &token, caller.name()).await?;
    state.note(&caller, Change::new("account.replace_token", &id).between(&before, &after)).await;
    publish(&state, &after);
    Ok(answer(after))
}

/// What came of a check. That the upstream refuses an account is an answer, not a failure of the call.
#[derive(Serialize, ToSchema)]
pub(super) struct QuotaCheck {
    account: AccountView,
    /// `null`: quota and plan were read.
    failure: Option<CheckProblem>,
}

/// Why an account could not be read.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckProblem {
    /// Whose fault it is: `credential_dead`, `user_blocked`, `rate_limited`, `exit_challenge`, …
    code: String,
    message: String,
    /// What the upstream answered.
    upstream_status: Option<u16>,
}

/// `POST /accounts/{id}/actions/check_quota`: reads its quota and its plan now, in whatever state it is.
#[utoipa::path(
    post,
    path = "/accounts/{id}/actions/check_quota",
    operation_id = "accounts_check_quota",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses(
        (status = 200, description = "The account as it is now, and why it could not be read if it could not.", body = QuotaCheck),
    ),
)]
pub(super) async fn check_quota(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<Json<QuotaCheck>, AdminError> {
    let id = id.of_kind("acc_")?;
    let gone = || AdminError::not_found("there is no such account");
    let before = state.accounts.get(&id).ok_or_else(gone)?;
    let checked = state.chat.check_account(&id).await;
    // Also a refusal may have changed it.
    let account = state.accounts.get(&id).ok_or_else(gone)?;
    // Somebody may have given it another token meanwhile: that is not what the check did.
    let before = AccountView { fingerprint: account.fingerprint.clone(), version: account.version, ..before };
    state.note(&caller, Change::new("account.check_quota", &id).between(&before, &account)).await;
    publish(&state, &account);
    let failure = checked.err().map(|failure| CheckProblem {
        code: failure.code,
        message: failure.message,
        upstream_status: failure.status,
    });
    Ok(Json(QuotaCheck { account, failure }))
}

/// Tells the consoles how an account is now.
fn publish(state: &AdminState, account: &AccountView) {
    let data = json!({ "id": account.id, "version": account.version, "patch": account });
    state.events.publish("account", "accounts", &account.id, &data);
}

fn answer(account: AccountView) -> Response {
    ([etag(account.version)], Json(account)).into_response()
}

/// Tags without outer spaces, empty ones and repetitions.
fn tags(body: &mut Members) -> Option<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    for tag in body.texts("tags")? {
        let tag = tag.trim();
        if tag.chars().count() > LONGEST_TAG || tag.contains(',') || tag.chars().any(char::is_control) {
            return body.refuse(
                "tags",
                "format",
                format!("must hold texts of at most {LONGEST_TAG} characters without commas"),
            );
        }
        if !tag.is_empty() && !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    if tags.len() > MOST_TAGS {
        return body.refuse("tags", "max", format!("must hold at most {MOST_TAGS} tags"));
    }
    Some(tags)
}

/// What a query says of the accounts that are meant.
pub(super) fn filter(parameters: &mut Parameters) -> AccountQuery {
    let state = |word: &str| STATES.contains(&word).then(|| word.to_owned());
    AccountQuery {
        // A slip must not look like an empty pool.
        states: parameters.choices("state", state, &STATES),
        tiers: parameters.words("tier"),
        tags: parameters.words("tag"),
        reasons: parameters.words("reason"),
        duplicate: parameters.choice("duplicate", &[("true", true), ("false", false)]),
        q: parameters.search(),
        ..AccountQuery::default()
    }
}
