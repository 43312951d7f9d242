//! How a turn goes upstream with a given account: continued where it stands, carried over, or started anew.

use std::sync::Arc;

use protocol::openai::Image;
use protocol::rest;

use super::pictures::Pictures;
use super::{ChatError, Receipt, Shared};
use crate::conversations::Plan;
use crate::settings::{Settings, ShareMode};
use crate::store::conversations::{Place, TurnRow};
use crate::upstream::{CallError, Credential};

/// A turn, bound to an account.
pub(super) struct Binding {
    pub(super) receipt: Receipt,
    /// Why this way, for the request log.
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// What the account is to be given before the message.
    pub(super) images: Vec<Image>,
    /// Upstream conversation and response that are continued.
    pub(super) parent: Option<(String, String)>,
    /// Earlier turns that now also stand in this account's copy.
    pub(super) moved: Vec<(String, Place)>,
}

/// Binds `plan` to an account. `start_over`: the upstream no longer has the conversation.
pub(super) async fn bind(
    shared: &Shared,
    (plan, pictures): (&Plan, &Pictures),
    credential: &Credential,
    settings: &Settings,
    start_over: bool,
) -> Result<Binding, ChatError> {
    let Some(parent) = &plan.parent else {
        let reason = if plan.history.pairs.is_empty() { "no_history" } else { "not_recognised" };
        return Ok(open(shared, (plan, pictures), settings, reason).await);
    };
    let mut reason = "conversation_gone";
    if !start_over {
        if *parent.place.account_id == **credential.account_id() {
            let (receipt, reason) = if plan.branches() {
                (Receipt::Branched, "turn_was_continued_before")
            } else {
                (Receipt::Native, "owner_serves")
            };
            return Ok(go_on((plan, pictures), (receipt, reason), &parent.place, Vec::new()));
        }
        reason = "sharing_is_off";
        if settings.share_mode != ShareMode::Off {
            match carry_over(shared, &plan.upstream_path(), parent, credential, settings).await {
                Ok((place, moved)) => {
                    let way = (Receipt::Moved, "owner_cannot_serve");
                    return Ok(go_on((plan, pictures), way, &place, moved));
                }
                Err(error) => {
                    reason = "not_carried_over";
                    tracing::warn!(
                        conversation = plan.conversation_id,
                        from = parent.place.account_id,
                        to = %credential.account_id(),
                        error = %error,
                        "the conversation could not be carried over; its history is replayed"
                    );
                }
            }
        }
    }
    if plan.can_replay() {
        Ok(open(shared, (plan, pictures), settings, reason).await)
    } else {
        Err(ChatError::ConversationUnavailable)
    }
}

/// Whether the upstream still shows the conversation to its account.
pub(super) async fn is_still_there(
    shared: &Shared,
    place: &Place,
    credential: &Credential,
    settings: &Settings,
) -> bool {
    let nodes = rest::response_node(&place.upstream_conversation_id);
    let nodes = shared.upstream.call(credential, nodes, settings, rest::read_response_nodes).await;
    nodes.is_ok_and(|nodes| nodes.nodes.iter().any(|node| node.id == place.upstream_response_id))
}

async fn open(
    shared: &Shared,
    (plan, pictures): (&Plan, &Pictures),
    settings: &Settings,
    reason: &'static str,
) -> Binding {
    let (images, attached) = pictures.all(shared, plan, settings).await;
    let receipt = if plan.history.pairs.is_empty() { Receipt::New } else { Receipt::Replayed };
    let message = plan.opening_message(attached).await;
    Binding { receipt, reason, message, images, parent: None, moved: Vec::new() }
}

fn go_on(
    (plan, pictures): (&Plan, &Pictures),
    (receipt, reason): (Receipt, &'static str),
    place: &Place,
    moved: Vec<(String, Place)>,
) -> Binding {
    let parent = (place.upstream_conversation_id.clone(), place.upstream_response_id.clone());
    Binding {
        receipt,
        reason,
        message: plan.continuing_message(),
        images: pictures.asked(),
        parent: Some(parent),
        moved,
    }
}

/// Why a conversation could not be carried over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CarryError {
    #[error("its account is gone, switched off or invalid")]
    OwnerGone,
    #[error("share: {0}")]
    Share(CallError),
    #[error("clone: {0}")]
    Clone(CallError),
    #[error("clone: the copy holds no answer")]
    EmptyCopy,
}

/// Shares the parent at its owner and clones it into the other account. `path`: the turns that lead to it in its upstream
/// conversation, itself included.
pub(super) async fn carry_over(
    shared: &Shared,
    path: &[Arc<TurnRow>],
    parent: &Arc<TurnRow>,
    credential: &Credential,
    settings: &Settings,
) -> Result<(Place, Vec<(String, Place)>), CarryError> {
    let link = match &parent.share_link {
        Some(link) => link.clone(),
        None => share(shared, &parent.place, settings).await?,
    };
    let copy = shared.upstream.call(credential, rest::clone_share(&link), settings, rest::read_clone).await;
    let copy = copy.map_err(CarryError::Clone)?;
    let last = copy.leaf().ok_or(CarryError::EmptyCopy)?;
    let place_of = |response_id: &str| Place {
        account_id: credential.account_id().to_string(),
        upstream_conversation_id: copy.conversation_id.clone(),
        upstream_response_id: response_id.to_owned(),
    };
    // The copy holds the path from the root. Where its answers can be told apart, the earlier turns move as well, so that
    // branches from them stay native.
    let answers: Vec<&str> =
        copy.responses.iter().filter(|response| response.is_assistant).map(|response| response.id.as_str()).collect();
    let moved = if answers.len() == path.len() {
        path.iter().zip(&answers).map(|(turn, id)| (turn.id.clone(), place_of(id))).collect()
    } else {
        vec![(parent.id.clone(), place_of(&last.id))]
    };
    Ok((place_of(&last.id), moved))
}

async fn share(shared: &Shared, place: &Place, settings: &Settings) -> Result<String, CarryError> {
    let owner = shared.accounts.credential(&place.account_id).ok_or(CarryError::OwnerGone)?;
    let route = rest::share(&place.upstream_conversation_id, &place.upstream_response_id);
    shared.upstream.call(&owner, route, settings, rest::read_share).await.map_err(CarryError::Share)
}

/// Shares a finished turn ahead of need.
pub(super) async fn share_ahead(shared: &Shared, conversation_id: &str, turn_id: &str, place: &Place) {
    let settings = shared.settings.current();
    let kept = match share(shared, place, &settings).await {
        Ok(link) => shared.conversations.keep_share_link(conversation_id, turn_id, &link).await,
        Err(error) => {
            tracing::info!(conversation = conversation_id, error = %error, "a turn could not be shared ahead of need");
            return;
        }
    };
    if let Err(error) = kept {
        tracing::warn!(conversation = conversation_id, error = %error, "a share link could not be stored");
    }
}
