//! The payloads of server events, each read on its own (UPSTREAM.md 16.5 to 16.7, 16.11).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::{Card, CardKind, ToolResult};
use crate::failure::{Failure, classify_named, code_text};
use crate::lenient::Text;
use crate::payload::{card_kind, first_string, read, result_list, snake_case, sources};

/// An object of which the id matters, and sometimes the role.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Identified<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    role: Text<'a>,
}

impl<'a> Identified<'a> {
    pub(super) fn read(value: Option<&'a RawValue>) -> Self {
        value.and_then(read).unwrap_or_default()
    }

    pub(super) fn id(self) -> Option<Cow<'a, str>> {
        self.id.filled()
    }

    /// Whether the user said it; who says nothing about itself is taken for the user's.
    pub(super) fn is_users(&self) -> bool {
        self.role.0.as_deref().is_none_or(|role| role.is_empty() || role.eq_ignore_ascii_case("user"))
    }
}

/// How the model ended, as `response.done` tells it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: String,
    /// Why, if it was not completed: a name and words.
    pub(super) reason: Option<String>,
    pub(super) message: String,
}

impl Outcome {
    pub(super) fn read(response: Option<&RawValue>) -> Self {
        let Some(response) = response.and_then(read::<Value>) else { return Self::default() };
        let details = response.get("status_details").or_else(|| response.get("statusDetails")).unwrap_or(&Value::Null);
        let error = details.get("error").or_else(|| response.get("error")).unwrap_or(&Value::Null);
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            status: code_text(response.get("status")).unwrap_or_default(),
            reason: code_text(error.get("code"))
                .or_else(|| first_string(error, &["kind"]))
                .or_else(|| first_string(details, &["reason"]))
                .or_else(|| details.as_str().map(str::to_owned)),
            message: text(error, "message").or_else(|| text(details, "message")).unwrap_or_default(),
        }
    }

    /// An answer without a status is complete.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.status.as_str(), "" | "completed")
    }

    pub(super) fn is_known(&self) -> bool {
        matches!(self.status.as_str(), "" | "completed" | "incomplete" | "failed" | "cancelled")
    }

    /// What the end means when nothing better was told before it.
    pub(super) fn failure(&self) -> Failure {
        let reason = self.reason.as_deref().unwrap_or(&self.status);
        let message = match self.message.as_str() {
            "" if reason == self.status => format!("the upstream ended the answer as {reason}"),
            "" => format!("the upstream ended the answer as {}: {reason}", self.status),
            message => message.to_owned(),
        };
        classify_named(reason, &message)
    }
}

/// The whole text in a closing response: directly, or in the parts of its output.
pub(super) fn whole_text(response: Option<&RawValue>) -> Option<String> {
    let response: Value = read(response?)?;
    if let Some(text) = first_string(&response, &["output_text", "outputText", "text"]) {
        return Some(text);
    }
    let items = response.get("output")?.as_array()?;
    let parts = items.iter().filter_map(|item| item.get("content")?.as_array()).flatten();
    let texts =
        parts.filter(|part| matches!(part.get("type").and_then(Value::as_str), None | Some("text" | "output_text")));
    let text: String = texts.filter_map(|part| part.get("text")?.as_str()).collect();
    (!text.is_empty()).then_some(text)
}

/// The name and words of an `error` event, wherever they stand in it.
pub(super) fn error(
    error: Option<&RawValue>,
    code: Option<&RawValue>,
    message: Option<&str>,
) -> (Option<String>, String) {
    let error = error.and_then(read::<Value>).unwrap_or_default();
    let code = code.and_then(read::<Value>);
    let name = code_text(error.get("code"))
        .or_else(|| first_string(&error, &["kind", "type"]))
        .or_else(|| code_text(code.as_ref()));
    let words = error.as_str().map(str::to_owned).or_else(|| first_string(&error, &["message"]));
    (name, words.or_else(|| message.map(str::to_owned)).unwrap_or_default())
}

