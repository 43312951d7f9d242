//! An answer as a list of acts, and how each dialect and form tells it.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::tokens;

const SESSION: &str = "3b0c6a5e-18b7-4f0c-8f4e-6f5d8a1b2c3d";
const QUESTION: &str = "a1c8e7d2-0f35-4b8e-9c1d-2e3f4a5b6c7d";
const ANSWER: &str = "b2d9f8e3-1a46-4c9f-8d2e-3f4a5b6c7d8e";

/// Something the model does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Act {
    Heading(String),
    Summary(String),
    Thought { text: String, agent: &'static str },
    Search { id: String, query: String, pages: Vec<String> },
    Text(String),
    Cite { id: String, url: String },
    FoundImage { id: String, url: String },
    Image { id: String, moderated: bool },
}

/// How the WebSocket tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Chunk,
    /// Markup in the text, each card before its tag.
    DeltaCardFirst,
    /// Each card right behind its tag.
    DeltaCardNext,
    /// All cards behind the whole text.
    DeltaCardLast,
}

/// Any answer.
pub(crate) fn script() -> impl Strategy<Value = Vec<Act>> {
    let words = || {
        prop::sample::select(vec![
            "The ", "answer", " is ", "4", "4", ".", "\n\n", " ", "é", "a < b", "<", "<grok", "</xai", "<div>",
            "[[1]]", "(x)", "`", "日本",
        ])
        .prop_map(str::to_owned)
    };
    let address = || prop::sample::select(vec!["a", "b", "c"]).prop_map(|page| format!("https://example.org/{page}"));
    let act = prop_oneof![
        2 => words().prop_map(Act::Heading),
        2 => words().prop_map(Act::Summary),
        2 => (words(), prop::sample::select(vec!["Grok", "Agent 1"])).prop_map(|(text, agent)| Act::Thought { text, agent }),
        2 => ("t[0-9]", words(), prop::collection::vec(address(), 0..3)).prop_map(|(id, query, pages)| Act::Search { id, query, pages }),
        12 => words().prop_map(Act::Text),
        // The address belongs to the id, as a card does.
        4 => address().prop_map(|url| Act::Cite { id: format!("c{}", url.len() + usize::from(url.as_bytes()[url.len() - 1])), url }),
        1 => address().prop_map(|url| Act::FoundImage { id: format!("f{}", &url[url.len() - 1..]), url }),
        1 => ("k[0-9]", any::<bool>()).prop_map(|(id, moderated)| Act::Image { id, moderated }),
    ];
    prop::collection::vec(act, 0..24)
}

fn tag(id: &str, card_type: &str, kind: &str) -> String {
    format!(
        "<grok:render card_id=\"{id}\" card_type=\"{card_type}\" type=\"{kind}\"><argument name=\"citation_id\">1</argument></grok:render>"
    )
}

fn citation(id: &str, url: &str) -> Value {
    json!({"id": id, "type": "render_inline_citation", "cardType": "citation_card", "url": url})
}

fn found_image(id: &str, url: &str) -> Value {
    json!({"id": id, "type": "render_searched_image", "cardType": "image_card", "image": {"original": url, "title": "found"}})
}

fn image_chunk(id: &str, progress: u8, moderated: bool) -> Value {
    json!({"imageUuid": id, "imageUrl": format!("users/u/generated/{id}/image.jpg"), "progress": progress, "moderated": moderated})
}

fn image(id: &str, chunk: Value) -> Value {
    json!({"id": id, "type": "render_generated_image", "cardType": "generated_image_card", "image_chunk": chunk})
}

