//! `/keys`: API keys. A secret is told once, in the answer that makes it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::described::{KeyPatchRequest, KeyRequest, RotateRequest};
use super::error::AdminError;
use super::identifiers::{ResourceId, etag, if_match_number};
use super::query::Parameters;
use crate::admins::Change;
use crate::clock::timestamp;
use crate::keys::{KeyLimits, KeyOrder, KeyPatch, KeyQuery, KeyReasoning, KeyState, KeyTerms, KeyView, NewKey};

/// How long a replaced secret opens when the caller does not say: a day.
const GRACE_S: usize = 86_400;

/// A key without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyBody {
    id: String,
    name: String,
    /// Start and end of the secret.
    preview: String,
    enabled: bool,
    /// `disabled`, `expired`, `exhausted` (the requests of the day are used up) or `enabled`.
    state: &'static str,
    /// How reasoning reaches the key's clients: `think_tags`, `reasoning_content`, `hidden`, or as the settings say.
    reasoning: Option<&'static str>,
    expires_at: Option<String>,
    /// Most requests in any 60 seconds.
    requests_per_minute: Option<u32>,
    /// Most requests from midnight to midnight UTC.
    requests_per_day: Option<u32>,
    /// Most requests at the same time.
    concurrent_requests: Option<u32>,
    /// Models the key may use; `null` for all.
    models: Option<Vec<String>>,
    /// Until when the secret before the last rotation is accepted.
    previous_secret_until: Option<String>,
    in_flight: u32,
    requests_today: i64,
    requests_total: i64,
    created_at: String,
    last_used_at: Option<String>,
    version: i64,
}

/// A key with the only copy of its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyBody {
    #[serde(flatten)]
    shown: KeyBody,
    /// The secret. It is not shown again.
    key: String,
}

/// Keys just made.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeys {
    keys: Vec<NewKeyBody>,
}

/// A window of the keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    items: Vec<KeyBody>,
    /// How many match.
    total: usize,
}

/// `GET /keys?state=&q=&sort=&after=&offset=&limit=`: oldest first unless `sort` says otherwise.
#[utoipa::path(
    get,
    path = "/keys",
    operation_id = "keys_list",
    tag = "keys",
    params(
        ("state" = Option<String>, Query, description = "Any of these, separated by commas: `disabled`, `expired`, `exhausted`, `enabled`."),
        ("q" = Option<String>, Query, description = "Part of a name or of the shown secret, or an id."),
        ("sort" = Option<String>, Query, description = "`created_at`, `name`, `last_used_at`, `expires_at`, `requests_today` or `requests_total`; `-` in front for descending."),
        ("after" = Option<String>, Query, description = "Only keys made after this one."),
        ("offset" = Option<u32>, Query, description = "Items to skip.", minimum = 0, maximum = 1000000000),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "A window of the keys that match.", body = KeyList)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<KeyList>, AdminError> {
    let (order, is_descending) = parameters.order(&KeyOrder::ALL);
    let names = KeyState::ALL.map(KeyState::as_str);
    let query = KeyQuery {
        states: parameters.choices("state", KeyState::parse, &names),
        q: parameters.search(),
        order,
        is_descending,
        after: parameters.take("after"),
        offset: parameters.offset(),
        limit: parameters.limit(),
    };
    parameters.finish()?;
    let page = state.keys.list(&query);
    Ok(Json(KeyList { items: page.items.into_iter().map(KeyBody::from).collect(), total: page.total }))
}

/// `POST /keys`: one key, or `count` numbered ones.
#[utoipa::path(
    post,
    path = "/keys",
    operation_id = "keys_create",
    tag = "keys",
    request_body = KeyRequest,
    responses((status = 201, description = "The keys, with the only copies of their secrets.", body = NewKeys)),
)]
pub(super) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    mut body: Members,
) -> Result<Response, AdminError> {
    let name = body.required_text("name");
    let count = body.count("count").unwrap_or(1);
    let terms = KeyTerms {
        reasoning: reasoning(&mut body).flatten(),
        expires_at: body.nullable_time("expires_at").flatten(),
        limits: KeyLimits {
            requests_per_minute: body.nullable_number("requests_per_minute").flatten(),
            requests_per_day: body.nullable_number("requests_per_day").flatten(),
            concurrent_requests: body.nullable_number("concurrent_requests").flatten(),
        },
        models: body.nullable_texts("models").flatten(),
    };
    body.finish()?;
    let new = state.keys.create(&name, count, &terms).await?;
    let keys = NewKeys { keys: new.into_iter().map(NewKeyBody::from).collect() };
    let ids: Vec<&str> = keys.keys.iter().map(|key| key.shown.id.as_str()).collect();
    let change = match keys.keys.as_slice() {
        [one] => Change::new("key.create", &one.shown.id).between(&Value::Null, &one.shown),
        many => {
            let after = json!({ "ids": ids, "first": many.first().map(|key| &key.shown) });
            Change { action: "key.create", subject: None, before: Value::Null, after }
        }
    };
    state.note(&caller, change).await;
    state.events.publish("key.list_changed", "keys", "", &json!({ "created": ids }));
    Ok((StatusCode::CREATED, Json(keys)).into_response())
}

/// `GET /keys/{id}`
#[utoipa::path(
    get,
    path = "/keys/{id}",
    operation_id = "keys_show",
    tag = "keys",
    params(
        ("id" = String, Path, description = "The key.", example = "key_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 200, description = "The key.", body = KeyBody, headers(("ETag" = String)))),
)]
pub(super) async fn show(State(state): State<AdminState>, _: Caller, id: ResourceId) -> Result<Response, AdminError> {
    let id = id.of_kind("key_")?;
    let key = state.keys.get(&id).ok_or_else(|| AdminError::not_found("there is no such key"))?;
    Ok(answer(key))
}

