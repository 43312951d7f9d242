//! `/accounts`: the pool's accounts, by id and fingerprint. A token goes in and never comes out.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::described::{AccountPatchRequest, AccountRequest, AdminErrorBody};
use super::error::AdminError;
use super::identifiers::{ResourceId, etag, if_match_number};
use crate::accounts::{AccountPage, AccountPatch, AccountQuery, AccountView, NewAccount, Summary};
use crate::admins::Change;
use crate::settings::FieldError;

const DEFAULT_LIMIT: usize = 50;
const MOST_ITEMS: usize = 500;
const MOST_SKIPPED: usize = 1_000_000_000;

/// Names under which accounts can be filtered by state: a slip must not look like an empty pool.
const STATES: [&str; 6] = ["disabled", "invalid", "cooling", "exhausted", "probation", "available"];

const MOST_TAGS: usize = 20;
const LONGEST_TAG: usize = 64;

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// `GET /accounts?state=&tier=&tag=&q=&sort=&offset=&limit=`: commas mean any of; `-` in front of a sort member means descending.
#[utoipa::path(
    get,
    path = "/accounts",
    operation_id = "accounts_list",
    tag = "accounts",
    params(
        ("state" = Option<String>, Query, description = "Any of these, separated by commas: `disabled`, `invalid`, `cooling`, `exhausted`, `probation`, `available`."),
        ("tier" = Option<String>, Query, description = "Any of these."),
        ("tag" = Option<String>, Query, description = "Any of these."),
        ("q" = Option<String>, Query, description = "Part of a label, tag or fingerprint."),
        ("sort" = Option<String>, Query, description = "Members to sort by, `-` in front for descending."),
        ("offset" = Option<u32>, Query, description = "Items to skip.", minimum = 0, maximum = 1000000000),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "A window of the accounts that match.", body = AccountPage)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    pairs: Pairs,
) -> Result<Json<AccountPage>, AdminError> {
    let Query(pairs) = pairs.map_err(|_| AdminError::invalid_request("the query cannot be read"))?;
    Ok(Json(state.accounts.list(&account_query(&pairs)?)?))
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
    let account = state.accounts.add(new).await?;
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
    body.finish()?;
    let before = state.accounts.get(&id);
    let account = state.accounts.patch(&id, patch, version).await?;
    state.note(&caller, Change::new("account.update", &id).between(&before, &account)).await;
    publish(&state, &account);
    Ok(answer(account))
}

/// `DELETE /accounts/{id}`
#[utoipa::path(
    delete,
    path = "/accounts/{id}",
    operation_id = "accounts_delete",
    tag = "accounts",
    params(
        ("id" = String, Path, description = "The account.", example = "acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 204, description = "The account is deleted.")),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<StatusCode, AdminError> {
    let id = id.of_kind("acc_")?;
    let before = state.accounts.get(&id);
    state.accounts.delete(&id).await?;
    state.note(&caller, Change::new("account.delete", &id).between(&before, &Value::Null)).await;
    state.events.publish("account.list_changed", "accounts", "", &json!({ "deleted": id }));
    Ok(StatusCode::NO_CONTENT)
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
    let before = state.accounts.get(&id);
    let account = state.accounts.clear_cooldown(&id).await?;
    state.note(&caller, Change::new("account.clear_cooldown", &id).between(&before, &account)).await;
    publish(&state, &account);
    Ok(answer(account))
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

fn account_query(pairs: &[(String, String)]) -> Result<AccountQuery, AdminError> {
    let mut query = AccountQuery { limit: DEFAULT_LIMIT, ..AccountQuery::default() };
    let mut errors = Vec::new();
    let mut refuse =
        |name: &str, code: &'static str, message: String| errors.push(FieldError::new(name, code, json!({}), message));
    for (name, value) in pairs {
        let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
        match name.as_str() {
            "state" => {
                query.states.extend(words.map(str::to_owned));
                if query.states.iter().any(|state| !STATES.contains(&state.as_str())) {
                    refuse(name, "choice", format!("must be of {}", STATES.join(", ")));
                }
            }
            "tier" => query.tiers.extend(words.map(str::to_owned)),
            "tag" => query.tags.extend(words.map(str::to_owned)),
            "q" => query.q = Some(value.trim().to_owned()).filter(|words| !words.is_empty()),
            "sort" => query.sort.extend(words.map(|word| match word.strip_prefix('-') {
                Some(member) => (member.to_owned(), true),
                None => (word.to_owned(), false),
            })),
            "offset" => match value.parse() {
                Ok(offset) if offset <= MOST_SKIPPED => query.offset = offset,
                _ => refuse(name, "range", format!("must be between 0 and {MOST_SKIPPED}")),
            },
            "limit" => match value.parse() {
                Ok(limit) if (1..=MOST_ITEMS).contains(&limit) => query.limit = limit,
                _ => refuse(name, "range", format!("must be between 1 and {MOST_ITEMS}")),
            },
            _ => refuse(name, "unknown", "is not a parameter of this list".to_owned()),
        }
    }
    if errors.is_empty() { Ok(query) } else { Err(AdminError::validation(errors)) }
}
