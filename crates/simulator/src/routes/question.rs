//! What a chat call asks, and whether it may ask it.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    answer::{self, ErrorForm, Refusal},
    entry::Entry,
};
use crate::{
    account::mode_of,
    rest::{Envelope, Keep},
    state::{Conversation, Progress, Sender, State},
};

const FORM: ErrorForm = ErrorForm::Wrapped;

/// Earlier messages shorter than this may stand in a new one by chance.
const RESENT_CHARACTERS: usize = 12;

/// The mode of a body that names none.
const DEFAULT_MODE: &str = "auto";

/// An admissible chat call.
pub(super) struct Asked {
    pub sso: String,
    pub message: String,
    pub mode: String,
    pub files: Vec<String>,
    pub temporary: bool,
    pub final_metadata: bool,
    pub continued: Option<Continued>,
}

/// The conversation that is continued.
pub(super) struct Continued {
    pub conversation: String,
    /// The answer that the message follows; none if the conversation has no answer.
    pub parent: Option<String>,
}

impl Asked {
    pub(super) fn envelope(&self) -> Envelope {
        if self.continued.is_some() { Envelope::Flat } else { Envelope::New }
    }
}

/// Checks a chat call. `conversation` is the one named in its path.
pub(super) fn read(
    state: &mut State,
    entry: Entry,
    conversation: Option<String>,
    keep: Keep,
) -> Result<Asked, Refusal> {
    let Entry { sso, body } = entry;
    let message = body["message"].as_str().unwrap_or_default();
    if message.trim().is_empty() {
        state.violate("empty_message", "a chat call without a message");
        return Err(answer::bad_request(FORM, "Message must not be empty"));
    }
    let mode = mode_of(&body).unwrap_or_else(|| {
        state.violate("missing_mode", "a chat call names no mode and no model");
        DEFAULT_MODE.to_owned()
    });
    let continued = match conversation {
        None => None,
        Some(conversation) => Some(continued(state, &sso, conversation, &body, keep)?),
    };
    let files = files(state, &sso, &body, keep)?;
    Ok(Asked {
        message: message.to_owned(),
        mode,
        files,
        temporary: body["temporary"] == true,
        final_metadata: body["sendFinalMetadata"] == true,
        continued,
        sso,
    })
}

fn continued(
    state: &mut State,
    sso: &str,
    conversation: String,
    body: &Value,
    keep: Keep,
) -> Result<Continued, Refusal> {
    let parent = body["parentResponseId"].as_str().map(str::to_owned);
    if keep == Keep::Nothing {
        return Ok(Continued { conversation, parent });
    }
    let stored = owned(state, FORM, sso, &conversation)?;
    let newest = stored.newest_answer().map(|node| node.id.clone());
    let parent = parent.or(newest);
    let Some(parent_id) = &parent else {
        return Ok(Continued { conversation, parent });
    };
    let node = stored.node(parent_id).filter(|node| node.sender == Sender::Assistant);
    let Some(progress) = node.map(|node| node.progress()) else {
        state.violate("wrong_parent", format!("{parent_id} is no answer in conversation {conversation}"));
        return Err(answer::no_response(FORM));
    };
    let resent = resent(stored, parent_id, body["message"].as_str().unwrap_or_default());
    if progress != Progress::Finished {
        state.violate("partial_parent", format!("the answer {parent_id} is not complete"));
    }
    if resent >= 2 {
        state.violate("history_resent", format!("{resent} earlier messages stand in a message to {conversation}"));
    }
    Ok(Continued { conversation, parent })
}

/// The conversation, if it is the caller's.
pub(super) fn owned<'a>(
    state: &'a mut State,
    form: ErrorForm,
    sso: &str,
    conversation: &str,
) -> Result<&'a Conversation, Refusal> {
    let violation = match state.conversations.get(conversation) {
        Some(stored) if stored.owner == sso => None,
        Some(stored) => {
            Some(("foreign_conversation", format!("{sso} asks for conversation {conversation} of {}", stored.owner)))
        }
        None => Some(("unknown_conversation", format!("{sso} asks for conversation {conversation}"))),
    };
    if let Some((kind, detail)) = violation {
        state.violate(kind, detail);
        return Err(answer::no_conversation(form));
    }
    state.conversations.get(conversation).ok_or_else(|| answer::no_conversation(form))
}

/// How many different earlier messages of the branch stand in this one.
fn resent(conversation: &Conversation, parent: &str, message: &str) -> usize {
    let branch = conversation.branch(parent);
    let earlier: HashSet<&str> = branch.iter().map(|node| node.message.trim()).collect();
    earlier.iter().filter(|text| text.chars().count() >= RESENT_CHARACTERS && message.contains(**text)).count()
}

/// The attached files: each must have been uploaded by this account.
fn files(state: &mut State, sso: &str, body: &Value, keep: Keep) -> Result<Vec<String>, Refusal> {
    let named = body["fileAttachments"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut files = Vec::new();
    for file in named {
        let id = file.as_str().unwrap_or_default();
        let known = state.file_owners.get(id).is_some_and(|owner| owner == sso);
        if !known && keep == Keep::Tree {
            state.violate("unknown_file", format!("{sso} attaches file {file}"));
            return Err(answer::bad_request(FORM, "File attachment not found"));
        }
        files.push(id.to_owned());
    }
    Ok(files)
}
