//! Upstream events to what a client sees: one translator for streamed and whole answers (UPSTREAM.md 7).
//!
//! The laws: pieces of the upstream's stream may be cut anywhere without changing the output; text is never doubled and never
//! lost; markup never shows. Images and citations come out as Markdown, so that every client can show them.

mod images;
mod page;
mod reasoning;
mod visible;

use std::collections::BTreeMap;

use crate::drift::Specimen;
use crate::event::{Card, CardKind, Channel, GrokEvent, ImageProgress, Severity, Source, StoredAnswer};
use crate::failure::Failure;
use crate::halves::Seam;
use crate::markup::MarkupScanner;
use crate::steps;
pub use images::{ImageLinks, MadeImage};
use page::Page;
use reasoning::Reasoning;

/// Distinct unknown kinds that are counted; an upstream that makes up names must not fill the memory.
const UNKNOWN_KINDS_LIMIT: usize = 64;
const SOURCES_LIMIT: usize = 256;

/// How answers are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether the reasoning channel is shown at all.
    pub show_thinking: bool,
    /// Whether searches and other tool calls show as lines of the reasoning channel; needs `show_thinking` too.
    pub show_search: bool,
    /// What generated images' paths are appended to, without a closing slash.
    pub assets_url: String,
    /// Where generated images are linked to; `None`: to where the upstream has them.
    pub image_links: Option<ImageLinks>,
}

/// A piece of the answer as a client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatEvent<'a> {
    /// Thinking, and lines about searches.
    Reasoning(&'a str),
    /// The visible answer in Markdown.
    Text(&'a str),
}

/// How an upstream stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The answer is whole.
    Complete,
    /// The stream ended in the middle of the answer.
    Truncated,
    /// The upstream finished without text, image or error, or ended before it began to answer.
    Empty,
    /// The upstream reported a failure.
    Failed(Failure),
}

/// What the upstream calls this turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerIds {
    /// The conversation; told for new ones only.
    pub conversation_id: Option<String>,
    /// The stored user message.
    pub user_message_id: Option<String>,
    /// The answer: the last assistant id seen.
    pub response_id: Option<String>,
    /// The conversation's title.
    pub title: Option<String>,
}

/// Turns the events of one answer into what a client sees.
#[derive(Debug)]
pub struct Translator {
    options: RenderOptions,
    scanner: MarkupScanner,
    page: Page,
    reasoning: Reasoning,
    /// The visible channel as it came, markup included: the stored message is compared with it.
    raw: String,
    /// Where the pieces of `raw` meet.
    seam: Seam,
    /// The last stored message that says something, unless it equals `raw`.
    stored: Option<String>,
    is_stored: bool,
    is_soft_stopped: bool,
    failure: Option<Failure>,
    warning: Option<Failure>,
    ids: AnswerIds,
    sources: Vec<Source>,
    unknown: BTreeMap<String, u64>,
    /// A picture of the first thing of each unknown kind.
    samples: BTreeMap<String, String>,
    /// Cards had places without tags, so `raw` is not the text that the upstream stores.
    has_places: bool,
}

impl Translator {
    /// A translator for a new stream.
    pub fn new(options: RenderOptions) -> Self {
        Self {
            scanner: MarkupScanner::new(),
            page: Page::new(&options),
            reasoning: Reasoning::new(&options),
            options,
            raw: String::new(),
            seam: Seam::default(),
            stored: None,
            is_stored: false,
            is_soft_stopped: false,
            failure: None,
            warning: None,
            ids: AnswerIds::default(),
            sources: Vec::new(),
            unknown: BTreeMap::new(),
            samples: BTreeMap::new(),
            has_places: false,
        }
    }

    /// A translator for a stream that replays the answer from its beginning (UPSTREAM.md 13): what `previous` already emitted is
    /// skipped.
    pub fn resume(previous: Translator) -> Self {
        let mut resumed = Self::new(previous.options);
        resumed.page.skip_shown(previous.page);
        resumed.reasoning.skip_shown(&previous.reasoning);
        resumed.ids = previous.ids;
        resumed.sources = previous.sources;
        resumed.unknown = previous.unknown;
        resumed.samples = previous.samples;
        resumed
    }

