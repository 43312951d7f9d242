//! `/tokens`: tokens of the admin API for scripts. A secret is told once, in the answer that makes it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::described::TokenRequest;
use super::error::AdminError;
use super::identifiers::ResourceId;
use crate::admins::{Change, Scope, TokenView};
use crate::clock::timestamp;

/// A token without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenBody {
    id: String,
    name: String,
    /// Start and end of the secret.
    preview: String,
    /// `read`; `accounts`, `keys`, `settings`: may change those, too; `all`: may change everything.
    scopes: Vec<&'static str>,
    created_by: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

/// A token with the only copy of its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct NewTokenBody {
    #[serde(flatten)]
    shown: TokenBody,
    /// The secret, for `Authorization: Bearer`. It is not shown again.
    token: String,
}

/// All tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenList {
    items: Vec<TokenBody>,
    total: usize,
}

/// `GET /tokens`: oldest first.
#[utoipa::path(
    get,
    path = "/tokens",
    operation_id = "tokens_list",
    tag = "tokens",
    responses((status = 200, description = "All tokens, oldest first.", body = TokenList)),
)]
pub(super) async fn list(State(state): State<AdminState>, _: Caller) -> Json<TokenList> {
    let items: Vec<TokenBody> = state.admins.tokens().into_iter().map(TokenBody::from).collect();
    Json(TokenList { total: items.len(), items })
}

/// `POST /tokens`
#[utoipa::path(
    post,
    path = "/tokens",
    operation_id = "tokens_create",
    tag = "tokens",
    request_body = TokenRequest,
    responses((status = 201, description = "The token, with the only copy of its secret.", body = NewTokenBody, headers(("Location" = String)))),
)]
pub(super) async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    mut body: Members,
) -> Result<Response, AdminError> {
    let name = body.required_text("name");
    let names = body.texts("scopes").unwrap_or_else(|| vec![Scope::Read.as_str().to_owned()]);
    let scopes: Vec<Scope> = names.iter().filter_map(|name| Scope::parse(name)).collect();
    if scopes.len() < names.len() {
        let all = Scope::ALL.map(Scope::as_str).join(", ");
        body.refuse::<()>("scopes", "choice", format!("must be one of {all}"));
    }
    let expires_at = body.nullable_time("expires_at").flatten();
    body.finish()?;
    let new = state.admins.create_token(&name, &scopes, expires_at, caller.name()).await?;
    let shown = TokenBody::from(new.token);
    state.note(&caller, Change::new("token.create", &shown.id).between(&Value::Null, &shown)).await;
    let location = format!("/admin/api/v1/tokens/{}", shown.id);
    let body = NewTokenBody { shown, token: new.secret };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(body)).into_response())
}

/// `GET /tokens/{id}`
#[utoipa::path(
    get,
    path = "/tokens/{id}",
    operation_id = "tokens_show",
    tag = "tokens",
    params(
        ("id" = String, Path, description = "The token.", example = "tok_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 200, description = "The token.", body = TokenBody)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
) -> Result<Json<TokenBody>, AdminError> {
    let id = id.of_kind("tok_")?;
    let token = state.admins.token(&id).ok_or_else(|| AdminError::not_found("there is no such token"))?;
    Ok(Json(token.into()))
}

/// `DELETE /tokens/{id}`
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    operation_id = "tokens_delete",
    tag = "tokens",
    params(
        ("id" = String, Path, description = "The token.", example = "tok_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 204, description = "The token is deleted.")),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<StatusCode, AdminError> {
    let id = id.of_kind("tok_")?;
    let before = TokenBody::from(state.admins.delete_token(&id).await?);
    state.note(&caller, Change::new("token.delete", &id).between(&before, &Value::Null)).await;
    Ok(StatusCode::NO_CONTENT)
}

impl From<TokenView> for TokenBody {
    fn from(token: TokenView) -> Self {
        Self {
            id: token.id,
            name: token.name,
            preview: token.preview,
            scopes: token.scopes.into_iter().map(Scope::as_str).collect(),
            created_by: token.created_by,
            created_at: timestamp(token.created_at),
            expires_at: token.expires_at.map(timestamp),
            last_used_at: token.last_used_at.map(timestamp),
        }
    }
}
