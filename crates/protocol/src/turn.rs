//! What one turn asks of the upstream, before any dialect puts it into its own words.

use crate::model::Mode;

/// One user turn: the same for every dialect.
#[derive(Debug, Clone, Copy)]
pub struct TurnRequest<'a> {
    /// The whole user turn as plain text; the upstream takes no message list.
    pub message: &'a str,
    /// The mode that shall answer.
    pub mode: &'a Mode,
    /// Where the turn goes on; `None` begins a conversation.
    pub parent: Option<Parent<'a>>,
    /// Ids from the upload routes.
    pub attachments: &'a [String],
    /// Whether the model may search the web and X.
    pub search: bool,
    /// Whether the conversation stays out of the account's history list.
    pub temporary: bool,
    /// A system text in the upstream's own member, where it has one.
    pub instructions: Option<&'a str>,
}

impl<'a> TurnRequest<'a> {
    /// A plain question that begins a conversation: the model may search, and the conversation stays out of the account's list.
    #[must_use]
    pub fn new(message: &'a str, mode: &'a Mode) -> Self {
        Self { message, mode, parent: None, attachments: &[], search: true, temporary: true, instructions: None }
    }
}

/// The answer that a turn continues.
#[derive(Debug, Clone, Copy)]
pub struct Parent<'a> {
    /// The upstream's conversation id.
    pub conversation_id: &'a str,
    /// The assistant's answer being continued; without it the upstream takes the newest leaf.
    pub response_id: Option<&'a str>,
}
