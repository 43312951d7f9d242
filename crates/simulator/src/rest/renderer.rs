//! Renders steps as objects of the REST stream.

use serde_json::{Value, json};

use super::{
    chunk::{Envelope, Marks, chunk, member, members, outer},
    response::{MODEL_HASH, final_layout, placeholder, response_json},
};
use crate::{
    json::quoted,
    script::{
        Chunk, Citation, ImageForm, ImageStage, ImageStep, Severity, Step, Thinking, ThinkingKind, ToolCall, ToolResult,
    },
    turn::{Recorder, Turn, cards},
};

/// What form of the stream a call gets.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub envelope: Envelope,
    /// Whether the request asked for `finalMetadata`.
    pub final_metadata: bool,
    /// The conversation as its frame shows it; null where there is no such frame.
    pub conversation: Value,
}

/// Renders one answer. The steps must have been recorded before.
#[derive(Clone)]
pub(crate) struct Renderer {
    form: Form,
    recorder: Recorder,
}

impl Renderer {
    pub(crate) fn new(form: Form, turn: Turn) -> Self {
        Self { form, recorder: Recorder::new(turn) }
    }

    pub(crate) fn envelope(&self) -> Envelope {
        self.form.envelope
    }

    pub(crate) fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    fn turn(&self) -> &Turn {
        self.recorder.turn()
    }

    /// The object that a reconnected stream begins with.
    pub(crate) fn reconnected(&self) -> String {
        self.payload("modelResponse", &placeholder(&self.turn().answer.id), Marks::PLAIN)
    }

    /// Appends the objects of one step. Steps that are about time and ends render nothing.
    pub(crate) fn render(&self, step: &Step, out: &mut Vec<String>) {
        match step {
            Step::Opening => self.opening(out),
            Step::Text(text) => out.push(self.token(text, Marks::FINAL)),
            Step::UntaggedText(text) => out.push(self.token(text, Marks::PLAIN)),
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
            Step::Stored | Step::StoredWith(_) => {
                out.push(self.payload("modelResponse", &response_json(self.recorder.answer()), Marks::PLAIN));
            }
            Step::Title => out.extend(self.title()),
            Step::Chunk(chunk) => out.push(self.any_chunk(chunk)),
            Step::TopLevelError { code, message } => {
                out.push(outer(&json!({"error": {"code": code, "message": message, "details": []}})));
            }
            Step::StreamError { kind, message, severity } => out.push(self.stream_error(kind, message, *severity)),
            Step::Raw(text) => out.push(self.raw(text)),
            Step::Wait(_) | Step::Hang | Step::Cut { .. } | Step::Reset => {}
            // What only a socket can say.
            Step::SessionCreated
            | Step::Attached
            | Step::ItemAdded
            | Step::Event(_)
            | Step::Completed(_)
            | Step::Done { .. }
            | Step::Binary(_)
            | Step::ControlPing
            | Step::Oversized(_) => {}
        }
    }

    fn chunk(&self, payload: &str, marks: Marks<'_>) -> String {
        chunk(self.form.envelope, payload, marks, &self.turn().answer.id)
    }

    fn payload(&self, name: &str, value: &Value, marks: Marks<'_>) -> String {
        self.chunk(&member(name, value), marks)
    }

    fn token(&self, text: &str, marks: Marks<'_>) -> String {
        self.chunk(&format!("\"token\":{}", quoted(text)), marks)
    }

    fn opening(&self, out: &mut Vec<String>) {
        match self.form.envelope {
            Envelope::New => {
                out.push(outer(&json!({"result": {"conversation": self.form.conversation}})));
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
        let user = &self.turn().user;
        let payload = member("userResponse", &response_json(user));
        chunk(self.form.envelope, &payload, Marks::PLAIN, &user.id)
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
    fn tool_result(&self, result: &ToolResult, out: &mut Vec<String>) {
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

    fn citation(&self, citation: &Citation, out: &mut Vec<String>) {
        out.push(self.card(&cards::citation_card(citation)));
        out.push(self.token(&cards::citation_tag(citation), Marks::FINAL));
    }

    fn card(&self, card: &Value) -> String {
        self.payload("cardAttachment", &json!({"jsonData": card.to_string()}), Marks::FINAL)
    }

    fn image(&self, image: &ImageStep) -> String {
        if image.stage == ImageStage::Tag {
            return self.token(&cards::image_tag(image), Marks::FINAL);
        }
        let payload = cards::image_payload(image, &self.turn().user_id);
        match image.form {
            ImageForm::Card => self.card(&payload),
            ImageForm::Member => self.payload("streamingImageGenerationResponse", &payload, Marks::PLAIN),
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
        self.form.final_metadata.then(|| self.payload("finalMetadata", &metadata, Marks::PLAIN))
    }

    fn title(&self) -> Option<String> {
        (self.form.envelope != Envelope::Flat)
            .then(|| outer(&json!({"result": {"title": {"newTitle": self.turn().title}}})))
    }

    fn any_chunk(&self, chunk: &Chunk) -> String {
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

    /// Raw text with ids filled in.
    fn raw(&self, text: &str) -> String {
        let turn = self.turn();
        text.replace("$conversation", &turn.conversation_id)
            .replace("$user", &turn.user.id)
            .replace("$response", &turn.answer.id)
    }
}