/// The results of a tool. An empty body of a search means that it found nothing.
pub(super) fn tool_result(value: &RawValue) -> Option<ToolResult> {
    let value: Value = read(value)?;
    let mut result = ToolResult {
        id: first_string(&value, &["tool_call_id", "toolCallId", "tool_usage_card_id", "toolUsageCardId"]),
        ..ToolResult::default()
    };
    for (name, body) in value.as_object()? {
        if !body.is_object() && !body.is_array() {
            continue;
        }
        let list =
            result_list(body).or_else(|| body.as_object()?.values().find_map(Value::as_array).map(Vec::as_slice));
        let is_search = matches!(snake_case(name).as_str(), "web_search" | "x_post" | "x_thread" | "document_search");
        if let Some(found) = list.or(is_search.then_some(&[])) {
            result.sources.extend(sources(found));
            result.count = Some(result.count.unwrap_or_default() + found.len());
        }
    }
    Some(result)
}

/// Pages that a search found, told apart from its call. They are sources and not counted: the call's own result does that.
pub(super) fn search_result(value: &RawValue) -> Option<ToolResult> {
    let value: Value = read(value)?;
    let listed = ["web_results", "webResults", "results"].iter().find_map(|name| value.get(name)?.as_array());
    let sources = match listed {
        Some(results) => sources(results),
        None => sources(std::slice::from_ref(&value)),
    };
    value.is_object().then_some(ToolResult { id: None, sources, count: None })
}

/// A citation, and the kind it gives itself. Without an id, its address names it.
pub(super) fn citation(value: &RawValue) -> Option<(Card, String)> {
    let value: Value = read(value)?;
    let url = first_string(&value, &["url"]).unwrap_or_default();
    let id = first_string(&value, &["id"]).unwrap_or_else(|| url.clone());
    let kind = first_string(&value, &["kind"]).unwrap_or_default();
    value.is_object().then_some((Card { id, kind: CardKind::Citation { url } }, kind))
}

pub(super) fn is_known_citation(kind: &str) -> bool {
    matches!(
        kind,
        "" | "CITATION_KIND_WEB_PAGE"
            | "CITATION_KIND_X_POST"
            | "CITATION_KIND_X_USER"
            | "CITATION_KIND_X_THREAD"
            | "CITATION_KIND_CONNECTOR_DOCUMENT"
            | "CITATION_KIND_COLLECTION_DOCUMENT"
    )
}

pub(super) fn searched_image(value: &RawValue) -> Option<Card> {
    let value: Value = read(value)?;
    Some(Card { id: first_string(&value, &["id"])?, kind: card_kind("render_searched_image", "", &value) })
}

/// Something is being made; only images are shown.
pub(super) fn announcement(value: &RawValue) -> Option<Card> {
    let value: Value = read(value)?;
    let is_image = value.get("generated_image").or_else(|| value.get("generatedImage")).is_some();
    let kind = if is_image { CardKind::GeneratedImage(None) } else { CardKind::Other };
    Some(Card { id: first_string(&value, &["id"])?, kind })
}

/// A state of an image. The last one has progress 100, or none at all and a path; running ones are `data:` addresses.
pub(super) fn generated_image(value: &RawValue) -> Option<Card> {
    let value: Value = read(value)?;
    let mut kind = card_kind("render_generated_image", "", &value);
    if let CardKind::GeneratedImage(Some(image)) = &mut kind {
        let chunk = value.get("image_chunk").or_else(|| value.get("imageChunk")).unwrap_or(&Value::Null);
        let has_progress = chunk.get("progress").is_some_and(|progress| !progress.is_null());
        image.is_final |= !has_progress && !image.url.is_empty() && !image.url.starts_with("data:");
    }
    let id = first_string(&value, &["id", "image_id", "imageId"]).unwrap_or_default();
    value.is_object().then_some(Card { id, kind })
}
