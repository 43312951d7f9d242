//! The events of one answer, in the chunk form and in the delta form (UPSTREAM.md 16.5 to 16.7).

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::frame::Frame;
use super::name::{Kind, Payload, TextChannel};
use super::payload::{self, Identified, Outcome};
use crate::drift::unknown;
use crate::event::{Card, Channel, GrokEvent, Severity, ToolCall};
use crate::failure::{Failure, is_known_name};
use crate::halves::Halves;
use crate::payload::{cards, error_name, layout, read, stream_error_value, tool_usage_card};

/// The agent that speaks for all, as it has always been called.
const LEADER: &str = "Grok";

/// What is remembered of an answer while it comes.
#[derive(Debug, Default)]
pub(super) struct Answer {
    id: Option<Box<str>>,
    /// Whose answer counts, if there are several agents.
    agents: Agents,
    /// Something of the visible answer has come, so closing events repeat it.
    has_text: bool,
    is_delta_form: bool,
    /// A trouble that becomes the failure if the answer ends badly.
    trouble: Option<Box<Failure>>,
}

/// Whose answer counts.
#[derive(Debug, Default)]
enum Agents {
    /// No agent was named yet.
    #[default]
    One,
    /// The first that answered.
    Leader(Box<str>),
    /// The listed ones without their leader.
    Helpers(BTreeSet<Box<str>>),
}

/// Whether the answer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    No,
    Yes,
}

