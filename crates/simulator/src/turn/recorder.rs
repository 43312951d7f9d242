//! Gathers the answer that the steps of a script make, whatever form they are sent in.

use serde_json::Value;

use super::{begin::Turn, cards};
use crate::{
    script::{ImageForm, ImageStage, ImageStep, Step},
    state::{Node, Progress},
};

/// A turn whose answer grows step by step.
#[derive(Clone)]
pub(crate) struct Recorder {
    turn: Turn,
    images: Vec<String>,
}

impl Recorder {
    pub(crate) fn new(turn: Turn) -> Self {
        Self { turn, images: Vec::new() }
    }

    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// The answer as far as it goes.
    pub(crate) fn answer(&self) -> &Node {
        &self.turn.answer
    }

    pub(crate) fn answer_mut(&mut self) -> &mut Node {
        &mut self.turn.answer
    }

    /// Paths of the images that were made since the last call.
    pub(crate) fn take_images(&mut self) -> Vec<String> {
        std::mem::take(&mut self.images)
    }

    /// What a step adds to the stored answer.
    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Text(text) | Step::UntaggedText(text) => self.text(text),
            Step::ToolResult(result) => {
                if let Some(found) = result.members["webSearchResults"]["results"].as_array() {
                    self.turn.answer.sources.extend(found.iter().cloned());
                }
            }
            Step::Citation(citation) => {
                self.card(&cards::citation_card(citation));
                self.text(&cards::citation_tag(citation));
            }
            Step::Card(card) => self.card(card),
            Step::Image(image) => self.image(image),
            Step::Stored => self.stored(&Value::Null),
            Step::StoredWith(overrides) => self.stored(overrides),
            Step::Chunk(chunk) => self.text(&chunk.stored_text),
            Step::Raw(text) => self.raw(text),
            Step::Event(event) => self.event(event),
            Step::Completed(text) => text.clone_into(&mut self.turn.answer.message),
            Step::Done { status, .. } => self.done(status.as_deref()),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        self.turn.answer.message.push_str(text);
    }

    /// A card; one that was sent before is replaced.
    fn card(&mut self, card: &Value) {
        let text = card.to_string();
        let same_id = |stored: &String| {
            let stored: Value = serde_json::from_str(stored).unwrap_or_default();
            stored["id"] == card["id"]
        };
        match self.turn.answer.cards.iter().position(same_id) {
            Some(index) => self.turn.answer.cards[index].clone_from(&text),
            None => self.turn.answer.cards.push(text),
        }
    }

    fn image(&mut self, image: &ImageStep) {
        if image.stage == ImageStage::Tag {
            return self.text(&cards::image_tag(image));
        }
        let path = cards::image_path(&self.turn.user_id, &image.image_id, image.stage);
        if matches!(image.stage, ImageStage::Partial | ImageStage::Final) {
            self.images.push(path.clone());
        }
        match image.form {
            ImageForm::Card => self.card(&cards::image_payload(image, &self.turn.user_id)),
            // A withdrawn image's address is repeated in the stored answer all the same.
            ImageForm::Member if matches!(image.stage, ImageStage::Final | ImageStage::Moderated) => {
                self.turn.answer.images.push(path);
            }
            ImageForm::Member => {}
        }
    }

    fn stored(&mut self, overrides: &Value) {
        let answer = &mut self.turn.answer;
        answer.set_progress(Progress::Finished);
        answer.overrides = overrides.clone();
        if let Some(message) = overrides["message"].as_str() {
            message.clone_into(&mut answer.message);
        }
    }

    /// What raw text says about the answer is kept, so that the conversation can go on after it.
    fn raw(&mut self, text: &str) {
        let Ok(object) = serde_json::from_str::<Value>(text) else {
            return;
        };
        // Another session's events say nothing about this answer.
        if object["session_id"].is_null() || object["session_id"] == "$conversation" {
            self.event(&object["event"]);
        }
        let result = &object["result"];
        let chunk = if result["response"].is_object() { &result["response"] } else { result };
        if let Some(token) = chunk["token"].as_str()
            && chunk["isThinking"] != true
        {
            self.text(token);
        }
        if let Some(message) = chunk["modelResponse"]["message"].as_str().filter(|message| !message.is_empty()) {
            message.clone_into(&mut self.turn.answer.message);
            self.turn.answer.set_progress(Progress::Finished);
        }
    }

    /// An event of a socket.
    fn event(&mut self, event: &Value) {
        let text = match event["type"].as_str() {
            Some("response.chunk") if event["chunk"]["text"]["channel"] == "CHANNEL_ASSISTANT_RESPONSE" => {
                &event["chunk"]["text"]["text"]
            }
            Some("response.output_text.delta") if event["x_grok"]["is_thinking"] != true => &event["delta"],
            Some("response.done") => return self.done(event["response"]["status"].as_str()),
            _ => return,
        };
        self.text(text.as_str().unwrap_or_default());
    }

    /// An absent status counts as completed.
    fn done(&mut self, status: Option<&str>) {
        if status.unwrap_or("completed") == "completed" {
            self.turn.answer.set_progress(Progress::Finished);
        }
    }
}
