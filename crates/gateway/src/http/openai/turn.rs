//! One turn as both routes ask for it, read from either body.

use http::HeaderMap;
use protocol::history::History;
use protocol::openai::{
    Message, ReasoningChoice, ReasoningFormat, RequestError, Role, TokenCount, read_chat_request, read_turn_request,
};

use crate::chat::Ask;
use crate::conversations::Wanted;
use crate::keys::{ApiKey, KeyReasoning};
use crate::settings::{self, Settings};

/// The model when the short form names none.
const DEFAULT_MODEL: &str = "grok-4.2";

/// Headers in which clients name the chat they are in.
const CHAT_HEADERS: [&str; 4] = ["x-openwebui-chat-id", "x-chat-id", "x-session-id", "x-session-affinity"];

/// Longest chat id that is looked at.
const CHAT_ID: usize = 256;

/// What to do and how to show it.
pub(super) struct Turn {
    pub(super) ask: Ask,
    /// The model as the client named it.
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) format: ReasoningFormat,
    pub(super) prompt_tokens: u64,
    pub(super) ignored: Vec<String>,
}

/// What the body of either route says: all that takes time in proportion to its length.
pub(super) struct TurnBody {
    model: String,
    history: History,
    wanted: Wanted,
    /// Whether the client may name its chat in a header.
    may_name_chat: bool,
    reasoning: ReasoningChoice,
    search: Option<bool>,
    stream: bool,
    include_usage: bool,
    prompt_tokens: u64,
    ignored: Vec<String>,
}

impl TurnBody {
    /// Reads a chat completion request.
    pub(super) fn of_chat(body: &[u8]) -> Result<Self, RequestError> {
        let request = read_chat_request(body)?;
        Ok(Self {
            model: request.model,
            history: History::read(&request.messages),
            wanted: Wanted {
                conversation_id: request.conversation_id,
                previous_response_id: request.previous_response_id,
                client_chat: None,
            },
            may_name_chat: true,
            reasoning: request.reasoning,
            search: request.search,
            stream: request.stream,
            include_usage: request.include_usage,
            prompt_tokens: count_prompt(&request.messages),
            ignored: request.ignored,
        })
    }

    /// Reads the short form: one message for a conversation that is named.
    pub(super) fn of_message(body: &[u8]) -> Result<Self, RequestError> {
        let request = read_turn_request(body)?;
        let message = Message {
            role: Role::User,
            text: request.message,
            images: Vec::new(),
            tool_calls: None,
            tool_call_id: None,
            name: None,
        };
        let messages = [message];
        Ok(Self {
            model: request.model.unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            history: History::read(&messages),
            wanted: Wanted {
                conversation_id: Some(request.conversation_id),
                previous_response_id: request.previous_response_id,
                client_chat: None,
            },
            may_name_chat: false,
            reasoning: request.reasoning,
            search: request.search,
            stream: request.stream,
            include_usage: request.include_usage,
            prompt_tokens: count_prompt(&messages),
            ignored: request.ignored,
        })
    }
}

impl Turn {
    /// What a body means under this key and these settings.
    pub(super) fn new(body: TurnBody, key: &ApiKey, settings: &Settings, headers: &HeaderMap) -> Self {
        let client_chat = if body.may_name_chat { client_chat(headers) } else { None };
        let by_key = key.reasoning.map(|reasoning| reasoning != KeyReasoning::Hidden);
        let ask = Ask {
            key_id: key.id.clone(),
            model: settings.model(&body.model),
            history: body.history,
            wanted: Wanted { client_chat, ..body.wanted },
            account: None,
            show_thinking: body.reasoning.show.or(by_key).unwrap_or(settings.show_thinking),
            show_search: settings.show_search,
            search: body.search.unwrap_or(true),
            public_url: String::new(),
        };
        Self {
            ask,
            model: body.model,
            stream: body.stream,
            include_usage: body.include_usage,
            format: format(body.reasoning, key, settings),
            prompt_tokens: body.prompt_tokens,
            ignored: body.ignored,
        }
    }
}

/// By request, else by key, else by setting.
fn format(reasoning: ReasoningChoice, key: &ApiKey, settings: &Settings) -> ReasoningFormat {
    let by_key = match key.reasoning {
        Some(KeyReasoning::ThinkTags) => Some(ReasoningFormat::ThinkTags),
        Some(KeyReasoning::ReasoningContent) => Some(ReasoningFormat::ReasoningContent),
        Some(KeyReasoning::Hidden) | None => None,
    };
    reasoning.format.or(by_key).unwrap_or(match settings.reasoning_format {
        settings::ReasoningFormat::ThinkTags => ReasoningFormat::ThinkTags,
        settings::ReasoningFormat::ReasoningContent => ReasoningFormat::ReasoningContent,
    })
}

fn client_chat(headers: &HeaderMap) -> Option<String> {
    let id = CHAT_HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok())?.trim();
    (!id.is_empty() && id.len() <= CHAT_ID).then(|| id.to_owned())
}

fn count_prompt(messages: &[Message]) -> u64 {
    let mut count = TokenCount::default();
    messages.iter().for_each(|message| count.add(&message.text));
    count.tokens()
}
