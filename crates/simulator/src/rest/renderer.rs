//! Renders steps as objects of the REST stream and gathers the answer that they make.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    cards,
    chunk::{Envelope, Marks, chunk, member, members, outer},
    response::{MODEL_HASH, final_layout, placeholder, response_json},
};
use crate::{
    json::quoted,
    script::{
        Chunk, Citation, ImageForm, ImageStage, ImageStep, Severity, Step, Thinking, ThinkingKind, ToolCall, ToolResult,
    },
    state::{Node, Progress},
};

/// What is known of a turn before its answer begins.
#[derive(Clone)]
pub(crate) struct Turn {
    pub envelope: Envelope,
    /// Whether the request asked for `finalMetadata`.
    pub final_metadata: bool,
    pub conversation_id: String,
    /// The conversation as its frame shows it; null where there is no such frame.
    pub conversation: Value,
    pub title: String,
    /// Owner of the account, for the paths of images.
    pub user_id: Arc<str>,
    pub user: Node,
    /// The answer, still empty.
    pub answer: Node,
}

/// Renders one answer.
#[derive(Clone)]
pub(crate) struct Renderer {
    turn: Turn,
    images: Vec<String>,
}

impl Renderer {
    pub(crate) fn new(turn: Turn) -> Self {
        Self { turn, images: Vec::new() }
    }

    /// The answer as far as it goes.
    pub(crate) fn answer(&self) -> &Node {
        &self.turn.answer
    }

    pub(crate) fn answer_mut(&mut self) -> &mut Node {
        &mut self.turn.answer
    }

    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Ids of the images that were made since the last call.
    pub(crate) fn take_images(&mut self) -> Vec<String> {
        std::mem::take(&mut self.images)
    }

    /// The object that a reconnected stream begins with.
    pub(crate) fn reconnected(&self) -> String {
        self.payload("modelResponse", &placeholder(&self.turn.answer.id), Marks::PLAIN)
    }

    /// Appends the objects of one step. Steps that are about time and ends render nothing.
    pub(crate) fn render(&mut self, step: &Step, out: &mut Vec<String>) {
        match step {
            Step::Opening => self.opening(out),
            Step::Text(text) => out.push(self.text(text, Marks::FINAL)),
            Step::UntaggedText(text) => out.push(self.text(text, Marks::PLAIN)),
            Step::Alternative(text) => {
                let payload = format!("{},\"sideBySideIndex\":1", member("token", &text.as_str().into()));
                out.push(self.chunk(&payload, Marks::FINAL));
            }
            Step::Thinking(thinking) => out.push(self.thinking(thinking)),
            Step::ToolCall(call) => out.push(self.tool_call(call)),
            Step::ToolResult(result) => self.tool_result(result, out),
            Step::Citation(citation) => self.citation(citation, out),
            Step::Card(card) => out.push(self.card(card)),
            Step::Image(image) => out.push(self.image(image)),
            Step::Heartbeat => out.push(self.token("", Marks::PLAIN)),
            Step::KeepAlive => out.push(self.payload("keepAlive", &json!({}), Marks::PLAIN)),
            Step::Placeholder => out.push(self.reconnected()),
            Step::SoftStop => out.push(self.token("", Marks { soft_stop: true, ..Marks::PLAIN })),
            Step::FinalMetadata => out.extend(self.final_metadata()),
            Step::Stored => out.push(self.stored(&Value::Null)),
            Step::StoredWith(overrides) => out.push(self.stored(overrides)),
            Step::Title => out.extend(self.title()),
            Step::Chunk(chunk) => out.push(self.any_chunk(chunk)),
            Step::TopLevelError { code, message } => {
                out.push(outer(&json!({"error": {"code": code, "message": message, "details": []}})));
            }
            Step::StreamError { kind, message, severity } => out.push(self.stream_error(kind, message, *severity)),
            Step::Raw(text) => out.push(self.raw(text)),
            Step::Wait(_) | Step::Hang | Step::Cut { .. } | Step::Reset => {}
        }
    }

    fn chunk(&self, payload: &str, marks: Marks<'_>) -> String {
        chunk(self.turn.envelope, payload, marks, &self.turn.answer.id)
    }

    fn payload(&self, name: &str, value: &Value, marks: Marks<'_>) -> String {
        self.chunk(&member(name, value), marks)
    }

    fn token(&self, text: &str, marks: Marks<'_>) -> String {
        self.chunk(&format!("\"token\":{}", quoted(text)), marks)
    }

    /// A token that belongs to the stored answer.
    fn text(&mut self, text: &str, marks: Marks<'_>) -> String {
        self.turn.answer.message.push_str(text);
        self.token(text, marks)
    }

    fn opening(&self, out: &mut Vec<String>) {
        match self.turn.envelope {
            Envelope::New => {
                out.push(outer(&json!({"result": {"conversation": self.turn.conversation}})));
                out.push(self.user_response());
                let layout = json!({"reasoningUiLayout": "SPLIT", "willThinkLong": false, "effort": "LOW",
                    "steerModelId": "grok-4", "rolloutIds": []});
                out.push(self.payload("uiLayout", &layout, Marks::PLAIN));
            }
            Envelope::Flat => out.push(self.user_response()),
            Envelope::Reconnect => {}
        }
        out.push(self.payload("llmInfo", &json!({"modelHash": MODEL_HASH}), Marks::PLAIN));
        out.push(self.payload("uiLayout", &final_layout(), Marks::PLAIN));
    }

    fn user_response(&self) -> String {
        let user = &self.turn.user;
        let payload = member("userResponse", &response_json(user));
        chunk(self.turn.envelope, &payload, Marks::PLAIN, &user.id)
    }

