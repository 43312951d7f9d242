//! `/conversations/{id}/tree`: the turns of a conversation and what happened to it.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::conversations::{NamedAccount, no_conversation};
use super::error::AdminError;
use super::identifiers::ResourceId;
use crate::clock::timestamp;
use crate::store::conversation_list::TreeTurn;

/// One answered turn.
#[derive(Serialize, ToSchema)]
pub(super) struct TurnView {
    /// Clients know its answer as `chatcmpl-` and this.
    id: String,
    /// `null` for a turn that began the conversation, or replayed what was before.
    parent_id: Option<String>,
    /// User sides up to here, this one included.
    depth: i64,
    /// Its place among the turns with the same parent, from 1, oldest first; and how many there are.
    sibling: usize,
    siblings: usize,
    /// Where a client that sends only a new message goes on.
    is_head: bool,
    at: String,
    account: NamedAccount,
    upstream_conversation_id: String,
    upstream_response_id: String,
    /// Whether there is a link by which another account could take it over.
    shared: bool,
    /// Characters of the visible answer.
    answer_length: i64,
    /// Its entry in the request log, which may be trimmed earlier; `null` where it was not recorded.
    request_id: Option<String>,
    model: Option<String>,
    /// `new`, `native`, `branched`, `moved`, `replayed`.
    receipt: Option<String>,
    /// `response_id`, `conversation_id`, `chain`, `answer`, `window`, `imported`, `none`.
    recognised: Option<String>,
}

/// The conversation changed its account.
#[derive(Serialize, ToSchema)]
pub(super) struct MoveView {
    id: String,
    at: String,
    /// The turn that was carried over, or the first one after the history was replayed.
    turn_id: String,
    from: NamedAccount,
    to: NamedAccount,
    /// `carried`: shared and copied. `replayed`: its history was sent again.
    kind: String,
    /// The request that caused it; `null`: an admin did.
    request_id: Option<String>,
}

/// A conversation's turns and moves, each oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct ConversationTree {
    id: String,
    turns: Vec<TurnView>,
    moves: Vec<MoveView>,
}

/// `GET /conversations/{id}/tree`
#[utoipa::path(
    get,
    path = "/conversations/{id}/tree",
    operation_id = "conversations_tree",
    tag = "conversations",
    params(("id" = String, Path, description = "The conversation.")),
    responses((status = 200, description = "All its turns, with parents and siblings, and its changes of account.", body = ConversationTree)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
) -> Result<Json<ConversationTree>, AdminError> {
    let row = state.conversations.listed(id.any()).await?.ok_or_else(no_conversation)?;
    let (turns, moves) = state.conversations.history_of(&row.id).await?;
    let ids = turns.iter().map(|turn| turn.account_id.as_str());
    let ids = ids.chain(moves.iter().flat_map(|one| [one.from_account_id.as_str(), one.to_account_id.as_str()]));
    let labels = state.accounts.labels(ids);
    let named = |id: &str| NamedAccount::of(id, labels.get(id));
    let mut families: HashMap<Option<&str>, usize> = HashMap::new();
    turns.iter().for_each(|turn| *families.entry(turn.parent_id.as_deref()).or_default() += 1);
    let mut seen: HashMap<Option<&str>, usize> = HashMap::new();
    let view = |turn: &TreeTurn, sibling: usize, siblings: usize| TurnView {
        id: turn.id.clone(),
        parent_id: turn.parent_id.clone(),
        depth: turn.depth,
        sibling,
        siblings,
        is_head: turn.id == row.head_turn_id,
        at: timestamp(turn.created_at),
        account: named(&turn.account_id),
        upstream_conversation_id: turn.upstream_conversation_id.clone(),
        upstream_response_id: turn.upstream_response_id.clone(),
        shared: turn.is_shared,
        answer_length: turn.answer_length,
        request_id: turn.request_id.clone(),
        model: turn.model.clone(),
        receipt: turn.receipt.clone(),
        recognised: turn.recognised.clone(),
    };
    let mut shown = Vec::with_capacity(turns.len());
    for turn in &turns {
        let parent = turn.parent_id.as_deref();
        let sibling = seen.entry(parent).or_default();
        *sibling += 1;
        shown.push(view(turn, *sibling, families.get(&parent).copied().unwrap_or(1)));
    }
    let moves = moves.iter().map(|one| MoveView {
        id: one.id.clone(),
        at: timestamp(one.at),
        turn_id: one.turn_id.clone(),
        from: named(&one.from_account_id),
        to: named(&one.to_account_id),
        kind: one.kind.clone(),
        request_id: one.request_id.clone(),
    });
    Ok(Json(ConversationTree { id: row.id.clone(), turns: shown, moves: moves.collect() }))
}