/// `PATCH /keys/{id}`: what the body names; `null` takes a limit away.
#[utoipa::path(
    patch,
    path = "/keys/{id}",
    operation_id = "keys_edit",
    tag = "keys",
    params(
        ("id" = String, Path, description = "The key.", example = "key_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("If-Match" = Option<String>, Header, description = "The version that the caller saw, in quotes, as `ETag` gave it.", example = "\"3\""),
    ),
    request_body = KeyPatchRequest,
    responses((status = 200, description = "The key as it is now.", body = KeyBody, headers(("ETag" = String)))),
)]
pub(super) async fn edit(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    headers: HeaderMap,
    mut body: Members,
) -> Result<Response, AdminError> {
    let id = id.of_kind("key_")?;
    let version = if_match_number(&headers)?;
    let patch = KeyPatch {
        name: body.text("name"),
        enabled: body.flag("enabled"),
        reasoning: reasoning(&mut body),
        expires_at: body.nullable_time("expires_at"),
        requests_per_minute: body.nullable_number("requests_per_minute"),
        requests_per_day: body.nullable_number("requests_per_day"),
        concurrent_requests: body.nullable_number("concurrent_requests"),
        models: body.nullable_texts("models"),
    };
    body.finish()?;
    let before = state.keys.get(&id).map(KeyBody::from);
    let key = state.keys.patch(&id, patch, version).await?;
    let after = KeyBody::from(key.clone());
    state.note(&caller, Change::new("key.update", &id).between(&before, &after)).await;
    publish(&state, &after);
    Ok(answer(key))
}

/// `POST /keys/{id}/actions/rotate`: a new secret; the present one is accepted for `grace_s` seconds more.
#[utoipa::path(
    post,
    path = "/keys/{id}/actions/rotate",
    operation_id = "keys_rotate",
    tag = "keys",
    params(
        ("id" = String, Path, description = "The key.", example = "key_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("If-Match" = Option<String>, Header, description = "The version that the caller saw, in quotes, as `ETag` gave it.", example = "\"3\""),
    ),
    request_body = RotateRequest,
    responses((status = 200, description = "The key, with the only copy of its new secret.", body = NewKeyBody, headers(("ETag" = String)))),
)]
pub(super) async fn rotate(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    headers: HeaderMap,
    mut body: Members,
) -> Result<Response, AdminError> {
    let id = id.of_kind("key_")?;
    let version = if_match_number(&headers)?;
    let grace_s = i64::try_from(body.count("grace_s").unwrap_or(GRACE_S)).unwrap_or(i64::MAX);
    body.finish()?;
    let before = state.keys.get(&id).map(KeyBody::from);
    let new = NewKeyBody::from(state.keys.rotate(&id, grace_s, version).await?);
    state.note(&caller, Change::new("key.rotate", &id).between(&before, &new.shown)).await;
    publish(&state, &new.shown);
    Ok(([etag(new.shown.version)], Json(new)).into_response())
}

/// `DELETE /keys/{id}`
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    operation_id = "keys_delete",
    tag = "keys",
    params(
        ("id" = String, Path, description = "The key.", example = "key_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
        ("If-Match" = Option<String>, Header, description = "The version that the caller saw, in quotes, as `ETag` gave it.", example = "\"3\""),
    ),
    responses((status = 204, description = "The key is deleted.")),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    headers: HeaderMap,
) -> Result<StatusCode, AdminError> {
    let id = id.of_kind("key_")?;
    let before = KeyBody::from(state.keys.delete(&id, if_match_number(&headers)?).await?);
    state.note(&caller, Change::new("key.delete", &id).between(&before, &Value::Null)).await;
    state.events.publish("key.list_changed", "keys", "", &json!({ "deleted": id }));
    Ok(StatusCode::NO_CONTENT)
}

fn reasoning(body: &mut Members) -> Option<Option<KeyReasoning>> {
    let Some(name) = body.nullable_text("reasoning")? else { return Some(None) };
    match KeyReasoning::parse(&name) {
        Some(reasoning) => Some(Some(reasoning)),
        None => {
            let names: Vec<&str> = KeyReasoning::ALL.iter().map(|reasoning| reasoning.as_str()).collect();
            body.refuse("reasoning", "choice", format!("must be null or one of {}", names.join(", ")))
        }
    }
}

/// Tells the consoles how a key is now.
fn publish(state: &AdminState, key: &KeyBody) {
    let data = json!({ "id": key.id, "version": key.version, "patch": key });
    state.events.publish("key", "keys", &key.id, &data);
}

fn answer(key: KeyView) -> Response {
    ([etag(key.version)], Json(KeyBody::from(key))).into_response()
}

impl From<KeyView> for KeyBody {
    fn from(key: KeyView) -> Self {
        Self {
            id: key.id,
            name: key.name,
            preview: key.preview,
            enabled: key.enabled,
            state: key.state.as_str(),
            reasoning: key.reasoning.map(KeyReasoning::as_str),
            expires_at: key.expires_at.map(timestamp),
            requests_per_minute: key.limits.requests_per_minute,
            requests_per_day: key.limits.requests_per_day,
            concurrent_requests: key.limits.concurrent_requests,
            models: key.models,
            previous_secret_until: key.previous_until.map(timestamp),
            in_flight: key.in_flight,
            requests_today: key.requests_today,
            requests_total: key.requests_total,
            created_at: timestamp(key.created_at),
            last_used_at: key.last_used_at.map(timestamp),
            version: key.version,
        }
    }
}

impl From<NewKey> for NewKeyBody {
    fn from(new: NewKey) -> Self {
        Self { shown: new.key.into(), key: new.secret }
    }
}
