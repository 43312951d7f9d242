//! A chat request as clients send it. What the gateway does not use is accepted and named, never refused; what it needs is
//! checked, and a complaint names the member.

use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use super::body::Members;
use super::chunk::ReasoningFormat;
use super::content::read_content;
use super::image::ImageSource;
use crate::halves::mended_json;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRequest {
    /// The model's name as sent, without outer white space.
    pub model: String,
    /// The history, oldest first; empty system messages are left out.
    pub messages: Vec<Message>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a stream is to end with the usage.
    pub include_usage: bool,
    /// The conversation to go on with.
    pub conversation_id: Option<String>,
    /// The answer to go on below.
    pub previous_response_id: Option<String>,
    /// What the client wants to see of the reasoning.
    pub reasoning: ReasoningChoice,
    /// Whether the model may search; `None` leaves it to the settings.
    pub search: Option<bool>,
    /// The client's name for its user.
    pub user: Option<String>,
    /// Members that were accepted and are not used, sorted.
    pub ignored: Vec<String>,
}

/// What the client wants to see of the reasoning; `None` leaves it to the settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReasoningChoice {
    /// Whether to show it.
    pub show: Option<bool>,
    /// Where to put it.
    pub format: Option<ReasoningFormat>,
}

/// One message of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// Its text; parts are joined.
    pub text: String,
    /// Its images; only users and tools send any.
    pub images: Vec<ImageSource>,
    /// The calls an assistant made, as the JSON the client sent.
    pub tool_calls: Option<String>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
    /// The name of the writer or of the tool, if the client gave one.
    pub name: Option<String>,
}

impl Message {
    fn is_empty(&self) -> bool {
        self.images.is_empty() && self.text.trim().is_empty()
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `system` or `developer`.
    System,
    /// `user`.
    User,
    /// `assistant`.
    Assistant,
    /// `tool` or `function`.
    Tool,
}

/// Why a request cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    /// What is wrong, and what to send instead.
    pub message: String,
    /// The member that is to blame, as a path such as `messages[2].role`.
    pub param: Option<String>,
    /// A constant name for programs.
    pub code: &'static str,
}

impl RequestError {
    pub(super) fn new(code: &'static str, param: Option<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param, code }
    }

    pub(super) fn missing(param: &str) -> Self {
        Self::new("missing_required_parameter", Some(param.to_owned()), format!("`{param}` is required."))
    }

    pub(super) fn wrong_type(path: &str, wanted: &str, value: &RawValue) -> Self {
        let found = match value.get().as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        };
        Self::new("invalid_type", Some(path.to_owned()), format!("`{path}` must be {wanted}, not {found}."))
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for RequestError {}

/// Reads the body of a chat completion request.
pub fn read_chat_request(body: &[u8]) -> Result<ChatRequest, RequestError> {
    let body = &*mended_json(body);
    let mut members = Members::of_body(body)?;
    let model = read_model(&mut members)?.ok_or_else(|| RequestError::missing("model"))?;
    let messages = read_messages(members.take("messages"))?;
    let stream = members.flag("stream")?.unwrap_or(false);
    check_answer_count(&mut members)?;
    Ok(ChatRequest {
        model,
        messages,
        stream,
        include_usage: read_include_usage(&mut members)?,
        conversation_id: filled(members.string("conversation_id")?),
        previous_response_id: filled(members.string("previous_response_id")?),
        reasoning: read_reasoning(&mut members),
        search: read_search(&mut members),
        user: members.offered("user", |value| value.as_str().map(str::to_owned)),
        ignored: members.ignored(),
    })
}

/// Longest name of a model; names go into logs, tables and the answer's every chunk.
const LONGEST_MODEL_NAME: usize = 128;

/// What would break a line of a log, or turn it around: control characters, line and paragraph separators, marks of direction.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The model's name, if one is given; an empty one is a mistake that is better named than guessed at.
pub(super) fn read_model(members: &mut Members<'_>) -> Result<Option<String>, RequestError> {
    let Some(model) = members.string("model")? else { return Ok(None) };
    if model.trim().is_empty() {
        return Err(RequestError::new("invalid_value", Some("model".to_owned()), "`model` must not be empty."));
    }
    let model = model.trim();
    if model.chars().count() > LONGEST_MODEL_NAME {
        let message = format!("`model` must not be longer than {LONGEST_MODEL_NAME} characters.");
        return Err(RequestError::new("invalid_value", Some("model".to_owned()), message));
    }
    if model.chars().any(is_unprintable) {
        let message = "`model` must not hold control characters.";
        return Err(RequestError::new("invalid_value", Some("model".to_owned()), message));
    }
    Ok(Some(model.to_owned()))
}

pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn check_answer_count(members: &mut Members<'_>) -> Result<(), RequestError> {
    match members.take("n") {
        None => Ok(()),
        Some(count) if matches!(count.get(), "1" | "1.0") => Ok(()),
        Some(count) if matches!(count.get().as_bytes().first(), Some(b'0'..=b'9' | b'-')) => Err(RequestError::new(
            "unsupported_value",
            Some("n".to_owned()),
            "`n` must be 1: the upstream gives one answer at a time.",
        )),
        Some(count) => Err(RequestError::wrong_type("n", "the number 1", count)),
    }
}

pub(super) fn read_include_usage(members: &mut Members<'_>) -> Result<bool, RequestError> {
    let Some(options) = members.take("stream_options") else { return Ok(false) };
    let mut options = Members::of_object(options, "stream_options".to_owned())?;
    Ok(options.flag("include_usage")?.unwrap_or(false))
}

/// The spellings in use for showing or hiding the reasoning. A later one in this list does not override an earlier one.
pub(super) fn read_reasoning(members: &mut Members<'_>) -> ReasoningChoice {
    let shown = [
        members.offered("show_thinking", Value::as_bool),
        members.offered("thinking", read_thinking),
        members.offered("include_reasoning", Value::as_bool),
        members.offered("reasoning", |value| match value.get("exclude").and_then(Value::as_bool) {
            Some(exclude) => Some(!exclude),
            None => hides_reasoning(value.get("effort")?),
        }),
        members.offered("reasoning_effort", hides_reasoning),
    ];
    let format = members.offered("reasoning_format", |value| match value.as_str()? {
        "think_tags" | "raw" => Some((None, Some(ReasoningFormat::ThinkTags))),
        "reasoning_content" | "parsed" => Some((None, Some(ReasoningFormat::ReasoningContent))),
        "hidden" => Some((Some(false), None)),
        _ => None,
    });
    let (hidden, format) = format.unwrap_or_default();
    ReasoningChoice { show: shown.into_iter().flatten().next().or(hidden), format }
}

/// `true`, `false`, or an object whose `type` is `enabled` or `disabled`.
fn read_thinking(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| match value.get("type")?.as_str()? {
        "enabled" | "adaptive" => Some(true),
        "disabled" => Some(false),
        _ => None,
    })
}

