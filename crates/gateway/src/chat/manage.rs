//! What is done to a conversation at the upstream without asking anything: moved to another account, deleted, read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use protocol::event::{GrokEvent, StoredAnswer};
use protocol::failure::FailureKind;
use protocol::rest::{self, StoredResponse};
use protocol::translate::{RenderOptions, Translator};

use super::bind::{CarryError, carry_over};
use super::{ChatService, Shared};
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::conversations::TurnRow;
use crate::upstream::{CallError, UpstreamErrorKind};

/// Messages that are loaded with one call.
const LOADED_AT_ONCE: usize = 50;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManageError {
    #[error("there is no such conversation; it may have expired")]
    NoConversation,
    #[error("there is no such account")]
    NoAccount,
    #[error("the account is switched off or invalid")]
    AccountUnusable,
    #[error("the conversation stands at this account already")]
    AlreadyThere,
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A conversation that was carried over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    /// Turns that stand at the new account now.
    pub(crate) moved: usize,
    /// Turns of other branches, which stay where they are until they are continued.
    pub(crate) left: usize,
}

/// What became of one copy at the upstream.
#[derive(Clone, Debug)]
pub(crate) struct PlaceDeletion {
    pub(crate) account_id: String,
    pub(crate) upstream_conversation_id: String,
    /// `deleted`, `already_gone`, `account_gone` (nobody is left who could), `failed`.
    pub(crate) outcome: &'static str,
    pub(crate) message: Option<String>,
}

/// What became of a conversation that was to be deleted.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    /// It is kept here when a copy at the upstream could not be deleted, so that it can be tried again.
    pub(crate) here: bool,
    /// Empty unless it was asked for.
    pub(crate) upstream: Vec<PlaceDeletion>,
}

/// The words of one turn, as the upstream keeps them.
#[derive(Clone, Debug)]
pub(crate) struct TurnTexts {
    pub(crate) turn_id: String,
    /// What was sent upstream for it: the last question, or a replayed history.
    pub(crate) user: Option<String>,
    pub(crate) assistant: Option<String>,
    /// Why something is missing: `account_gone`, `not_found`, or what the upstream's refusal is called.
    pub(crate) error: Option<(&'static str, String)>,
}

impl ChatService {
    /// Carries a conversation over to an account: what leads to its newest turn is shared and copied, and goes on there.
    pub(crate) async fn move_conversation(&self, id: &str, account_id: &str) -> Result<Moved, ManageError> {
        let shared = &self.shared;
        let conversation = shared.conversations.any(id).await?.ok_or(ManageError::NoConversation)?;
        let head = conversation.head().ok_or(ManageError::NoConversation)?;
        if shared.accounts.get(account_id).is_none() {
            return Err(ManageError::NoAccount);
        }
        if head.place.account_id == account_id {
            return Err(ManageError::AlreadyThere);
        }
        let credential = shared.accounts.credential(account_id).ok_or(ManageError::AccountUnusable)?;
        let settings = shared.settings.current();
        let path = conversation.upstream_path(&head);
        let (place, moved) = carry_over(shared, &path, &head, &credential, &settings).await?;
        shared.conversations.carried_over(&conversation, &head, &place, &moved).await?;
        shared.background.note_busy(account_id);
        Ok(Moved { moved: moved.len(), left: conversation.turn_count() - moved.len() })
    }

    /// Deletes a conversation here and, if asked, all its copies at the upstream, each with its own account.
    pub(crate) async fn delete_conversation(&self, id: &str, upstream: bool) -> Result<Deletion, ManageError> {
        let shared = &self.shared;
        shared.conversations.any(id).await?.ok_or(ManageError::NoConversation)?;
        let settings = shared.settings.current();
        let mut copies = Vec::new();
        if upstream {
            for (account_id, upstream_conversation_id) in shared.conversations.places(id).await? {
                let (outcome, message) = delete_place(shared, &account_id, &upstream_conversation_id, &settings).await;
                copies.push(PlaceDeletion { account_id, upstream_conversation_id, outcome, message });
            }
        }
        let here = copies.iter().all(|copy| copy.outcome != FAILED);
        if here {
            shared.conversations.delete_one(id).await?;
        }
        Ok(Deletion { here, upstream: copies })
    }