impl Answer {
    /// The upstream began to answer.
    pub(super) fn begin(&mut self, id: Option<Cow<'_, str>>, event: &mut impl FnMut(GrokEvent<'_>)) {
        if let Some(id) = id {
            self.id = Some(id.as_ref().into());
            event(GrokEvent::Answer { id });
        }
    }

    /// Reads an event of the answer. Before it has begun, only a failure is ours: everything else is history.
    pub(super) fn frame(
        &mut self,
        frame: Frame<'_>,
        object: &str,
        is_begun: bool,
        event: &mut impl FnMut(GrokEvent<'_>),
    ) -> Ended {
        if self.is_other_answer(&frame) {
            return Ended::No;
        }
        match frame.kind {
            Kind::ResponseDone => return self.done(&frame, event),
            Kind::Output if !is_begun => return self.failures(&frame, event),
            _ if !is_begun => return Ended::No,
            _ => {}
        }
        if self.id.is_none() {
            self.begin(frame.response_id.clone(), event);
        }
        match frame.kind {
            Kind::Chunk | Kind::Output => return self.chunk(frame, object, event),
            Kind::TextDelta | Kind::ReasoningDelta => self.delta(frame, event),
            Kind::TextDone if !frame.is_thinking => self.whole_text(frame.whole_text, event),
            Kind::ResponseCompleted => self.completed(&frame, event),
            Kind::SearchResult => {
                if let Some(value) = frame.payload(Payload::SearchResult) {
                    match payload::search_result(value) {
                        Some(result) => event(GrokEvent::ToolResult(result)),
                        None => event(unknown("event.", Cow::Borrowed("result"), value.get())),
                    }
                }
            }
            _ => {}
        }
        Ended::No
    }

    /// Headings that come late name no answer at all.
    fn is_other_answer(&self, frame: &Frame<'_>) -> bool {
        matches!((&self.id, &frame.response_id), (Some(ours), Some(theirs)) if **ours != **theirs)
    }

    fn chunk(&mut self, mut frame: Frame<'_>, object: &str, event: &mut impl FnMut(GrokEvent<'_>)) -> Ended {
        let payloads = std::mem::take(&mut frame.payloads);
        let text = frame.text.take();
        let before = text.as_ref().map_or(0, |(_, before)| *before).min(payloads.len());
        let (before, behind) = payloads.split_at(before);
        for (payload, value) in before {
            self.payload(*payload, value, &frame, event);
        }
        if let Some((text, _)) = text {
            self.text(text, &mut frame, object, event);
        }
        for (payload, value) in behind {
            self.payload(*payload, value, &frame, event);
        }
        if payloads.is_empty() {
            return Ended::No;
        }
        frame.payloads = payloads;
        self.failures(&frame, event)
    }

    fn text(&mut self, text: Cow<'_, str>, frame: &mut Frame<'_>, object: &str, event: &mut impl FnMut(GrokEvent<'_>)) {
        let channel = match &frame.channel {
            TextChannel::Response if self.is_leader(frame.rollout.as_deref()) => {
                self.has_text = true;
                Channel::Final
            }
            // What another agent answers is a draft, and drafts are not shown.
            TextChannel::Response => return,
            TextChannel::Header => Channel::ThinkingHeader,
            TextChannel::Summary => Channel::ThinkingSummary,
            TextChannel::Thinking => Channel::Thinking,
            TextChannel::Unknown(name) => {
                event(unknown("channel:", Cow::Borrowed(name), object));
                Channel::Thinking
            }
        };
        event(GrokEvent::Text { channel, text, step: frame.step, rollout: frame.rollout.take(), halves: frame.halves });
    }

    /// Whether this agent's answer is the answer: the first one's that is not known to be a helper.
    fn is_leader(&mut self, rollout: Option<&str>) -> bool {
        let Some(rollout) = rollout else { return true };
        let counts = match &self.agents {
            Agents::One => true,
            Agents::Leader(leader) => return **leader == *rollout,
            Agents::Helpers(helpers) => !helpers.contains(rollout),
        };
        if counts {
            self.agents = Agents::Leader(rollout.into());
        }
        counts
    }

    fn payload(
        &mut self,
        payload: Payload,
        value: &RawValue,
        frame: &Frame<'_>,
        event: &mut impl FnMut(GrokEvent<'_>),
    ) {
        let rollout = frame.rollout.as_deref();
        let read = match payload {
            Payload::RenderCitation => payload::citation(value).map(|(card, kind)| {
                if !payload::is_known_citation(&kind) {
                    event(unknown("citation:", Cow::Owned(kind), value.get()));
                }
                self.place(card, rollout, event);
            }),
            Payload::RenderSearchedImage => payload::searched_image(value).map(|card| self.place(card, rollout, event)),
            Payload::RenderStart => payload::announcement(value).map(|card| self.place(card, rollout, event)),
            Payload::RenderGeneratedImage => payload::generated_image(value).map(|card| event(GrokEvent::Card(card))),
            Payload::CardAttachment => cards(value).map(|cards| {
                for card in cards {
                    event(GrokEvent::Card(card));
                }
            }),
            Payload::ToolUsageCard => tool_usage_card(value).map(|call| {
                event(GrokEvent::ToolCall(ToolCall { rollout: rollout.map(str::to_owned), ..call }));
            }),
            Payload::ToolResult => payload::tool_result(value).map(|result| event(GrokEvent::ToolResult(result))),
            Payload::UiLayout => layout(value).map(|(name, rollouts)| {
                if rollouts.len() > 1 {
                    let leader = rollouts.iter().position(|name| name == LEADER).unwrap_or_default();
                    let helpers = rollouts.iter().enumerate().filter(|(index, _)| *index != leader);
                    self.agents = Agents::Helpers(helpers.map(|(_, name)| name.as_str().into()).collect());
                }
                event(GrokEvent::Layout { name, rollouts });
            }),
            Payload::ClientRequest(_) => None,
            // Failures are told last. The others show nothing, or belong to other events.
            Payload::StreamError
            | Payload::RenderOther
            | Payload::Conversation
            | Payload::Item
            | Payload::Response
            | Payload::Error
            | Payload::SearchResult => Some(()),
        };
        if read.is_none() {
            event(unknown("chunk.", Cow::Borrowed(payload.name()), value.get()));
        }
    }

    /// A card, and its place in the answer.
    fn place(&mut self, card: Card, rollout: Option<&str>, event: &mut impl FnMut(GrokEvent<'_>)) {
        let id = card.id.clone();
        event(GrokEvent::Card(card));
        if self.is_leader(rollout) {
            event(GrokEvent::CardPlace { id: Cow::Owned(id) });
        }
    }

    fn failures(&mut self, frame: &Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) -> Ended {
        let mut ended = Ended::No;
        for (_, value) in frame.payloads.iter().filter(|(payload, _)| *payload == Payload::StreamError) {
            let error = read::<Value>(value).unwrap_or_default();
            if let Some(name) = error_name(&error).filter(|name| !is_known_name(name)) {
                event(unknown("error:", Cow::Owned(name), value.get()));
            }
            let error = stream_error_value(&error, Severity::Fatal);
            match error.severity {
                Severity::Normal => {
                    self.trouble = Some(Box::new(error.failure.clone()));
                    event(GrokEvent::Warned(error.failure));
                }
                Severity::Fatal => {
                    ended = Ended::Yes;
                    event(GrokEvent::Failed(error.failure));
                }
            }
        }
        ended
    }

    /// A piece of text of the delta form, with markup.
    fn delta(&mut self, frame: Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) {
        let Some(text) = frame.delta else { return };
        let channel = if frame.is_thinking || frame.kind == Kind::ReasoningDelta {
            Channel::Thinking
        } else if self.is_leader(frame.rollout.as_deref()) {
            self.has_text = true;
            self.be_delta_form(event);
            Channel::Final
        } else {
            return;
        };
        event(GrokEvent::Text { channel, text, step: frame.step, rollout: frame.rollout, halves: frame.halves });
    }

    /// In this form a card comes after the tag that names it, as a rule.
    fn be_delta_form(&mut self, event: &mut impl FnMut(GrokEvent<'_>)) {
        if !std::mem::replace(&mut self.is_delta_form, true) {
            event(GrokEvent::CardsComeLate);
        }
    }

    /// The whole text, which counts only if none of it has come.
    fn whole_text(&mut self, text: Option<Cow<'_, str>>, event: &mut impl FnMut(GrokEvent<'_>)) {
        if self.has_text {
            return;
        }
        let Some(text) = text else { return };
        self.has_text = true;
        self.be_delta_form(event);
        event(GrokEvent::Text { channel: Channel::Final, text, step: None, rollout: None, halves: Halves::default() });
    }

    fn completed(&mut self, frame: &Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) {
        let response = frame.payload(Payload::Response);
        let text = frame.whole_text.as_deref().map(str::to_owned).or_else(|| payload::whole_text(response));
        self.whole_text(text.map(Cow::Owned), event);
        if Outcome::read(response).is_complete() {
            event(GrokEvent::SoftStop);
        }
    }

    fn done(&mut self, frame: &Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) -> Ended {
        let response = frame.payload(Payload::Response);
        let is_ours = match (&self.id, Identified::read(response).id()) {
            (Some(ours), Some(theirs)) => **ours == *theirs,
            _ => true,
        };
        if !is_ours {
            return Ended::No;
        }
        let outcome = Outcome::read(response);
        if outcome.is_complete() {
            event(GrokEvent::SoftStop);
            return Ended::Yes;
        }
        if !outcome.is_known() {
            let name = Cow::Owned(outcome.status.clone());
            event(unknown("status:", name, response.map_or("", |response| response.get())));
        }
        let failure = match self.trouble.take() {
            Some(trouble) => *trouble,
            None => outcome.failure(),
        };
        event(GrokEvent::Failed(failure));
        Ended::Yes
    }
}
