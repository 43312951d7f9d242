//! The start of a turn: the question is stored, and the still empty answer.

use std::sync::Arc;

use super::{
    asked::{Asked, Continued},
    keeper::Keep,
};
use crate::{
    ids,
    state::{Conversation, Node, Sender, State},
};

/// Characters of the first message that make the title.
const TITLE_CHARACTERS: usize = 40;

/// What is known of a turn before its answer begins.
#[derive(Clone)]
pub(crate) struct Turn {
    pub conversation_id: String,
    pub title: String,
    /// Owner of the account, for the paths of images.
    pub user_id: Arc<str>,
    pub user: Node,
    /// The answer, still empty.
    pub answer: Node,
}

/// The stored branch that is continued, and the message asked now.
pub(crate) fn branch(state: &State, asked: &Asked) -> Vec<(&'static str, String)> {
    let mut branch = Vec::new();
    if let Some(Continued { conversation, parent: Some(parent) }) = &asked.continued
        && let Some(conversation) = state.conversations.get(conversation)
    {
        branch.extend(conversation.branch(parent).iter().map(|node| (node.sender.name(), node.message.clone())));
    }
    branch.push((Sender::Human.name(), asked.message.clone()));
    branch
}

/// Stores the question and the still empty answer. `new` is the conversation that a turn begins which continues none.
pub(crate) fn begin(state: &mut State, asked: Asked, mut new: Conversation, keep: Keep) -> Turn {
    let title = title(&asked.message);
    let user_id = state.accounts.get(&asked.sso).map(|account| account.user_id.clone());
    let mut user = Node::new(ids::fresh(), None, Sender::Human, &asked.message, &asked.mode);
    user.files = asked.files;
    user.chunks = asked.input_chunks;
    let mut answer = Node::new(ids::fresh(), None, Sender::Assistant, "", &asked.mode);
    answer.parent = Some(user.id.clone());
    if let Some(continued) = asked.continued {
        user.parent = continued.parent;
        new.id = continued.conversation;
    }
    let conversation_id = new.id.clone();
    if keep == Keep::Tree {
        title.clone_into(&mut new.title);
        let stored = state.conversations.entry(conversation_id.clone()).or_insert(new);
        stored.nodes.extend([user.clone(), answer.clone()]);
    }
    Turn { conversation_id, title, user_id: user_id.unwrap_or_default(), user, answer }
}

fn title(message: &str) -> String {
    let line = message.trim().lines().next_back().unwrap_or_default();
    let title: String = line.chars().take(TITLE_CHARACTERS).collect();
    if title.is_empty() { "New conversation".to_owned() } else { title }
}
