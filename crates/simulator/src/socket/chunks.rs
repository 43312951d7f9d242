//! Steps as chunks (UPSTREAM.md 16.6): text without markup, and a payload of its own for everything else.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    client_event::{camel_case_members, snake_case_members},
    markup::{Markup, Part, attribute},
};
use crate::{
    image,
    rest::final_layout,
    script::{Chunk, Citation, ImageForm, ImageStage, ImageStep, Step, Thinking, ThinkingKind, ToolCall, ToolResult},
    turn::cards,
};

const RESPONSE: &str = "CHANNEL_ASSISTANT_RESPONSE";

/// Makes the chunks of one answer.
#[derive(Clone)]
pub(super) struct Chunks {
    user_id: Arc<str>,
    /// All cards of the script: here a tag is an event that holds what its card says, wherever in the script that stands.
    cards: HashMap<String, Value>,
    markup: Markup,
    step_id: u32,
    /// Whether thinking and the answer have begun.
    thinking: bool,
    answering: bool,
    /// All visible text so far.
    text: String,
}

impl Chunks {
    pub(super) fn new(user_id: Arc<str>, steps: &[Step]) -> Self {
        let card = |step: &Step| match step {
            Step::Card(card) => card["id"].as_str().map(|id| (id.to_owned(), card.clone())),
            _ => None,
        };
        Self {
            user_id,
            cards: steps.iter().filter_map(card).collect(),
            markup: Markup::default(),
            step_id: 0,
            thinking: false,
            answering: false,
            text: String::new(),
        }
    }

    /// The visible text so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The chunks of one step. Most steps that are no text and no payload have none.
    pub(super) fn render(&mut self, step: &Step) -> Vec<Value> {
        let mut out = Vec::new();
        match step {
            Step::Opening => {
                let layout = snake_case_members(final_layout());
                out.push(json!({"metadata": {"phase_index": 0}, "ui_layout": layout}));
            }
            Step::Text(text) => self.marked_text(text, &mut out),
            Step::UntaggedText(text) => self.visible(text, None, &mut out),
            Step::Thinking(thinking) => self.thought(thinking, &mut out),
            Step::ToolCall(call) => out.push(self.tool_call(call)),
            Step::ToolResult(result) => out.push(self.tool_result(result)),
            Step::Citation(citation) => out.push(self.citation(citation)),
            Step::Image(image) => out.extend(self.image(image)),
            Step::Chunk(chunk) => self.any_chunk(chunk, &mut out),
            Step::SoftStop | Step::Stored | Step::StoredWith(_) => {
                let held = self.markup.finish();
                self.visible(&held, Some(RESPONSE), &mut out);
            }
            _ => {}
        }
        out
    }

    fn metadata(&self, step: u32, rollout: &str) -> Value {
        let mut metadata = json!({"step_id": step, "phase_index": u32::from(self.answering)});
        if !rollout.is_empty() {
            metadata["rollout_id"] = rollout.into();
        }
        metadata
    }

    fn payload(&self, name: &str, value: Value) -> Value {
        json!({"metadata": self.metadata(self.step_id, ""), name: value})
    }

    fn marked_text(&mut self, text: &str, out: &mut Vec<Value>) {
        for part in self.markup.push(text) {
            match part {
                Part::Text(text) => self.visible(&text, Some(RESPONSE), out),
                Part::Tag(tag) => out.extend(self.tag(&tag)),
            }
        }
    }