/// The REST dialect: cards in front of the tokens that refer to them.
pub(crate) fn rest_frames(acts: &[Act]) -> Vec<Value> {
    let mut frames = vec![
        json!({"result": {"conversation": {"conversationId": SESSION}}}),
        json!({"result": {"response": {"userResponse": {"responseId": QUESTION}, "responseId": QUESTION}}}),
    ];
    let mut chunk = |mut members: Value| {
        members["responseId"] = json!(ANSWER);
        frames.push(json!({"result": {"response": members}}));
    };
    // Told with every chunk, so also when there is nothing else to tell.
    chunk(json!({"uiLayout": {"reasoningUiLayout": "UNIFIED", "rolloutIds": []}}));
    let card = |card: Value| json!({"cardAttachment": {"jsonData": card.to_string()}, "messageTag": "final"});
    let token = |text: &str| json!({"token": text, "isThinking": false, "messageTag": "final"});
    for act in acts {
        match act {
            Act::Heading(text) => {
                chunk(json!({"token": text, "isThinking": true, "messageTag": "header", "messageStepId": 1}))
            }
            Act::Summary(text) => {
                chunk(json!({"token": text, "isThinking": true, "messageTag": "summary", "messageStepId": 1}))
            }
            Act::Thought { text, agent } => chunk(json!({"token": text, "isThinking": true, "rolloutId": agent})),
            Act::Search { id, query, pages } => {
                let pages: Vec<_> = pages.iter().map(|url| json!({"url": url, "title": "page"})).collect();
                chunk(json!({"toolUsageCard": {"toolUsageCardId": id, "webSearch": {"args": {"query": query}}},
                    "messageTag": "tool_usage_card", "isThinking": true}));
                chunk(
                    json!({"webSearchResults": {"results": pages}, "toolUsageCardId": id, "messageTag": "raw_function_result"}),
                );
            }
            Act::Text(text) => chunk(token(text)),
            Act::Cite { id, url } => {
                chunk(card(citation(id, url)));
                chunk(token(&tag(id, "citation_card", "render_inline_citation")));
            }
            Act::FoundImage { id, url } => {
                chunk(card(found_image(id, url)));
                chunk(token(&tag(id, "image_card", "render_searched_image")));
            }
            Act::Image { id, moderated } => {
                chunk(card(image(id, Value::Null)));
                chunk(token(&tag(id, "generated_image_card", "render_generated_image")));
                chunk(card(image(id, image_chunk(id, 50, false))));
                chunk(card(image(id, image_chunk(id, 100, *moderated))));
            }
        }
    }
    chunk(json!({"token": "", "isSoftStop": true}));
    frames.push(json!({"result": {"title": {"newTitle": "Title"}}}));
    frames
}

/// The WebSocket dialect in one of its forms.
pub(crate) fn messages(acts: &[Act], form: Form) -> Vec<Value> {
    let mut told = Told { messages: Vec::new(), late_cards: Vec::new(), form };
    told.event(json!({"type": "session.created", "client_event_id": "evt_init_6b1f", "session": {"model": "auto"}}));
    told.event(json!({"type": "conversation.attached", "conversation": {"id": SESSION}, "mode": "new"}));
    told.event(json!({"type": "conversation.item.added", "item": {"id": QUESTION, "role": "user"}}));
    told.event(json!({"type": "response.created", "client_event_id": "evt_resp_1", "response": {"id": ANSWER, "status": "in_progress"}}));
    told.chunk(json!({"ui_layout": {"reasoning_ui_layout": "UNIFIED", "rollout_ids": []}}));
    for act in acts {
        match act {
            Act::Heading(text) => told.thinking(text, "CHANNEL_ASSISTANT_NOTETAKER_HEADER", json!({"step_id": 1})),
            Act::Summary(text) => told.thinking(text, "CHANNEL_ASSISTANT_NOTETAKER_SUMMARY", json!({"step_id": 1})),
            Act::Thought { text, agent } => {
                told.thinking(text, "CHANNEL_ASSISTANT_THINKING", json!({"rollout_id": agent}));
            }
            Act::Search { id, query, pages } => {
                let pages: Vec<_> = pages.iter().map(|url| json!({"url": url, "title": "page"})).collect();
                if form == Form::Chunk {
                    told.chunk(json!({"tool_usage_card": {"tool_usage_card_id": id, "web_search": {"args": {"query": query}}}}));
                    told.chunk(json!({"tool_result": {"tool_call_id": id, "web_search": {"webpages": pages}}}));
                } else {
                    told.output(json!({"tool_usage_card": {"tool_usage_card_id": id, "web_search": {"query": query}}}));
                    told.output(json!({"tool_result": {"tool_call_id": id, "web_search_results": pages}}));
                }
            }
            Act::Text(text) => told.text(text),
            Act::Cite { id, url } if form == Form::Chunk => {
                told.chunk(json!({"render_citation": {"id": id, "kind": "CITATION_KIND_WEB_PAGE", "url": url, "citation_id": 0}}));
            }
            Act::Cite { id, url } => {
                told.card(citation(id, url), &tag(id, "citation_card", "render_inline_citation"));
            }
            Act::FoundImage { id, url } if form == Form::Chunk => {
                told.chunk(json!({"render_searched_image": {"id": id, "image": {"original": url, "title": "found"}, "size": "LARGE"}}));
            }
            Act::FoundImage { id, url } => {
                told.card(found_image(id, url), &tag(id, "image_card", "render_searched_image"));
            }
            Act::Image { id, moderated } if form == Form::Chunk => {
                told.chunk(json!({"render_start": {"id": id, "generated_image": {"prompt": "x"}}}));
                let mut running = image_chunk(id, 50, false);
                running["imageUrl"] = json!("data:image/jpeg;base64,AAAA");
                told.chunk(json!({"render_generated_image": {"id": id, "image_chunk": running}}));
                told.chunk(
                    json!({"render_generated_image": {"id": id, "image_chunk": image_chunk(id, 100, *moderated)}}),
                );
            }
            // States of images are told when they are reached, in every form.
            Act::Image { id, moderated } => {
                told.output(json!({"card_attachment": image(id, Value::Null)}));
                told.text(&tag(id, "generated_image_card", "render_generated_image"));
                told.output(json!({"card_attachment": image(id, image_chunk(id, 50, false))}));
                told.output(json!({"card_attachment": image(id, image_chunk(id, 100, *moderated))}));
            }
        }
    }
    told.end();
    told.messages
}

