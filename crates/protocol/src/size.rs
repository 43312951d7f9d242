//! How large an answer is to whoever keeps it.

use crate::event::{Card, CardKind, Channel, GrokEvent, ImageProgress, Source, StoredAnswer};

/// What keeping one more thing costs besides its bytes. An upstream that sends millions of empty things must not be free.
const OVERHEAD: usize = 64;

/// Names and ids up to this cost nothing: of most only the last is kept, and dialects tell some of them with every token.
const FREE_NAME: usize = 256;

/// Adds up what the events of one answer leave behind: text and reasoning, and what belongs to them (cards, sources, images, names).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerSize {
    /// The visible text as it was streamed.
    streamed: usize,
    /// The longest visible text that was told as stored. It repeats what was streamed, so the longer of the two counts.
    stored: usize,
    /// Everything else.
    other: usize,
}

impl AnswerSize {
    /// Adds an event that is about to be kept.
    pub fn add(&mut self, event: &GrokEvent<'_>) {
        match event {
            GrokEvent::Text { channel, text, rollout, .. } => {
                if let Some(rollout) = rollout {
                    self.add_name(rollout);
                }
                match channel {
                    Channel::Final => self.streamed = self.streamed.saturating_add(text.len()),
                    Channel::Thinking | Channel::ThinkingHeader | Channel::ThinkingSummary => {
                        self.add_bytes(text.len())
                    }
                }
            }
            GrokEvent::Stored(stored) => self.add_stored(stored),
            GrokEvent::Card(card) => self.add_card(card),
            GrokEvent::CardPlace { id } => self.add_bytes(OVERHEAD + id.len()),
            GrokEvent::Image(image) => self.add_image(image),
            GrokEvent::ToolCall(call) => {
                let texts = [&call.id, &call.argument, &call.rollout].into_iter().flatten().map(String::len);
                self.add_bytes(OVERHEAD + call.name.len() + texts.sum::<usize>());
            }
            GrokEvent::ToolResult(result) => {
                self.add_bytes(result.id.as_ref().map_or(0, String::len));
                self.add_sources(&result.sources);
            }
            GrokEvent::Conversation { id } | GrokEvent::UserMessage { id } | GrokEvent::Answer { id } => {
                self.add_name(id)
            }
            GrokEvent::Title(name) | GrokEvent::Unknown { kind: name, .. } => self.add_name(name),
            GrokEvent::Failed(failure) | GrokEvent::Warned(failure) => self.add_name(&failure.message),
            GrokEvent::Layout { .. }
            | GrokEvent::ModelHash(_)
            | GrokEvent::CardsComeLate
            | GrokEvent::SoftStop
            | GrokEvent::Heartbeat => {}
        }
    }

    /// What has been added up, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.streamed.max(self.stored).saturating_add(self.other)
    }

    fn add_stored(&mut self, stored: &StoredAnswer<'_>) {
        self.stored = self.stored.max(stored.message.len());
        stored.cards.iter().for_each(|card| self.add_card(card));
        self.add_sources(&stored.sources);
        self.add_bytes(stored.generated_image_urls.iter().map(|url| OVERHEAD + url.len()).sum());
        self.add_bytes(stored.errors.iter().map(|error| error.failure.message.len()).sum());
        for id in [&stored.response_id, &stored.parent_response_id, &stored.model].into_iter().flatten() {
            self.add_name(id);
        }
    }

    fn add_card(&mut self, card: &Card) {
        self.add_bytes(OVERHEAD + card.id.len());
        match &card.kind {
            CardKind::Citation { url } => self.add_bytes(url.len()),
            CardKind::SearchedImage { url, title } => self.add_bytes(url.len() + title.len()),
            CardKind::GeneratedImage(Some(image)) => self.add_image(image),
            CardKind::GeneratedImage(None) | CardKind::Other => {}
        }
    }

    fn add_image(&mut self, image: &ImageProgress) {
        self.add_bytes(image.url.len() + image.title.len() + image.error.as_ref().map_or(0, String::len));
    }

    fn add_sources(&mut self, sources: &[Source]) {
        self.add_bytes(sources.iter().map(|source| OVERHEAD + source.url.len() + source.title.len()).sum());
    }

    fn add_name(&mut self, name: &str) {
        self.add_bytes(name.len().saturating_sub(FREE_NAME));
    }

    fn add_bytes(&mut self, bytes: usize) {
        self.other = self.other.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::event::{ToolCall, ToolResult};

    fn text(channel: Channel, bytes: usize) -> GrokEvent<'static> {
        GrokEvent::Text {
            channel,
            text: "x".repeat(bytes).into(),
            step: None,
            rollout: None,
            halves: crate::halves::Halves::default(),
        }
    }

    fn stored(bytes: usize) -> GrokEvent<'static> {
        GrokEvent::Stored(Box::new(StoredAnswer { message: "x".repeat(bytes).into(), ..StoredAnswer::default() }))
    }

    fn size(events: &[GrokEvent<'_>]) -> usize {
        let mut size = AnswerSize::default();
        events.iter().for_each(|event| size.add(event));
        size.bytes()
    }

    #[test]
    fn text_and_reasoning_count_together_and_what_is_repeated_counts_once() {
        assert_eq!(
            size(&[text(Channel::Final, 10), text(Channel::Thinking, 5), text(Channel::ThinkingSummary, 1)]),
            16
        );
        assert_eq!(size(&[text(Channel::Final, 10), stored(10)]), 10);
        assert_eq!(size(&[stored(7), text(Channel::Final, 10), stored(25), stored(3)]), 25);
    }

    #[test]
    fn whatever_is_kept_counts_and_signs_of_life_do_not() {
        let long = "x".repeat(1_000);
        let name = || Cow::Owned(long.clone());
        let source = Source { url: long.clone(), title: String::new() };
        for kept in [
            GrokEvent::Card(Card { id: "1".to_owned(), kind: CardKind::Citation { url: long.clone() } }),
            GrokEvent::CardPlace { id: name() },
            GrokEvent::Image(ImageProgress { title: long.clone(), ..ImageProgress::default() }),
            GrokEvent::ToolCall(ToolCall { argument: Some(long.clone()), ..ToolCall::default() }),
            GrokEvent::ToolResult(ToolResult { sources: vec![source], ..ToolResult::default() }),
            GrokEvent::Answer { id: name() },
            GrokEvent::Title(name()),
        ] {
            assert!(size(std::slice::from_ref(&kept)) > 700, "{kept:?}");
        }
        let id = || Cow::Borrowed("an ordinary id");
        assert_eq!(size(&[GrokEvent::Heartbeat, GrokEvent::SoftStop, GrokEvent::Answer { id: id() }]), 0);
        // Nothing that is kept is free.
        assert!(size(&vec![GrokEvent::CardPlace { id: "".into() }; 1_000]) >= 64_000);
    }
}
