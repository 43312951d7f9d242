//! The whole answer: a fold over the same events that a stream is made of.

use serde::Serialize;

use super::chunk::{ChunkMeta, ReasoningFormat, THINK_END, THINK_START};
use super::usage::Usage;
use crate::translate::ChatEvent;

/// Collects the events of one answer.
#[derive(Debug, Clone, Default)]
pub struct CompletionBuilder {
    /// Neighbouring events of one kind are joined.
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Reasoning(String),
    Text(String),
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    conversation_id: &'a str,
    choices: [Choice<'a>; 1],
    usage: &'a Usage,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: AnswerMessage,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct AnswerMessage {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    refusal: Option<()>,
}

impl CompletionBuilder {
    /// Nothing collected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Collects one event.
    pub fn event(&mut self, event: &ChatEvent<'_>) {
        match (*event, self.parts.last_mut()) {
            (ChatEvent::Text("") | ChatEvent::Reasoning(""), _) => {}
            (ChatEvent::Text(text), Some(Part::Text(part))) => part.push_str(text),
            (ChatEvent::Reasoning(text), Some(Part::Reasoning(part))) => part.push_str(text),
            (ChatEvent::Text(text), _) => self.parts.push(Part::Text(text.to_owned())),
            (ChatEvent::Reasoning(text), _) => self.parts.push(Part::Reasoning(text.to_owned())),
        }
    }

    /// The body of the answer. `reason` is `stop`, `length` or `content_filter`.
    pub fn finish(self, meta: &ChunkMeta<'_>, reason: &str, usage: &Usage) -> Vec<u8> {
        let (content, reasoning_content) = match meta.reasoning {
            ReasoningFormat::ThinkTags => (self.with_think_tags(), None),
            ReasoningFormat::ReasoningContent => self.apart(),
        };
        let completion = Completion {
            id: meta.id,
            object: "chat.completion",
            created: meta.created,
            model: meta.model,
            conversation_id: meta.conversation_id,
            choices: [Choice {
                index: 0,
                message: AnswerMessage { role: "assistant", content, reasoning_content, refusal: None },
                logprobs: None,
                finish_reason: reason,
            }],
            usage,
        };
        serde_json::to_vec(&completion).expect("strings and numbers always have a JSON form")
    }

    fn with_think_tags(self) -> String {
        let mut content = String::new();
        for part in self.parts {
            match part {
                Part::Text(text) => content.push_str(&text),
                Part::Reasoning(text) => {
                    content.push_str(THINK_START);
                    content.push_str(&text);
                    content.push_str(THINK_END);
                }
            }
        }
        content
    }

    fn apart(self) -> (String, Option<String>) {
        let (mut content, mut reasoning) = (String::new(), None::<String>);
        for part in self.parts {
            match part {
                Part::Text(text) => content.push_str(&text),
                Part::Reasoning(text) => reasoning.get_or_insert_default().push_str(&text),
            }
        }
        (content, reasoning)
    }
}
