//! `POST /playground/chat`: a chat by the console itself. It takes the way of every other chat, under a name that no key has, so that
//! its conversations are its own.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use http::header::USER_AGENT;
use serde_json::Value;

use super::AdminState;
use super::body::LargeMembers;
use super::caller::Caller;
use super::described::{AdminErrorBody, PlaygroundChat};
use super::error::AdminError;
use crate::audit::Interruption;
use crate::http::ApiState;
use crate::http::client_address::ClientAddress;
use crate::http::openai::{ConsoleAsk, console_chat};
use crate::http::request_id::RequestId;

/// As the request log names it.
const ROUTE: &str = "/admin/api/v1/playground/chat";

/// `POST /playground/chat`: the body of a chat completion request, with `account_id` and `as_key_id` besides.
#[utoipa::path(
    post,
    path = "/playground/chat",
    operation_id = "playground_chat",
    tag = "playground",
    request_body = PlaygroundChat,
    responses(
        (status = 200, description = "A chat completion with a member `meta`; with `stream`, server-sent events as in `/v1/chat/completions`, and events `meta` at the beginning and before the end: receipt, account, ids, times.", body = Value),
        (status = 404, description = "There is no such conversation, response or model.", body = AdminErrorBody),
        (status = 409, description = "The conversation can neither be continued nor replayed.", body = AdminErrorBody),
        (status = 500, description = "The answer could not be stored.", body = AdminErrorBody),
        (status = 502, description = "The upstream failed.", body = AdminErrorBody),
        (status = 503, description = "Nobody can serve, or the upstream refuses the way out.", body = AdminErrorBody),
        (status = 504, description = "The upstream took too long.", body = AdminErrorBody),
    ),
)]
pub(super) async fn chat(
    State(state): State<AdminState>,
    _: Caller,
    request_id: axum::Extension<RequestId>,
    address: Option<axum::Extension<ClientAddress>>,
    interruption: Option<axum::Extension<Interruption>>,
    headers: HeaderMap,
    LargeMembers(mut body): LargeMembers,
) -> Result<Response, AdminError> {
    let (account, as_key) = (body.nullable_text("account_id").flatten(), body.nullable_text("as_key_id").flatten());
    if account.as_ref().is_some_and(|account| state.accounts.get(account).is_none()) {
        body.refuse::<()>("account_id", "unknown", "is not the id of an account");
    }
    if as_key.as_ref().is_some_and(|key| state.keys.get(key).is_none()) {
        body.refuse::<()>("as_key_id", "unknown", "is not the id of a key");
    }
    let body = Value::Object(body.rest()?).to_string().into_bytes();
    let client = address.map(|address| address.0.0.to_string());
    let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    let mut record = state.recorder.open(&request_id.0.0, ROUTE, client, user_agent);
    if let Some(interruption) = &interruption {
        record.watch(interruption);
    }
    let ask = ConsoleAsk { body, as_key, account };
    Ok(console_chat(api_state(&state), ask, &headers, record, request_id.0).await?)
}

/// What chats work with.
fn api_state(state: &AdminState) -> ApiState {
    ApiState {
        settings: state.settings.clone(),
        keys: state.keys.clone(),
        admins: state.admins.clone(),
        accounts: state.accounts.clone(),
        chat: state.chat.clone(),
        images: state.images.clone(),
        recorder: state.recorder.clone(),
        metrics: state.metrics.clone(),
        store: state.store.clone(),
        writer: state.writer.clone(),
        exit: state.exit.clone(),
        clock: state.clock.clone(),
    }
}
