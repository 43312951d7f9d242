//! The short form of a turn: one message for a conversation that is named.

use super::body::Members;
use super::request::{
    ReasoningChoice, RequestError, filled, read_include_usage, read_model, read_reasoning, read_search,
};
use crate::halves::mended_json;

/// One further message in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnMessage {
    /// The conversation to go on with.
    pub conversation_id: String,
    /// The answer to go on below; without it, the newest.
    pub previous_response_id: Option<String>,
    /// What the user says.
    pub message: String,
    /// The model's name, if another one shall answer.
    pub model: Option<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a stream is to end with the usage.
    pub include_usage: bool,
    /// What the client wants to see of the reasoning.
    pub reasoning: ReasoningChoice,
    /// Whether the model may search; `None` leaves it to the settings.
    pub search: Option<bool>,
    /// The client's name for its user.
    pub user: Option<String>,
    /// Members that were accepted and are not used, sorted.
    pub ignored: Vec<String>,
}

/// Reads the body of a turn.
pub fn read_turn_request(body: &[u8]) -> Result<TurnMessage, RequestError> {
    let body = &*mended_json(body);
    let mut members = Members::of_body(body)?;
    let conversation_id = filled(members.string("conversation_id")?).ok_or_else(|| {
        RequestError::new(
            "missing_conversation_id",
            Some("conversation_id".to_owned()),
            "`conversation_id` is required: send the id from the first chunk of the previous answer.",
        )
    })?;
    let message = match members.string("message")? {
        Some(message) => message,
        None => members.string("input")?.ok_or_else(|| RequestError::missing("message"))?,
    };
    if message.trim().is_empty() {
        return Err(RequestError::new("invalid_value", Some("message".to_owned()), "`message` must not be empty."));
    }
    Ok(TurnMessage {
        conversation_id,
        previous_response_id: filled(members.string("previous_response_id")?),
        message,
        model: read_model(&mut members)?,
        stream: members.flag("stream")?.unwrap_or(false),
        include_usage: read_include_usage(&mut members)?,
        reasoning: read_reasoning(&mut members),
        search: read_search(&mut members),
        user: members.offered("user", |value| value.as_str().map(str::to_owned)),
        ignored: members.ignored(),
    })
}