struct Told {
    messages: Vec<Value>,
    late_cards: Vec<Value>,
    form: Form,
}

impl Told {
    fn event(&mut self, mut event: Value) {
        event["event_id"] = json!(format!("evt_00112233445566778899aabbccddeeff_{}", self.messages.len() + 1));
        self.messages.push(json!({"session_id": SESSION, "event": event}));
    }

    fn chunk(&mut self, chunk: Value) {
        self.event(json!({"type": "response.chunk", "response_id": ANSWER, "item_id": ANSWER, "chunk": chunk}));
    }

    fn output(&mut self, output: Value) {
        self.event(json!({"type": "response.grok.output", "output": output}));
    }

    fn thinking(&mut self, text: &str, channel: &str, mut metadata: Value) {
        if self.form == Form::Chunk || channel != "CHANNEL_ASSISTANT_THINKING" {
            return self.chunk(json!({"metadata": metadata, "text": {"text": text, "channel": channel}}));
        }
        metadata["is_thinking"] = json!(true);
        self.event(
            json!({"type": "response.output_text.delta", "response_id": ANSWER, "delta": text, "x_grok": metadata}),
        );
    }

    fn text(&mut self, text: &str) {
        if self.form == Form::Chunk {
            return self.chunk(json!({"text": {"text": text, "channel": "CHANNEL_ASSISTANT_RESPONSE"}}));
        }
        for piece in tokens(text, &[7, 1, 30]) {
            self.event(json!({"type": "response.output_text.delta", "response_id": ANSWER, "delta": piece}));
        }
    }

    fn card(&mut self, card: Value, tag: &str) {
        match self.form {
            Form::DeltaCardFirst => {
                self.output(json!({"card_attachment": card}));
                self.text(tag);
            }
            Form::DeltaCardNext => {
                self.text(tag);
                self.output(json!({"card_attachment": card}));
            }
            Form::Chunk | Form::DeltaCardLast => {
                self.text(tag);
                self.late_cards.push(card);
            }
        }
    }

    fn end(&mut self) {
        self.event(json!({"type": "response.output_text.done", "response_id": ANSWER}));
        for card in std::mem::take(&mut self.late_cards) {
            self.output(json!({"card_attachment": card}));
        }
        self.event(json!({"type": "response.done", "response": {"id": ANSWER, "status": "completed", "usage": {}}}));
        self.event(json!({"type": "response.persisted", "status": "ok"}));
        self.event(json!({"type": "conversation.title.updated", "title": "Title"}));
    }
}
