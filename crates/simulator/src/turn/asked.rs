//! What a chat call asks, and whether it may ask it.

use std::collections::HashSet;

use serde_json::Value;

use super::keeper::Keep;
use crate::state::{Conversation, Progress, Sender, State};

/// Earlier messages shorter than this may stand in a new one by chance.
const RESENT_CHARACTERS: usize = 12;

/// The mode of a call that names none.
const DEFAULT_MODE: &str = "auto";

/// A chat call as it came.
pub(crate) struct Wanted {
    pub sso: String,
    pub message: String,
    pub mode: Option<String>,
    /// The conversation it names; none for a new one.
    pub conversation: Option<String>,
    pub parent: Option<String>,
    pub files: Vec<String>,
    pub temporary: bool,
    /// How the message was put together, if the call came over the socket.
    pub input_chunks: Option<Vec<Value>>,
}

/// An admissible chat call.
pub(crate) struct Asked {
    pub sso: String,
    pub message: String,
    pub mode: String,
    pub files: Vec<String>,
    pub temporary: bool,
    pub continued: Option<Continued>,
    pub input_chunks: Option<Vec<Value>>,
}

/// The conversation that is continued.
pub(crate) struct Continued {
    pub conversation: String,
    /// The answer that the message follows; none if the conversation has no answer.
    pub parent: Option<String>,
}

/// Why a call is not admissible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    EmptyMessage,
    NoConversation,
    NoResponse,
    NoFile,
}

/// Checks a chat call.
pub(crate) fn admit(state: &mut State, wanted: Wanted, keep: Keep) -> Result<Asked, Fault> {
    if wanted.message.trim().is_empty() {
        state.violate("empty_message", "a chat call without a message");
        return Err(Fault::EmptyMessage);
    }
    let mode = wanted.mode.clone().unwrap_or_else(|| {
        state.violate("missing_mode", "a chat call names no mode and no model");
        DEFAULT_MODE.to_owned()
    });
    let continued = match &wanted.conversation {
        None => None,
        Some(conversation) => Some(continued(state, &wanted, conversation, keep)?),
    };
    check_files(state, &wanted, keep)?;
    let Wanted { sso, message, files, temporary, input_chunks, .. } = wanted;
    Ok(Asked { sso, message, mode, files, temporary, continued, input_chunks })
}

fn continued(state: &mut State, wanted: &Wanted, conversation: &str, keep: Keep) -> Result<Continued, Fault> {
    let continued = |parent| Continued { conversation: conversation.to_owned(), parent };
    if keep == Keep::Nothing {
        return Ok(continued(wanted.parent.clone()));
    }
    let stored = owned(state, &wanted.sso, conversation)?;
    let newest = stored.newest_answer().map(|node| node.id.clone());
    let parent = wanted.parent.clone().or(newest);
    let Some(parent_id) = &parent else {
        return Ok(continued(parent));
    };
    let node = stored.node(parent_id).filter(|node| node.sender == Sender::Assistant);
    let Some(progress) = node.map(|node| node.progress()) else {
        state.violate("wrong_parent", format!("{parent_id} is no answer in conversation {conversation}"));
        return Err(Fault::NoResponse);
    };
    let resent = resent(stored, parent_id, &wanted.message);
    if progress != Progress::Finished {
        state.violate("partial_parent", format!("the answer {parent_id} is not complete"));
    }
    if resent >= 2 {
        state.violate("history_resent", format!("{resent} earlier messages stand in a message to {conversation}"));
    }
    Ok(continued(parent))
}

/// The conversation, if it is the caller's.
pub(crate) fn owned<'a>(state: &'a mut State, sso: &str, conversation: &str) -> Result<&'a Conversation, Fault> {
    let violation = match state.conversations.get(conversation) {
        Some(stored) if state.is_one_user(&stored.owner, sso) => None,
        Some(stored) => {
            Some(("foreign_conversation", format!("{sso} asks for conversation {conversation} of {}", stored.owner)))
        }
        None => Some(("unknown_conversation", format!("{sso} asks for conversation {conversation}"))),
    };
    if let Some((kind, detail)) = violation {
        state.violate(kind, detail);
        return Err(Fault::NoConversation);
    }
    state.conversations.get(conversation).ok_or(Fault::NoConversation)
}

/// How many different earlier messages of the branch stand in this one.
fn resent(conversation: &Conversation, parent: &str, message: &str) -> usize {
    let branch = conversation.branch(parent);
    let earlier: HashSet<&str> = branch.iter().map(|node| node.message.trim()).collect();
    earlier.iter().filter(|text| text.chars().count() >= RESENT_CHARACTERS && message.contains(**text)).count()
}

/// Each attached file must have been uploaded by this account.
fn check_files(state: &mut State, wanted: &Wanted, keep: Keep) -> Result<(), Fault> {
    for file in &wanted.files {
        let known = state.file_owners.get(file).is_some_and(|owner| state.is_one_user(owner, &wanted.sso));
        if !known && keep == Keep::Tree {
            state.violate("unknown_file", format!("{} attaches file {file:?}", wanted.sso));
            return Err(Fault::NoFile);
        }
    }
    Ok(())
}
