//! Steps in the form of Realtime events (UPSTREAM.md 16.7): text with its markup, cards as objects.

use serde_json::{Value, json};

use super::{
    chunks::{image_chunk, result_of, tool_result},
    client_event::snake_case_members,
};
use crate::{
    script::{Chunk, ImageForm, ImageStage, ImageStep, Step, ToolCall, ToolResult},
    turn::cards,
};

/// Name and members of an event.
pub(super) type Event = (&'static str, Value);

/// The events of one step, without the ids that all of an answer have.
pub(super) fn render(step: &Step, user_id: &str) -> Vec<Event> {
    match step {
        Step::Text(text) | Step::UntaggedText(text) => vec![delta(text)],
        Step::Thinking(thinking) => vec![thought(&thinking.text)],
        Step::ToolCall(call) => vec![output("tool_usage_card", tool_usage_card(call))],
        Step::ToolResult(result) => tool_results(result),
        Step::Citation(citation) => {
            let mut card = cards::citation_card(citation);
            if citation.url.is_empty() {
                card["url"].take();
            }
            vec![delta(&cards::citation_tag(citation)), output("card_attachment", card)]
        }
        Step::Card(card) => vec![output("card_attachment", card.clone())],
        Step::Image(image) => vec![image_event(image, user_id)],
        Step::Chunk(chunk) => {
            let mut events = vec![any_chunk(chunk)];
            if let (Some(result), true) = (result_of(chunk), chunk.members["token"].is_string()) {
                events.extend(tool_results(&result));
            }
            events
        }
        _ => Vec::new(),
    }
}

fn delta(text: &str) -> Event {
    ("response.output_text.delta", json!({"delta": text}))
}

fn thought(text: &str) -> Event {
    ("response.output_text.delta", json!({"delta": text, "x_grok": {"is_thinking": true}}))
}

fn output(name: &str, value: Value) -> Event {
    let mut output = json!({});
    output[name] = value;
    ("response.grok.output", json!({"output": output}))
}

/// The arguments stand directly under the tool here.
fn tool_usage_card(call: &ToolCall) -> Value {
    let mut card = json!({"tool_usage_card_id": call.id});
    card[call.name.as_str()] = call.arguments.clone();
    card
}

/// Pages are told twice: as the call's result and as something found.
fn tool_results(result: &ToolResult) -> Vec<Event> {
    let Some(found) = result.members["webSearchResults"]["results"].as_array() else {
        return vec![output("tool_result", tool_result(result))];
    };
    let page = |found: &Value| json!({"url": found["url"], "title": found["title"]});
    let pages: Vec<Value> = found.iter().map(page).collect();
    let mut told = json!({"web_search_results": pages});
    if !result.id.is_empty() {
        told["tool_call_id"] = result.id.as_str().into();
    }
    let search = json!({"result": {"search_type": "web", "web_results": pages}});
    vec![output("tool_result", told), ("response.search.result", search)]
}

fn image_event(image: &ImageStep, user_id: &str) -> Event {
    if image.stage == ImageStage::Tag {
        return delta(&cards::image_tag(image));
    }
    let image = ImageStep { form: ImageForm::Card, ..image.clone() };
    let mut card = cards::image_payload(&image, user_id);
    if image.stage != ImageStage::Placeholder {
        card["image_chunk"] = image_chunk(&image, user_id);
    }
    output("card_attachment", card)
}

fn any_chunk(chunk: &Chunk) -> Event {
    match chunk.members["token"].as_str() {
        Some(token) if chunk.thinking => thought(token),
        Some(token) => delta(token),
        None => ("response.grok.output", json!({"output": snake_case_members(chunk.members.clone())})),
    }
}
