//! One REST frame to events (UPSTREAM.md 5).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::chunk::{Frame, Payload, Tag};
use super::payload;
use crate::drift::unknown;
use crate::event::{Channel, GrokEvent, Severity, ToolCall};
use crate::failure::is_known_name;
use crate::halves::{Mending, mended};
use crate::payload::{cards, layout, tool_usage_card};

/// Decodes one REST frame, whichever envelope it came in; every member of a chunk is reported. Never fails: what is not known is
/// [`GrokEvent::Unknown`] with its name.
///
/// Ids come first and failures last, so that whoever reads in order knows what a text belongs to and has it before the end.
pub fn decode(frame: &str, mut event: impl FnMut(GrokEvent<'_>)) {
    match serde_json::from_str::<Frame<'_>>(frame) {
        Ok(read) if read.payloads.is_empty() => report(read, frame, &mut event),
        read => decode_mended(read.ok(), frame, &mut event),
    }
}

/// A frame that cannot be read as it is, or holds what may be unreadable: payloads have not been looked into.
fn decode_mended(read: Option<Frame<'_>>, frame: &str, event: &mut impl FnMut(GrokEvent<'_>)) {
    if let Some(mended) = mended(frame)
        && let Ok(read) = Frame::of_mended(Mending { original: frame, mended: &mended })
    {
        return report(read, &mended, event);
    }
    match read {
        Some(read) => report(read, frame, event),
        None => event(unknown("", Cow::Borrowed("malformed"), frame)),
    }
}

fn report(mut frame: Frame<'_>, whole: &str, event: &mut impl FnMut(GrokEvent<'_>)) {
    for (name, value) in frame.unknown.drain(..) {
        event(unknown("", name, value.map_or(whole, RawValue::get)));
    }
    if let Tag::Unknown(tag) = &frame.tag {
        event(unknown("tag:", Cow::Borrowed(tag), whole));
    }
    // The second of two alternatives: the first one alone is the answer.
    if frame.side_by_side_index.is_some_and(|index| index > 0) {
        return;
    }
    let of_user = frame.payloads.iter().any(|(payload, _)| *payload == Payload::UserResponse);
    if !of_user && let Some(id) = frame.response_id.take() {
        event(GrokEvent::Answer { id });
    }
    report_tool_call(&mut frame, event);
    let mut failures = Vec::new();
    for (payload, value) in std::mem::take(&mut frame.payloads) {
        match payload {
            Payload::TopLevelError | Payload::StreamError => failures.push((payload, value)),
            _ => report_payload(&mut frame, payload, value, event),
        }
    }
    report_text(&mut frame, event);
    if frame.is_soft_stop {
        event(GrokEvent::SoftStop);
    }
    for (payload, value) in failures {
        if let Some(name) = payload::error_name(value).filter(|name| !is_known_name(name)) {
            event(unknown("error:", Cow::Owned(name), value.get()));
        }
        event(failure_event(payload, value));
    }
}

fn report_payload(frame: &mut Frame<'_>, payload: Payload, value: &RawValue, event: &mut impl FnMut(GrokEvent<'_>)) {
    let read = match payload {
        Payload::Conversation => payload::conversation_id(value).map(|id| event(GrokEvent::Conversation { id })),
        Payload::Title => payload::title(value).map(|title| event(GrokEvent::Title(title))),
        Payload::UserResponse => payload::response_id(value)
            .or_else(|| frame.response_id.take())
            .map(|id| event(GrokEvent::UserMessage { id })),
        Payload::ModelResponse => payload::stored_answer(value).map(|mut stored| {
            if frame.tag.is_tool() {
                stored.message = Cow::Borrowed("");
            }
            for name in stored.errors.iter().filter_map(|error| error.failure.code.as_deref()) {
                if !is_known_name(name) {
                    event(unknown("error:", Cow::Borrowed(name), value.get()));
                }
            }
            event(GrokEvent::Stored(Box::new(stored)));
        }),
        Payload::QueryAction => payload::query_action(value).map(|call| event(GrokEvent::ToolCall(call))),
        Payload::Results | Payload::CodeExecutionResult => payload::tool_result(value).map(|mut result| {
            result.id = frame.tool_card_id.as_deref().map(str::to_owned);
            event(GrokEvent::ToolResult(result));
        }),
        Payload::CardAttachment | Payload::CardAttachments => cards(value).map(|cards| {
            for card in cards {
                event(GrokEvent::Card(card));
            }
        }),
        Payload::StreamingImage => payload::streaming_image(value).map(|image| event(GrokEvent::Image(image))),
        Payload::UiLayout => layout(value).map(|(name, rollouts)| event(GrokEvent::Layout { name, rollouts })),
        Payload::LlmInfo => payload::model_hash(value).map(|hash| event(GrokEvent::ModelHash(hash))),
        Payload::KeepAlive => {
            event(GrokEvent::Heartbeat);
            Some(())
        }
        // Told elsewhere: the call together with its XML form, errors at the end of the frame.
        Payload::ToolUsageCard | Payload::TopLevelError | Payload::StreamError => Some(()),
    };
    if read.is_none() {
        event(unknown("", Cow::Borrowed(payload::name(payload)), value.get()));
    }
}

/// A call comes as XML in the token, as an object, or as both; the object knows less, the XML may be cut (UPSTREAM.md 5.6).
fn report_tool_call(frame: &mut Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) {
    let card = frame.payloads.iter().find(|(payload, _)| *payload == Payload::ToolUsageCard);
    let structured = card.and_then(|(_, value)| tool_usage_card(value));
    if card.is_none() && !frame.tag.is_tool_call() {
        return;
    }
    let written = match (&frame.tag, &frame.token) {
        (Tag::ToolCall, Some(token)) => payload::tool_usage_xml(token),
        _ => None,
    };
    let call = match (structured, written) {
        (Some(card), Some(xml)) => ToolCall {
            id: card.id.or(xml.id),
            name: card.name,
            argument: card.argument.or(xml.argument),
            rollout: None,
        },
        (Some(call), None) | (None, Some(call)) => call,
        (None, None) => return,
    };
    let id = call.id.or_else(|| frame.tool_card_id.as_deref().map(str::to_owned));
    let rollout = frame.rollout.as_deref().map(str::to_owned);
    event(GrokEvent::ToolCall(ToolCall { id, rollout, ..call }));
}

fn report_text(frame: &mut Frame<'_>, event: &mut impl FnMut(GrokEvent<'_>)) {
    let Some(text) = frame.token.take() else { return };
    if frame.tag.is_tool() {
        return;
    }
    if text.is_empty() {
        if !frame.is_soft_stop {
            event(GrokEvent::Heartbeat);
        }
        return;
    }
    let channel = match frame.tag {
        Tag::Header => Channel::ThinkingHeader,
        Tag::Summary => Channel::ThinkingSummary,
        _ if frame.is_thinking => Channel::Thinking,
        _ => Channel::Final,
    };
    event(GrokEvent::Text { channel, text, step: frame.step, rollout: frame.rollout.take(), halves: frame.halves });
}

fn failure_event<'a>(payload: Payload, value: &RawValue) -> GrokEvent<'a> {
    if payload == Payload::TopLevelError {
        return GrokEvent::Failed(payload::status(value));
    }
    let error = payload::stream_error(value, Severity::Fatal);
    match error.severity {
        Severity::Fatal => GrokEvent::Failed(error.failure),
        Severity::Normal => GrokEvent::Warned(error.failure),
    }
}

#[cfg(test)]
mod tests;
