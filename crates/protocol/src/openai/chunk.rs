//! Chat events to the bytes of a streamed answer: server-sent events that hold chat completion chunks.

use serde::Serialize;

use super::error::ErrorObject;
use super::usage::Usage;
use crate::translate::ChatEvent;

/// Where reasoning stands in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReasoningFormat {
    /// In the content, between `<think>` and `</think>`.
    #[default]
    ThinkTags,
    /// In a member of its own, `reasoning_content`.
    ReasoningContent,
}

/// Opens reasoning in the content.
pub(super) const THINK_START: &str = "<think>\n";
/// Ends reasoning in the content.
pub(super) const THINK_END: &str = "\n</think>\n\n";

/// What all chunks of an answer share.
#[derive(Debug, Clone, Copy)]
pub struct ChunkMeta<'a> {
    /// The answer's id.
    pub id: &'a str,
    /// The model as the client named it.
    pub model: &'a str,
    /// When the answer began, in Unix seconds.
    pub created: i64,
    /// The public conversation id.
    pub conversation_id: &'a str,
    /// Where reasoning goes.
    pub reasoning: ReasoningFormat,
}

/// Writes the chunks of one answer. What all chunks share is rendered once; a delta is escaped and set between two constant
/// pieces. One kind of thing per chunk, because clients lose the second one.
#[derive(Debug, Clone)]
pub struct ChunkWriter {
    /// From `data: ` to the opening brace of the delta.
    prefix: Vec<u8>,
    /// Length of the part of `prefix` that comes before `"choices"`.
    envelope_length: usize,
    reasoning: ReasoningFormat,
    thinking: bool,
}

const AFTER_DELTA: &[u8] = b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

impl ChunkWriter {
    /// Ends a complete answer. Not part of [`ChunkWriter::finish`], because what was answered is stored in between.
    pub const DONE: &'static [u8] = b"data: [DONE]\n\n";
    /// A comment that keeps connections open in silence and that every client passes over.
    pub const KEEP_ALIVE: &'static [u8] = b": keep-alive\n\n";

    /// A writer for one answer.
    pub fn new(meta: &ChunkMeta<'_>) -> Self {
        let mut prefix = Vec::with_capacity(256);
        prefix.extend_from_slice(b"data: {\"id\":");
        write_json(&mut prefix, meta.id);
        prefix.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        write_json(&mut prefix, &meta.created);
        prefix.extend_from_slice(b",\"model\":");
        write_json(&mut prefix, meta.model);
        prefix.extend_from_slice(b",\"conversation_id\":");
        write_json(&mut prefix, meta.conversation_id);
        let envelope_length = prefix.len();
        prefix.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":{");
        Self { prefix, envelope_length, reasoning: meta.reasoning, thinking: false }
    }

    /// The first chunk: the role, and with it the conversation's id.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        self.chunk(b"\"role\":\"assistant\",\"content\":", "", out);
    }

    /// One event as one chunk, preceded by a chunk with the think tag if one is due.
    pub fn event(&mut self, event: &ChatEvent<'_>, out: &mut Vec<u8>) {
        match (*event, self.reasoning) {
            (ChatEvent::Reasoning("") | ChatEvent::Text(""), _) => {}
            (ChatEvent::Reasoning(text), ReasoningFormat::ReasoningContent) => {
                self.chunk(b"\"reasoning_content\":", text, out);
            }
            (ChatEvent::Reasoning(text), ReasoningFormat::ThinkTags) => {
                if !self.thinking {
                    self.thinking = true;
                    self.content(THINK_START, out);
                }
                self.content(text, out);
            }
            (ChatEvent::Text(text), _) => {
                self.end_thinking(out);
                self.content(text, out);
            }
        }
    }

    /// The chunk with the finish reason (`stop`, `length`, `content_filter`), then, if given, the usage in a chunk of its own.
    pub fn finish(&mut self, reason: &str, usage: Option<&Usage>, out: &mut Vec<u8>) {
        self.end_thinking(out);
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        write_json(out, reason);
        out.extend_from_slice(b"}]}\n\n");
        if let Some(usage) = usage {
            out.extend_from_slice(&self.prefix[..self.envelope_length]);
            out.extend_from_slice(b",\"choices\":[],\"usage\":");
            write_json(out, usage);
            out.extend_from_slice(b"}\n\n");
        }
    }

    /// Ends the answer with an error; [`Self::DONE`] must not follow.
    pub fn error(&mut self, error: &ErrorObject<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        error.write(out);
        out.extend_from_slice(b"\n\n");
    }

    fn end_thinking(&mut self, out: &mut Vec<u8>) {
        if self.thinking {
            self.thinking = false;
            self.content(THINK_END, out);
        }
    }

    fn content(&self, text: &str, out: &mut Vec<u8>) {
        self.chunk(b"\"content\":", text, out);
    }

    fn chunk(&self, member: &[u8], text: &str, out: &mut Vec<u8>) {
        out.reserve(self.prefix.len() + member.len() + text.len() + AFTER_DELTA.len() + 16);
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(member);
        write_json(out, text);
        out.extend_from_slice(AFTER_DELTA);
    }
}

fn write_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("strings and numbers into a vector always serialise");
}