    /// Reads the next event.
    pub fn event(&mut self, event: GrokEvent<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        match event {
            GrokEvent::Text { channel: Channel::Final, text, halves, .. } => {
                let text = self.seam.join(&text, halves);
                self.visible_text(&text, out);
            }
            GrokEvent::Text { channel, text, step, rollout, halves } => {
                if self.page.takes_reasoning() {
                    let place = (rollout.as_deref().unwrap_or_default(), step);
                    self.reasoning.text(channel, (&text, halves), place, out);
                }
            }
            GrokEvent::Answer { id } => set(&mut self.ids.response_id, &id),
            GrokEvent::Conversation { id } => set(&mut self.ids.conversation_id, &id),
            GrokEvent::UserMessage { id } => set(&mut self.ids.user_message_id, &id),
            GrokEvent::Title(title) => set(&mut self.ids.title, &title),
            GrokEvent::ToolCall(call) => {
                if self.page.takes_reasoning() {
                    self.reasoning.tool_call(&call, out);
                }
            }
            GrokEvent::ToolResult(result) => {
                if self.page.takes_reasoning() {
                    self.reasoning.tool_result(&result, out);
                }
                self.add_sources(result.sources);
            }
            GrokEvent::Card(card) => self.card(card, out),
            GrokEvent::CardPlace { id } => self.card_place(&id, out),
            GrokEvent::CardsComeLate => self.page.wait_for_cards(),
            GrokEvent::Image(image) => self.image(&image, out),
            GrokEvent::SoftStop => self.is_soft_stopped = true,
            GrokEvent::Stored(stored) => self.stored_answer(*stored, out),
            GrokEvent::Failed(failure) => self.failed(Severity::Fatal, failure),
            GrokEvent::Warned(failure) => self.failed(Severity::Normal, failure),
            GrokEvent::Unknown { kind, specimen } => self.count_unknown(&kind, specimen),
            GrokEvent::Layout { .. } | GrokEvent::ModelHash(_) | GrokEvent::Heartbeat => {}
        }
    }

    /// End of the upstream's stream: emits what the stored message has beyond the stream, releases held text, and decides the
    /// ending. To be called once.
    pub fn finish(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) -> Ending {
        if self.page.is_blank() {
            self.reasoning.close(out);
        }
        self.page.stop_waiting(out);
        self.add_missing_text(out);
        // Where the stored message goes on, it has the whole character.
        if let Some(half) = self.seam.end() {
            self.visible_text(half, out);
        }
        let page = &mut self.page;
        self.scanner.finish(|event| page.markup(event, out));
        self.page.show_stored_images(out);
        if let Some(failure) = &self.failure {
            return Ending::Failed(failure.clone());
        }
        let is_done = self.has_ended();
        if !self.page.has_content()
            && let Some(warning) = &self.warning
        {
            return Ending::Failed(warning.clone());
        }
        if is_done {
            self.page.show_image_trouble(out);
        }
        if !self.page.has_content() {
            let never_began = self.ids.response_id.is_none();
            return if is_done || never_began { Ending::Empty } else { Ending::Truncated };
        }
        if is_done && !self.page.has_diverged() { Ending::Complete } else { Ending::Truncated }
    }

    /// The upstream's ids seen so far.
    pub fn ids(&self) -> &AnswerIds {
        &self.ids
    }

    /// All visible text emitted so far.
    pub fn text(&self) -> &str {
        self.page.text()
    }

    /// Whether the answer shows images that [`Self::take_made_images`] has not given away.
    pub fn has_made_images(&self) -> bool {
        self.page.has_made_images()
    }

    /// The generated images that the answer shows, each once, but for those of a replay, which are told again.
    pub fn take_made_images(&mut self) -> Vec<MadeImage> {
        self.page.take_made_images()
    }

    /// How much reasoning there was, shown or not.
    pub fn reasoning_bytes(&self) -> usize {
        self.reasoning.bytes()
    }

    /// Whether the upstream has said that the answer is whole; an end without it is a cut.
    pub fn has_ended(&self) -> bool {
        self.is_soft_stopped || self.is_stored || self.page.has_stored_images()
    }

    /// Whether the client has seen anything.
    pub fn started(&self) -> bool {
        !self.page.is_blank() || self.reasoning.is_shown()
    }

    /// The failure reported by the upstream inside the stream, if there was one.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Kinds that are not known, and how often they came.
    pub fn unknown(&self) -> &BTreeMap<String, u64> {
        &self.unknown
    }

