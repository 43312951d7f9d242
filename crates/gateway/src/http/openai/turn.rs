//! One turn as both routes ask for it, read from either body.

use http::HeaderMap;
use protocol::history::History;
use protocol::openai::{ChatRequest, Message, ReasoningChoice, ReasoningFormat, Role, TokenCount, TurnMessage};

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

impl Turn {
    /// From a chat completion request.
    pub(super) fn of_chat(request: ChatRequest, key: &ApiKey, settings: &Settings, headers: &HeaderMap) -> Self {
        let prompt_tokens = count_prompt(&request.messages);
        let wanted = Wanted {
            conversation_id: request.conversation_id,
            previous_response_id: request.previous_response_id,
            client_chat: client_chat(headers),
        };
        let history = History::read(&request.messages);
        let ask = ask(&request.model, history, wanted, request.reasoning, request.search, key, settings);
        Self {
            ask,
            model: request.model,
            stream: request.stream,
            include_usage: request.include_usage,
            format: format(request.reasoning, key, settings),
            prompt_tokens,
            ignored: request.ignored,
        }
    }

    /// From the short form: one message for a conversation that is named.
    pub(super) fn of_message(request: TurnMessage, key: &ApiKey, settings: &Settings) -> Self {
        let message = Message {
            role: Role::User,
            text: request.message,
            images: Vec::new(),
            tool_calls: None,
            tool_call_id: None,
            name: None,
        };
        let messages = [message];
        let wanted = Wanted {
            conversation_id: Some(request.conversation_id),
            previous_response_id: request.previous_response_id,
            client_chat: None,
        };
        let model = request.model.unwrap_or_else(|| DEFAULT_MODEL.to_owned());
        let history = History::read(&messages);
        let ask = ask(&model, history, wanted, request.reasoning, request.search, key, settings);
        Self {
            ask,
            model,
            stream: request.stream,
            include_usage: request.include_usage,
            format: format(request.reasoning, key, settings),
            prompt_tokens: count_prompt(&messages),
            ignored: request.ignored,
        }
    }
}

fn ask(
    model: &str,
    history: History,
    wanted: Wanted,
    reasoning: ReasoningChoice,
    search: Option<bool>,
    key: &ApiKey,
    settings: &Settings,
) -> Ask {
    let by_key = key.reasoning.map(|reasoning| reasoning != KeyReasoning::Hidden);
    Ask {
        key_id: key.id.clone(),
        model: settings.model(model),
        history,
        wanted,
        account: None,
        show_thinking: reasoning.show.or(by_key).unwrap_or(settings.show_thinking),
        show_search: settings.show_search,
        search: search.unwrap_or(true),
        public_url: String::new(),
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
