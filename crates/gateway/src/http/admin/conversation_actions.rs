//! What is done to a conversation: kept, renamed, deleted, moved, read.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::body::Members;
use super::caller::Caller;
use super::conversations::{ConversationView, NamedAccount, no_conversation, ttl_ms, view};
use super::described::{AdminErrorBody, ConversationPatchRequest, FetchContentRequest, MoveRequest};
use super::error::AdminError;
use super::identifiers::ResourceId;
use super::query::Parameters;
use crate::admins::Change;
use crate::chat::{CarryError, ManageError, TurnTexts, call_label};

/// Longest title, in characters.
const LONGEST_TITLE: usize = 200;

/// Turns whose texts one call reads.
const MOST_TURNS: usize = 200;

/// `PATCH /conversations/{id}` `{title, expires_at}`
#[utoipa::path(
    patch,
    path = "/conversations/{id}",
    operation_id = "conversations_edit",
    tag = "conversations",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = ConversationPatchRequest,
    responses((status = 200, description = "The conversation as it is now.", body = ConversationView)),
)]
pub(super) async fn edit(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    mut body: Members,
) -> Result<Json<ConversationView>, AdminError> {
    let before = view(&state, id.any()).await?;
    let title = body.nullable_text("title");
    if title.as_ref().and_then(Option::as_ref).is_some_and(|title| title.chars().count() > LONGEST_TITLE) {
        body.refuse::<()>("title", "max", format!("must have at most {LONGEST_TITLE} characters"));
    }
    let expires_at = body.nullable_time("expires_at");
    if let (Some(Some(expires_at)), Some(row)) = (expires_at, state.conversations.listed(id.any()).await?)
        && expires_at <= row.last_used_at.saturating_add(ttl_ms(&state)).max(state.clock.now_ms())
    {
        body.refuse::<()>("expires_at", "min", "must be later than it would go anyway, and later than now");
    }
    body.finish()?;
    if let Some(title) = title {
        let title = title.map(|title| title.trim().to_owned()).filter(|title| !title.is_empty());
        state.conversations.rename(id.any(), title.as_deref()).await?;
    }
    if let Some(expires_at) = expires_at {
        state.conversations.keep_until(id.any(), expires_at).await?;
    }
    let after = view(&state, id.any()).await?;
    state.note(&caller, Change::new("conversation.update", id.any()).between(&before, &after)).await;
    publish(&state, &after);
    Ok(Json(after))
}

/// What became of a copy at the upstream.
#[derive(Serialize, ToSchema)]
pub(super) struct CopyDeletion {
    account: NamedAccount,
    upstream_conversation_id: String,
    /// `deleted` (into the account's bin there), `already_gone`, `account_gone` (nobody is left who could), `failed`.
    outcome: &'static str,
    message: Option<String>,
}

/// What was deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct ConversationDeletion {
    id: String,
    /// Whether it is deleted here. It is not where a copy at the upstream `failed`, so that it can be tried again.
    deleted: bool,
    /// All copies at the upstream; empty unless `upstream=true`.
    upstream: Vec<CopyDeletion>,
}

/// `DELETE /conversations/{id}?upstream=true`
#[utoipa::path(
    delete,
    path = "/conversations/{id}",
    operation_id = "conversations_delete",
    tag = "conversations",
    params(
        ("id" = String, Path, description = "The conversation."),
        ("upstream" = Option<bool>, Query, description = "Also at the upstream, each copy with its own account."),
    ),
    responses(
        (status = 200, description = "What was deleted.", body = ConversationDeletion),
        (status = 502, description = "A copy at the upstream could not be deleted, so it is kept here as well.", body = ConversationDeletion),
    ),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    mut parameters: Parameters,
) -> Result<(StatusCode, Json<ConversationDeletion>), AdminError> {
    let upstream = parameters.choice("upstream", &[("true", true), ("false", false)]).unwrap_or(false);
    parameters.finish()?;
    let before = view(&state, id.any()).await?;
    let done = state.chat.delete_conversation(id.any(), upstream).await?;
    let labels = state.accounts.labels(done.upstream.iter().map(|copy| copy.account_id.as_str()));
    let copies = done.upstream.iter().map(|copy| CopyDeletion {
        account: NamedAccount::of(&copy.account_id, labels.get(copy.account_id.as_str())),
        upstream_conversation_id: copy.upstream_conversation_id.clone(),
        outcome: copy.outcome,
        message: copy.message.clone(),
    });
    let deletion = ConversationDeletion { id: id.any().to_owned(), deleted: done.here, upstream: copies.collect() };
    let change = Change::new("conversation.delete", id.any()).between(&before, &json!({ "deletion": &deletion }));
    state.note(&caller, change).await;
    if done.here {
        state.events.publish("conversation", "conversations", id.any(), &json!({ "id": id.any(), "deleted": true }));
    }
    let status = if done.here { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    Ok((status, Json(deletion)))
}

/// A conversation that was carried over.
#[derive(Serialize, ToSchema)]
pub(super) struct MovedConversation {
    conversation: ConversationView,
    /// Turns that stand at the new account now.
    moved_turns: usize,
    /// Turns of other branches; they follow when they are continued.
    left_turns: usize,
}

/// `POST /conversations/{id}/actions/move` `{account_id}`
#[utoipa::path(
    post,
    path = "/conversations/{id}/actions/move",
    operation_id = "conversations_move",
    tag = "conversations",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = MoveRequest,
    responses(
        (status = 200, description = "It goes on at that account.", body = MovedConversation),
        (status = 409, description = "It cannot be moved there, or from where it is.", body = AdminErrorBody),
        (status = 502, description = "The upstream refused to share or to copy it.", body = AdminErrorBody),
    ),
)]
pub(super) async fn move_to(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    mut body: Members,
) -> Result<Json<MovedConversation>, AdminError> {
    let account_id = body.required_text("account_id");
    body.finish()?;
    let before = view(&state, id.any()).await?;
    let moved = state.chat.move_conversation(id.any(), &account_id).await?;
    let after = view(&state, id.any()).await?;
    state.note(&caller, Change::new("conversation.move", id.any()).between(&before, &after)).await;
    publish(&state, &after);
    Ok(Json(MovedConversation { conversation: after, moved_turns: moved.moved, left_turns: moved.left }))
}

