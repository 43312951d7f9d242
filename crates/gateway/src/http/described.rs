//! What the client routes take and answer, for the OpenAPI document. What is read of a body stands in `protocol::openai`; members that
//! are not named here are accepted and named in `X-Grok2API-Ignored`.

#![expect(dead_code, reason = "these types are only described; nobody makes one")]

use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

/// The routes under `/v1`. They are there without the prefix as well, because clients differ in what they add.
#[derive(OpenApi)]
#[openapi(paths(chat_completions, responses, list_models, get_model), components(schemas(ClientErrorBody)))]
pub(super) struct ClientApi;

/// Asks for an answer to a chat.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "chat",
    request_body = ChatCompletion,
    responses(
        (status = 200, description = "The answer; with `stream`, as server-sent events.", content(
            (Completion = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 400, description = "The request cannot be read or used.", body = ClientErrorBody),
        (status = 404, description = "There is no such conversation, response or model.", body = ClientErrorBody),
        (status = 408, description = "The body did not arrive in time.", body = ClientErrorBody),
        (status = 409, description = "The conversation cannot be served now.", body = ClientErrorBody),
        (status = 413, description = "The body is too large.", body = ClientErrorBody),
        (status = 429, description = "A limit of the key, of the accounts or of the upstream.", body = ClientErrorBody),
        (status = 500, description = "The answer could not be stored.", body = ClientErrorBody),
        (status = 502, description = "The upstream failed.", body = ClientErrorBody),
        (status = 503, description = "Nobody can answer now.", body = ClientErrorBody),
        (status = 504, description = "The upstream took too long.", body = ClientErrorBody),
    ),
)]
fn chat_completions() {}

/// Goes on with a conversation by one message.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "chat",
    request_body = ShortTurn,
    responses(
        (status = 200, description = "The answer; with `stream`, as server-sent events.", content(
            (Completion = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 400, description = "The request cannot be read or used.", body = ClientErrorBody),
        (status = 404, description = "There is no such conversation, response or model.", body = ClientErrorBody),
        (status = 408, description = "The body did not arrive in time.", body = ClientErrorBody),
        (status = 409, description = "The conversation cannot be served now.", body = ClientErrorBody),
        (status = 413, description = "The body is too large.", body = ClientErrorBody),
        (status = 429, description = "A limit of the key, of the accounts or of the upstream.", body = ClientErrorBody),
        (status = 500, description = "The answer could not be stored.", body = ClientErrorBody),
        (status = 502, description = "The upstream failed.", body = ClientErrorBody),
        (status = 503, description = "Nobody can answer now.", body = ClientErrorBody),
        (status = 504, description = "The upstream took too long.", body = ClientErrorBody),
    ),
)]
fn responses() {}

/// The models that the key may use.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, description = "The models.", body = ModelList)))]
fn list_models() {}

/// One of them.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "models",
    params(("id" = String, Path, description = "The model's name.", example = "grok-4.2")),
    responses(
        (status = 200, description = "The model.", body = ModelBody),
        (status = 404, description = "There is no such model, or the key may not use it.", body = ClientErrorBody),
    ),
)]
fn get_model() {}

/// Every failure under `/v1`.
#[derive(ToSchema)]
pub(super) struct ClientErrorBody {
    error: ClientErrorObject,
    detail: ClientErrorDetail,
}

/// The same again, for clients that look there.
#[derive(ToSchema)]
struct ClientErrorDetail {
    error: ClientErrorObject,
}

#[derive(ToSchema)]
struct ClientErrorObject {
    message: String,
    r#type: String,
    param: Option<String>,
    code: Option<String>,
    request_id: String,
}

/// A chat, with its whole history or with only what is new.
#[derive(ToSchema)]
pub(super) struct ChatCompletion {
    model: String,
    messages: Vec<ChatMessage>,
    stream: Option<bool>,
    stream_options: Option<Value>,
    /// Goes on with a conversation that an answer named.
    conversation_id: Option<String>,
    previous_response_id: Option<String>,
    /// `think_tags` or `reasoning_content`.
    reasoning_format: Option<String>,
}

#[derive(ToSchema)]
struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    role: String,
    /// A text, or a list of parts.
    content: Value,
}

/// The short form: one message for a conversation that is named.
#[derive(ToSchema)]
pub(super) struct ShortTurn {
    conversation_id: String,
    message: String,
    model: Option<String>,
    stream: Option<bool>,
    previous_response_id: Option<String>,
}

/// A whole answer.
#[derive(ToSchema)]
pub(super) struct Completion {
    id: String,
    object: String,
    created: i64,
    model: String,
    choices: Vec<Value>,
    usage: Value,
    conversation_id: String,
}

/// The models that the key may use.
#[derive(ToSchema)]
pub(super) struct ModelList {
    object: String,
    data: Vec<ModelBody>,
}

/// One model.
#[derive(ToSchema)]
pub(super) struct ModelBody {
    id: String,
    object: String,
    created: i64,
    owned_by: String,
    description: String,
    context_length: u32,
    mode: String,
    minimum_tier: String,
    reasoning: Option<bool>,
}