    fn thinking(&self, thinking: &Thinking) -> String {
        let tag = match thinking.kind {
            ThinkingKind::Header => "header",
            ThinkingKind::Summary => "summary",
            ThinkingKind::Raw => "",
        };
        let marks =
            Marks { thinking: true, tag, step: Some(thinking.step), rollout: &thinking.rollout, ..Marks::PLAIN };
        self.token(&thinking.text, marks)
    }

    fn tool_call(&self, call: &ToolCall) -> String {
        let token = member("token", &cards::tool_xml(call).into());
        let card = member("toolUsageCard", &cards::tool_card(call));
        let marks = Marks {
            thinking: true,
            tag: "tool_usage_card",
            step: Some(call.step),
            tool_card: &call.id,
            rollout: &call.rollout,
            soft_stop: false,
        };
        self.chunk(&format!("{token},{card}"), marks)
    }

    /// The data, and an empty token for the same call.
    fn tool_result(&mut self, result: &ToolResult, out: &mut Vec<String>) {
        if let Some(found) = result.members["webSearchResults"]["results"].as_array() {
            self.turn.answer.sources.extend(found.iter().cloned());
        }
        let marks = Marks {
            thinking: true,
            tag: "raw_function_result",
            step: Some(result.step),
            tool_card: &result.id,
            rollout: &result.rollout,
            soft_stop: false,
        };
        out.push(self.chunk(&members(&result.members), marks));
        out.push(self.token("", marks));
    }

    fn citation(&mut self, citation: &Citation, out: &mut Vec<String>) {
        out.push(self.card(&cards::citation_card(citation)));
        out.push(self.text(&cards::citation_tag(citation), Marks::FINAL));
    }

    /// A card; one that was sent before is replaced in the stored answer.
    fn card(&mut self, card: &Value) -> String {
        let text = card.to_string();
        let same_id = |stored: &String| {
            let stored: Value = serde_json::from_str(stored).unwrap_or_default();
            stored["id"] == card["id"]
        };
        match self.turn.answer.cards.iter().position(same_id) {
            Some(index) => self.turn.answer.cards[index].clone_from(&text),
            None => self.turn.answer.cards.push(text.clone()),
        }
        self.payload("cardAttachment", &json!({"jsonData": text}), Marks::FINAL)
    }

    fn image(&mut self, image: &ImageStep) -> String {
        if image.stage == ImageStage::Tag {
            return self.text(&cards::image_tag(image), Marks::FINAL);
        }
        let user_id = self.turn.user_id.clone();
        if matches!(image.stage, ImageStage::Partial | ImageStage::Final) {
            self.images.push(cards::image_path(&user_id, &image.image_id, image.stage));
        }
        let payload = cards::image_payload(image, &user_id);
        match image.form {
            ImageForm::Card => self.card(&payload),
            ImageForm::Member => {
                // A withdrawn image's address is repeated in the stored answer all the same.
                if matches!(image.stage, ImageStage::Final | ImageStage::Moderated) {
                    self.turn.answer.images.push(cards::image_path(&user_id, &image.image_id, image.stage));
                }
                self.payload("streamingImageGenerationResponse", &payload, Marks::PLAIN)
            }
        }
    }

    fn final_metadata(&self) -> Option<String> {
        let metadata = json!({
            "followUpSuggestions": [{"properties": {"messageType": "TEXT", "followUpType": "FOLLOW_UP"},
                "label": "Tell me more.", "toolOverrides": {}}],
            "feedbackLabels": [],
            "toolsUsed": {},
            "disclaimer": "",
        });
        self.turn.final_metadata.then(|| self.payload("finalMetadata", &metadata, Marks::PLAIN))
    }

    fn stored(&mut self, overrides: &Value) -> String {
        let answer = &mut self.turn.answer;
        answer.set_progress(Progress::Finished);
        answer.overrides = overrides.clone();
        if let Some(message) = overrides["message"].as_str() {
            message.clone_into(&mut answer.message);
        }
        let response = response_json(answer);
        self.payload("modelResponse", &response, Marks::PLAIN)
    }

    fn title(&self) -> Option<String> {
        (self.turn.envelope != Envelope::Flat)
            .then(|| outer(&json!({"result": {"title": {"newTitle": self.turn.title}}})))
    }

    fn any_chunk(&mut self, chunk: &Chunk) -> String {
        self.turn.answer.message.push_str(&chunk.stored_text);
        let marks = Marks { thinking: chunk.thinking, tag: &chunk.tag, ..Marks::PLAIN };
        self.chunk(&members(&chunk.members), marks)
    }

    fn stream_error(&self, kind: &str, message: &str, severity: Severity) -> String {
        let mut error = json!({"message": message, "severity": severity.name()});
        match kind {
            "" => {}
            "usageLimitReached" => error[kind] = json!({"midTurn": false}),
            _ => error[kind] = json!({}),
        }
        self.payload("error", &error, Marks::PLAIN)
    }

    /// Raw text with ids filled in. What it says about the answer is kept, so that the conversation can go on after it.
    fn raw(&mut self, text: &str) -> String {
        let text = text
            .replace("$conversation", &self.turn.conversation_id)
            .replace("$user", &self.turn.user.id)
            .replace("$response", &self.turn.answer.id);
        let Ok(object) = serde_json::from_str::<Value>(&text) else {
            return text;
        };
        let result = &object["result"];
        let chunk = if result["response"].is_object() { &result["response"] } else { result };
        let answer = &mut self.turn.answer;
        if let Some(token) = chunk["token"].as_str()
            && chunk["isThinking"] != true
        {
            answer.message.push_str(token);
        }
        if let Some(message) = chunk["modelResponse"]["message"].as_str().filter(|message| !message.is_empty()) {
            message.clone_into(&mut answer.message);
            answer.set_progress(Progress::Finished);
        }
        text
    }
}