/// The words of one turn.
#[derive(Serialize, ToSchema)]
pub(super) struct TurnContent {
    turn_id: String,
    /// What was sent upstream for it: the question, with what was put in front of it.
    user: Option<String>,
    /// The answer as clients saw it.
    assistant: Option<String>,
    /// Why it could not be read.
    error: Option<ContentError>,
}

/// Why a text could not be read.
#[derive(Serialize, ToSchema)]
pub(super) struct ContentError {
    /// `account_gone`, `not_found`, or what the upstream's refusal is called.
    code: &'static str,
    message: String,
}

/// Texts, read for this answer only.
#[derive(Serialize, ToSchema)]
pub(super) struct ConversationContent {
    id: String,
    /// Oldest first.
    turns: Vec<TurnContent>,
}

/// `POST /conversations/{id}/actions/fetch_content` `{turns}`: read from the upstream for this answer; nothing is stored.
#[utoipa::path(
    post,
    path = "/conversations/{id}/actions/fetch_content",
    operation_id = "conversations_fetch_content",
    tag = "conversations",
    params(("id" = String, Path, description = "The conversation.")),
    request_body = FetchContentRequest,
    responses((status = 200, description = "The texts of these turns, or why one could not be read.", body = ConversationContent)),
)]
pub(super) async fn fetch_content(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
    mut body: Members,
) -> Result<Json<ConversationContent>, AdminError> {
    let wanted = body.texts("turns");
    if wanted.as_ref().is_some_and(|wanted| wanted.len() > MOST_TURNS) {
        body.refuse::<()>("turns", "max", format!("must name at most {MOST_TURNS} turns"));
    }
    body.finish()?;
    let texts = state.chat.conversation_texts(id.any(), wanted.as_deref(), MOST_TURNS).await?;
    // Who read other people's words is worth knowing; the words are not kept.
    let change =
        Change::new("conversation.fetch_content", id.any()).between(&Value::Null, &json!({ "turns": texts.len() }));
    state.note(&caller, change).await;
    let content = |text: TurnTexts| TurnContent {
        turn_id: text.turn_id,
        user: text.user,
        assistant: text.assistant,
        error: text.error.map(|(code, message)| ContentError { code, message }),
    };
    Ok(Json(ConversationContent { id: id.any().to_owned(), turns: texts.into_iter().map(content).collect() }))
}

/// Tells the consoles how a conversation is now.
fn publish(state: &AdminState, conversation: &ConversationView) {
    let data = json!({ "id": conversation.id, "patch": conversation });
    state.events.publish("conversation", "conversations", &conversation.id, &data);
}

impl From<ManageError> for AdminError {
    fn from(error: ManageError) -> Self {
        let message = error.to_string();
        let conflict = |message| Self::new(StatusCode::CONFLICT, "conflict", message);
        match error {
            ManageError::NoConversation => no_conversation(),
            ManageError::NoAccount => Self::field("/account_id", "unknown", "is not the id of an account"),
            ManageError::AccountUnusable | ManageError::AlreadyThere => conflict(message),
            ManageError::Carry(CarryError::OwnerGone) => conflict(message),
            ManageError::Carry(CarryError::Share(error) | CarryError::Clone(error)) => {
                let refused = Self::new(StatusCode::BAD_GATEWAY, "upstream_error", message);
                refused.with_context("class", json!(call_label(&error)))
            }
            ManageError::Carry(CarryError::EmptyCopy) => Self::new(StatusCode::BAD_GATEWAY, "upstream_error", message),
            ManageError::Store(error) => error.into(),
        }
    }
}