/// An effort other than `none` cannot be set at the upstream, so it says nothing.
fn hides_reasoning(effort: &Value) -> Option<bool> {
    (effort.as_str()? == "none").then_some(false)
}

pub(super) fn read_search(members: &mut Members<'_>) -> Option<bool> {
    let spellings = [
        members.offered("search", Value::as_bool),
        members.offered("disable_search", Value::as_bool).map(|disabled| !disabled),
        members.offered("web_search_options", |value| value.is_object().then_some(true)),
        members.offered("search_parameters", |value| match value.get("mode")?.as_str()? {
            "on" | "auto" => Some(true),
            "off" => Some(false),
            _ => None,
        }),
    ];
    spellings.into_iter().flatten().next()
}

fn read_messages(value: Option<&RawValue>) -> Result<Vec<Message>, RequestError> {
    let value = value.ok_or_else(|| RequestError::missing("messages"))?;
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
        return Err(RequestError::wrong_type("messages", "a list", value));
    };
    let mut messages = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let message = read_message(item, format!("messages[{index}]"))?;
        if message.role != Role::System || !message.text.trim().is_empty() {
            messages.push(message);
        }
    }
    if !messages.iter().any(|message| message.role != Role::Assistant && !message.is_empty()) {
        let message = "`messages` must hold at least one message with text or an image that is not the assistant's.";
        return Err(RequestError::new("invalid_value", Some("messages".to_owned()), message));
    }
    Ok(messages)
}

fn read_message(value: &RawValue, path: String) -> Result<Message, RequestError> {
    let mut message = Members::of_object(value, path)?;
    let role = read_role(&mut message)?;
    let content = message.take("content");
    let may_show = matches!(role, Role::User | Role::Tool);
    let content = read_content(content, &message.path_of("content"), may_show)?;
    let mut text = content.text;
    if text.is_empty() && role == Role::Assistant {
        // A refusal is what the assistant said; clients send it back beside an empty content.
        text = message.offered("refusal", |value| value.as_str().map(str::to_owned)).unwrap_or_default();
    }
    Ok(Message {
        role,
        text,
        images: content.images,
        tool_calls: message.take("tool_calls").map(|calls| calls.get().to_owned()),
        tool_call_id: message.offered("tool_call_id", |value| value.as_str().map(str::to_owned)),
        name: message.offered("name", |value| value.as_str().map(str::to_owned)),
    })
}

fn read_role(message: &mut Members<'_>) -> Result<Role, RequestError> {
    let path = message.path_of("role");
    let role = message.string("role")?.ok_or_else(|| RequestError::missing(&path))?;
    match role.as_str() {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        "tool" | "function" => Ok(Role::Tool),
        _ => Err(RequestError::new(
            "invalid_value",
            Some(path.clone()),
            format!("`{path}` must be system, developer, user, assistant, tool or function."),
        )),
    }
}

#[cfg(test)]
mod tests;