    /// What the unknown kinds looked like, without anything that may be somebody's (see [`crate::drift`]).
    pub fn samples(&self) -> &BTreeMap<String, String> {
        &self.samples
    }

    /// Pages and posts that the searches found, each once.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    fn visible_text(&mut self, text: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        if self.page.takes_reasoning() {
            // Thinking that comes after this is late and dropped, so nothing may be held back any longer.
            self.reasoning.close(out);
        }
        steps::add(text.len());
        self.raw.push_str(text);
        let page = &mut self.page;
        self.scanner.push(text, |event| page.markup(event, out));
    }

    fn card(&mut self, card: Card, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let CardKind::GeneratedImage(image) = &card.kind {
            match image {
                Some(image) => self.image(image, out),
                None => {
                    self.page.announce_image();
                    if self.page.takes_reasoning() {
                        self.reasoning.image_begun(out);
                    }
                }
            }
        }
        self.page.add_card(card, out);
    }

    fn card_place(&mut self, id: &str, out: &mut impl FnMut(ChatEvent<'_>)) {
        self.has_places = true;
        if self.page.takes_reasoning() {
            self.reasoning.close(out);
        }
        let page = &mut self.page;
        self.scanner.interrupt(|event| page.markup(event, out));
        page.place(id, out);
    }

    fn image(&mut self, image: &ImageProgress, out: &mut impl FnMut(ChatEvent<'_>)) {
        if self.page.takes_reasoning() {
            if image.is_last() {
                self.reasoning.close(out);
            } else {
                self.reasoning.image_progress(image.progress, out);
            }
        }
        self.page.image(image, out);
    }

    fn stored_answer(&mut self, stored: StoredAnswer<'_>, out: &mut impl FnMut(ChatEvent<'_>)) {
        if let Some(id) = &stored.response_id {
            set(&mut self.ids.response_id, id);
        }
        if let Some(id) = &stored.parent_response_id
            && self.ids.user_message_id.is_none()
        {
            set(&mut self.ids.user_message_id, id);
        }
        for error in stored.errors {
            self.failed(error.severity, error.failure);
        }
        self.page.add_stored_images(stored.cards, &stored.generated_image_urls, out);
        self.add_sources(stored.sources);
        // A placeholder at the start has no message and ends nothing (UPSTREAM.md 5.9).
        if !stored.message.is_empty() {
            self.is_stored = true;
            self.stored = (stored.message != self.raw).then(|| stored.message.into_owned());
        }
    }

    /// Emits what the stored message has and the stream had not. The texts are compared as they came, markup included, because
    /// then a tag that was cut in the stream simply goes on. Where they differ only in markup, the rendered texts are compared.
    fn add_missing_text(&mut self, out: &mut impl FnMut(ChatEvent<'_>)) {
        let Some(stored) = self.stored.take() else { return };
        if !self.has_places
            && let Some(suffix) = stored.strip_prefix(self.raw.as_str())
        {
            self.seam.end();
            return self.visible_text(suffix, out);
        }
        let rendered = self.page.render_whole(&stored);
        if self.page.complete_with(&rendered, out) {
            // What was held back is part of the rendered text.
            self.seam.end();
            self.scanner = MarkupScanner::new();
        }
    }

    fn failed(&mut self, severity: Severity, failure: Failure) {
        match severity {
            Severity::Fatal => self.failure.get_or_insert(failure),
            Severity::Normal => self.warning.get_or_insert(failure),
        };
    }

    fn add_sources(&mut self, sources: Vec<Source>) {
        for source in sources {
            steps::add(self.sources.len() + 1);
            if self.sources.len() < SOURCES_LIMIT && !self.sources.iter().any(|known| known.url == source.url) {
                self.sources.push(source);
            }
        }
    }

    fn count_unknown(&mut self, kind: &str, specimen: Specimen<'_>) {
        if let Some(count) = self.unknown.get_mut(kind) {
            *count += 1;
        } else if self.unknown.len() < UNKNOWN_KINDS_LIMIT {
            self.unknown.insert(kind.to_owned(), 1);
            self.samples.insert(kind.to_owned(), specimen.sample());
        }
    }
}

/// Keeps the last value without allocating when it repeats, as ids do with every token.
fn set(slot: &mut Option<String>, value: &str) {
    if slot.as_deref() != Some(value) {
        *slot = Some(value.to_owned());
    }
}

#[cfg(test)]
mod tests;