    fn visible(&mut self, text: &str, channel: Option<&str>, out: &mut Vec<Value>) {
        if text.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.answering, true) {
            self.step_id += 1;
            out.push(self.payload("phase_marker", json!({"kind": "KIND_RESPONSE_START", "phase_index": 1})));
        }
        self.text.push_str(text);
        let mut payload = json!({"text": text});
        if let Some(channel) = channel {
            payload["channel"] = channel.into();
        }
        out.push(self.payload("text", payload));
    }

    fn thought(&mut self, thinking: &Thinking, out: &mut Vec<Value>) {
        let channel = match thinking.kind {
            ThinkingKind::Header => "CHANNEL_ASSISTANT_NOTETAKER_HEADER",
            ThinkingKind::Summary => "CHANNEL_ASSISTANT_NOTETAKER_SUMMARY",
            ThinkingKind::Raw => "CHANNEL_ASSISTANT_THINKING",
        };
        self.think(&thinking.text, channel, thinking.step, &thinking.rollout, out);
    }

    fn think(&mut self, text: &str, channel: &str, step: u32, rollout: &str, out: &mut Vec<Value>) {
        if !std::mem::replace(&mut self.thinking, true) && !self.answering {
            out.push(self.payload("phase_marker", json!({"kind": "KIND_THINKING_START", "phase_index": 0})));
        }
        self.step_id = self.step_id.max(step);
        let metadata = self.metadata(step, rollout);
        out.push(json!({"metadata": metadata, "text": {"text": text, "channel": channel}}));
    }

    fn tool_call(&mut self, call: &ToolCall) -> Value {
        self.step_id = self.step_id.max(call.step);
        json!({"metadata": self.metadata(call.step, &call.rollout), "tool_usage_card": tool_usage_card(call)})
    }

    fn tool_result(&mut self, result: &ToolResult) -> Value {
        self.step_id = self.step_id.max(result.step);
        json!({"metadata": self.metadata(result.step, &result.rollout), "tool_result": tool_result(result)})
    }

    fn citation(&self, citation: &Citation) -> Value {
        let mut payload = json!({"id": citation.card_id, "kind": citation.kind, "citation_id": citation.citation_id});
        if !citation.url.is_empty() {
            payload["url"] = citation.url.as_str().into();
        }
        self.payload("render_citation", payload)
    }

    fn image(&self, image: &ImageStep) -> Option<Value> {
        match image.stage {
            ImageStage::Placeholder => None,
            ImageStage::Tag => {
                let generated = json!({"prompt": image.prompt, "orientation": "square", "layout": "block"});
                Some(self.payload("render_start", json!({"id": image.card_id, "generated_image": generated})))
            }
            _ => {
                let image = ImageStep { form: ImageForm::Card, ..image.clone() };
                let payload = json!({"id": image.card_id, "query": image.prompt, "image_id": image.image_id,
                    "image_chunk": image_chunk(&image, &self.user_id)});
                Some(self.payload("render_generated_image", payload))
            }
        }
    }

    /// A chunk of the REST stream, as far as it has a counterpart.
    fn any_chunk(&mut self, chunk: &Chunk, out: &mut Vec<Value>) {
        if let Some(token) = chunk.members["token"].as_str() {
            match (chunk.thinking, chunk.tag.as_str()) {
                (false, _) => self.visible(token, Some(RESPONSE), out),
                (true, "") => self.think(token, "CHANNEL_ASSISTANT_THINKING", self.step_id, "", out),
                (true, tag) => {
                    self.think(token, &format!("CHANNEL_{}", tag.to_uppercase()), self.step_id, "", out);
                }
            }
            // A chunk may carry a result besides its text.
            if let (Some(result), Some(last)) = (result_of(chunk), out.last_mut()) {
                last["tool_result"] = tool_result(&result);
            }
            return;
        }
        let mut payload = Map::new();
        payload.insert("metadata".to_owned(), self.metadata(self.step_id, ""));
        if let Value::Object(members) = snake_case_members(chunk.members.clone()) {
            payload.extend(members);
        }
        out.push(payload.into());
    }

    /// What a tag in the text refers to.
    fn tag(&self, tag: &str) -> Option<Value> {
        let id = attribute(tag, "card_id")?;
        let card = self.cards.get(id)?;
        match card["cardType"].as_str()? {
            "citation_card" => {
                let citation_id = attribute(tag, "citation_id").and_then(|id| id.parse().ok()).unwrap_or_default();
                let url = card["url"].as_str().unwrap_or_default().to_owned();
                Some(self.citation(&Citation { citation_id, ..Citation::web(id, &url, 0) }))
            }
            "image_card" => {
                let size = attribute(tag, "size").unwrap_or("SMALL").trim_matches('"');
                Some(self.payload(
                    "render_searched_image",
                    json!({"id": id, "image": snake_case_members(card["image"].clone()), "size": size}),
                ))
            }
            _ => None,
        }
    }
}

/// A tool call in snake case.
fn tool_usage_card(call: &ToolCall) -> Value {
    let mut arguments = call.arguments.clone();
    if let Value::Object(members) = &mut arguments {
        members.remove("num_results");
    }
    let mut card = json!({"tool_usage_card_id": call.id});
    card[call.name.as_str()] = json!({"args": arguments});
    card
}

/// The result that a chunk with a token carries along.
pub(super) fn result_of(chunk: &Chunk) -> Option<ToolResult> {
    let members = json!({"webSearchResults": chunk.members.get("webSearchResults")?});
    Some(ToolResult { id: String::new(), members, step: 0, rollout: String::new() })
}

/// A tool's result under the name that it has here.
pub(super) fn tool_result(result: &ToolResult) -> Value {
    let members = &result.members;
    let mut out = if let Some(found) = members["webSearchResults"]["results"].as_array() {
        let page = |found: &Value| json!({"url": found["url"], "title": found["title"], "snippet": found["preview"]});
        json!({"web_search": {"webpages": found.iter().map(page).collect::<Vec<_>>()}})
    } else if let Some(found) = members["xSearchResults"]["results"].as_array() {
        let post = |found: &Value| {
            json!({"userhandle": found["username"], "name": found["name"], "text": found["text"],
            "create_time": found["createTime"], "post_id": found["postId"], "view_count": found["viewCount"]})
        };
        json!({"x_post": {"posts": found.iter().map(post).collect::<Vec<_>>()}})
    } else if members["codeExecutionResult"].is_object() {
        json!({"code_execution": snake_case_members(members["codeExecutionResult"].clone())})
    } else {
        snake_case_members(members.clone())
    };
    if !result.id.is_empty() {
        out["tool_call_id"] = result.id.as_str().into();
    }
    out
}

/// The inside of an image, in camel case here too. While it runs its picture comes along.
pub(super) fn image_chunk(image: &ImageStep, user_id: &str) -> Value {
    let mut chunk = cards::image_payload(image, user_id)["image_chunk"].take();
    if image.stage == ImageStage::Partial {
        let path = cards::image_path(user_id, &image.image_id, image.stage);
        chunk["imageUrl"] = format!("data:image/jpeg;base64,{}", STANDARD.encode(image::jpeg(&path))).into();
    }
    chunk
}

/// Adds a chunk to the stored form of an answer: in camel case, neighbouring texts merged (UPSTREAM.md 16.10).
pub(super) fn store(stored: &mut Vec<Value>, chunk: &Value) {
    let chunk = camel_case_members(chunk.clone());
    if let Some(last) = stored.last_mut()
        && let (Some(before), Some(text)) = (last["text"]["text"].as_str(), chunk["text"]["text"].as_str())
        && last["text"]["channel"] == chunk["text"]["channel"]
        && last["metadata"] == chunk["metadata"]
    {
        last["text"]["text"] = format!("{before}{text}").into();
        return;
    }
    stored.push(chunk);
}