    /// Reads the words of some turns, or of the newest `most`, from the upstream. Nothing of it is kept.
    pub(crate) async fn conversation_texts(
        &self,
        id: &str,
        wanted: Option<&[String]>,
        most: usize,
    ) -> Result<Vec<TurnTexts>, ManageError> {
        let shared = &self.shared;
        let conversation = shared.conversations.any(id).await?.ok_or(ManageError::NoConversation)?;
        let mut turns = conversation.turns();
        turns.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        if let Some(wanted) = wanted {
            turns.retain(|turn| wanted.contains(&turn.id));
        }
        turns.drain(..turns.len().saturating_sub(most));
        let mut places: HashMap<(String, String), Vec<Arc<TurnRow>>> = HashMap::new();
        for turn in &turns {
            let place = &turn.place;
            let place = (place.account_id.clone(), place.upstream_conversation_id.clone());
            places.entry(place).or_default().push(Arc::clone(turn));
        }
        let settings = shared.settings.current();
        let mut texts = HashMap::new();
        for ((account_id, upstream_id), turns) in places {
            for text in read_place(shared, &account_id, &upstream_id, &turns, &settings).await {
                texts.insert(text.turn_id.clone(), text);
            }
        }
        Ok(turns.iter().filter_map(|turn| texts.remove(&turn.id)).collect())
    }
}

const FAILED: &str = "failed";
const ACCOUNT_GONE: &str = "account_gone";

async fn delete_place(
    shared: &Shared,
    account_id: &str,
    upstream_id: &str,
    settings: &Settings,
) -> (&'static str, Option<String>) {
    let Some(credential) = shared.accounts.credential(account_id) else {
        return (ACCOUNT_GONE, Some("its account is gone, switched off or invalid".to_owned()));
    };
    match shared.upstream.call(&credential, rest::delete_softly(upstream_id), settings, |_| Ok(())).await {
        Ok(()) => ("deleted", None),
        Err(error) if says_not_found(&error) => ("already_gone", None),
        Err(error) => (FAILED, Some(error.to_string())),
    }
}

fn says_not_found(error: &CallError) -> bool {
    let CallError::Upstream(error) = error else { return false };
    matches!(&error.kind, UpstreamErrorKind::Failure(failure) if failure.kind == FailureKind::NotFound)
}

/// What a call's failure is called.
pub(crate) fn call_label(error: &CallError) -> &'static str {
    match error {
        CallError::Upstream(error) => error.label(),
        CallError::Unreadable(_) => "protocol",
    }
}

/// Reads the words of turns that stand in one upstream conversation.
async fn read_place(
    shared: &Shared,
    account_id: &str,
    upstream_id: &str,
    turns: &[Arc<TurnRow>],
    settings: &Settings,
) -> Vec<TurnTexts> {
    let without = |turn: &Arc<TurnRow>, code: &'static str, message: &str| TurnTexts {
        turn_id: turn.id.clone(),
        user: None,
        assistant: None,
        error: Some((code, message.to_owned())),
    };
    let Some(credential) = shared.accounts.credential(account_id) else {
        let message = "its account is gone, switched off or invalid";
        return turns.iter().map(|turn| without(turn, ACCOUNT_GONE, message)).collect();
    };
    let loaded = async {
        let nodes = rest::response_node(upstream_id);
        let nodes = shared.upstream.call(&credential, nodes, settings, rest::read_response_nodes).await?;
        let parents: HashMap<String, Option<String>> =
            nodes.nodes.into_iter().map(|node| (node.id, node.parent)).collect();
        let mut ids: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for turn in turns {
            let answer = &turn.place.upstream_response_id;
            let Some(question) = parents.get(answer) else { continue };
            let both = question.iter().chain([answer]);
            ids.extend(both.filter(|id| seen.insert((*id).clone())).cloned());
        }
        let mut messages: HashMap<String, StoredResponse> = HashMap::new();
        for some in ids.chunks(LOADED_AT_ONCE) {
            let route = rest::load_responses(upstream_id, some);
            let responses = shared.upstream.call(&credential, route, settings, rest::read_responses).await?;
            messages.extend(responses.into_iter().map(|response| (response.id.clone(), response)));
        }
        Ok::<_, CallError>((parents, messages))
    };
    let (parents, messages) = match loaded.await {
        Ok(loaded) => loaded,
        Err(error) => {
            let (code, message) = (call_label(&error), error.to_string());
            return turns.iter().map(|turn| without(turn, code, &message)).collect();
        }
    };
    let texts = |turn: &Arc<TurnRow>| {
        let answer = messages.get(&turn.place.upstream_response_id);
        let question = parents.get(&turn.place.upstream_response_id).and_then(Option::as_ref);
        let question = question.and_then(|id| messages.get(id)).filter(|question| !question.is_assistant);
        let Some(answer) = answer else {
            return without(turn, "not_found", "the upstream does not have this answer any more");
        };
        TurnTexts {
            turn_id: turn.id.clone(),
            user: question.map(|question| question.message.clone()),
            assistant: Some(visible(answer)),
            error: None,
        }
    };
    turns.iter().map(texts).collect()
}

/// A stored answer as clients saw it: its markup rendered.
fn visible(answer: &StoredResponse) -> String {
    let mut translator = Translator::new(RenderOptions::default());
    let stored = StoredAnswer {
        message: answer.message.as_str().into(),
        response_id: Some(answer.id.as_str().into()),
        ..StoredAnswer::default()
    };
    translator.event(GrokEvent::Stored(Box::new(stored)), &mut |_| {});
    translator.finish(&mut |_| {});
    translator.text().to_owned()
}
