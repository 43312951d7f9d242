//! Payloads that both dialects write, in camel case or in snake case (UPSTREAM.md 5.6, 8.4, 9, 16.6). They are rare next to
//! text, so plain JSON values are good enough for the irregular ones.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::{Card, CardKind, ImageProgress, Severity, Source, StoredError, ToolCall};
use crate::failure::{classify_named, classify_stream_error, code_text, is_harmless_by_nature};
use crate::halves::read_value;
use crate::lenient::Text;

pub(crate) fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

pub(crate) fn layout(value: &RawValue) -> Option<(Cow<'_, str>, Vec<String>)> {
    #[derive(Deserialize)]
    struct Layout<'a> {
        #[serde(borrow, default, rename = "reasoningUiLayout", alias = "reasoning_ui_layout")]
        name: Text<'a>,
        #[serde(default, rename = "rolloutIds", alias = "rollout_ids")]
        rollouts: Value,
    }
    let layout = read::<Layout<'_>>(value)?;
    Some((layout.name.0.unwrap_or_default(), strings(&layout.rollouts)))
}

/// The strings of a list; items of other types are passed over.
pub(crate) fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The first of these members that is a string with something in it.
pub(crate) fn first_string(object: &Value, names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| object.get(name)?.as_str()).find(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// A structured tool call: the id, maybe an intent, and one member named like the tool.
pub(crate) fn tool_usage_card(value: &RawValue) -> Option<ToolCall> {
    let card: Value = read(value)?;
    let (name, tool) = card.as_object()?.iter().find(|(name, value)| {
        value.is_object() && !matches!(name.as_str(), "toolUsageCardId" | "intent" | "metadata")
    })?;
    let arguments = tool.get("args").unwrap_or(tool);
    Some(ToolCall {
        id: first_string(&card, &["toolUsageCardId", "tool_usage_card_id"]),
        name: snake_case(name),
        argument: shown_argument(&snake_case(name), arguments),
        rollout: None,
    })
}

/// The argument a person would want to see. Agents' messages to each other can be drafts of the answer and stay hidden.
pub(crate) fn shown_argument(tool: &str, arguments: &Value) -> Option<String> {
    if tool == "chatroom_send" {
        return None;
    }
    first_string(
        arguments,
        &[
            "query",
            "url",
            "imageDescription",
            "image_description",
            "prompt",
            "code",
            "command",
            "filePath",
            "file_path",
            "postId",
            "post_id",
            "toolName",
            "tool_name",
        ],
    )
}

pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

pub(crate) fn result_list(value: &Value) -> Option<&[Value]> {
    value.as_array().or_else(|| value.get("results")?.as_array()).map(Vec::as_slice)
}

pub(crate) fn sources(results: &[Value]) -> Vec<Source> {
    results.iter().filter_map(source).collect()
}

/// A page has an address; a post is named by its author and number.
fn source(result: &Value) -> Option<Source> {
    if let Some(url) = first_string(result, &["url"]).filter(|url| is_web_address(url)) {
        return Some(Source { url, title: first_string(result, &["title"]).unwrap_or_default() });
    }
    let (user, post) = (
        first_string(result, &["username", "userhandle", "userHandle"])?,
        first_string(result, &["postId", "post_id"])?,
    );
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !plain(&user) || !plain(&post) {
        return None;
    }
    let title = first_string(result, &["name"]).unwrap_or_else(|| format!("@{user}"));
    Some(Source { url: format!("https://x.com/{user}/status/{post}"), title })
}

fn is_web_address(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// `cardAttachment` or `cardAttachments`: cards as objects, or as JSON inside strings, alone or in a list.
pub(crate) fn cards(value: &RawValue) -> Option<Vec<Card>> {
    let value: Value = read(value)?;
    match &value {
        Value::Array(items) => Some(items.iter().filter_map(card).collect()),
        _ => Some(vec![card(&value)?]),
    }
}

pub(crate) fn card(value: &Value) -> Option<Card> {
    let value = value.get("jsonData").or_else(|| value.get("json_data")).unwrap_or(value);
    let parsed;
    let card = match value {
        Value::String(text) => {
            parsed = read_value(text)?;
            &parsed
        }
        _ => value,
    };
    let id = first_string(card, &["id"])?;
    let kind = card.get("type").and_then(Value::as_str).unwrap_or_default();
    let card_type = card.get("cardType").and_then(Value::as_str).unwrap_or_default();
    Some(Card { id, kind: card_kind(kind, card_type, card) })
}

pub(crate) fn card_kind(kind: &str, card_type: &str, card: &Value) -> CardKind {
    match (kind, card_type) {
        ("render_inline_citation", _) | (_, "citation_card" | "citation") => {
            CardKind::Citation { url: first_string(card, &["url"]).unwrap_or_default() }
        }
        ("render_searched_image", _) | (_, "image_card") => {
            let image = card.get("image").unwrap_or(card);
            CardKind::SearchedImage {
                url: first_string(image, &["original", "thumbnail"]).unwrap_or_default(),
                title: first_string(image, &["title"]).unwrap_or_default(),
            }
        }
        ("render_generated_image" | "render_edited_image", _) | (_, "generated_image_card" | "edited_image_card") => {
            let chunk = card.get("image_chunk").or_else(|| card.get("imageChunk"));
            CardKind::GeneratedImage(chunk.filter(|chunk| chunk.is_object()).map(image_progress))
        }
        _ => CardKind::Other,
    }
}

pub(crate) fn image_progress(image: &Value) -> ImageProgress {
    let flag = |name: &str| image.get(name).and_then(Value::as_bool).unwrap_or(false);
    ImageProgress {
        url: first_string(image, &["imageUrl", "image_url"]).unwrap_or_default(),
        title: first_string(image, &["imageTitle", "image_title"]).unwrap_or_default(),
        progress: image.get("progress").and_then(Value::as_f64).unwrap_or_default(),
        is_final: flag("isFinal"),
        moderated: flag("moderated"),
        error: image.get("systemErrCode").and_then(|code| code_text(Some(code))).filter(|code| code != "0"),
    }
}

/// A `StreamError` of either dialect; `default` is what a missing severity means at this place.
pub(crate) fn stream_error_value(error: &Value, default: Severity) -> StoredError {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = error_name(error);
    let severity = match text("severity") {
        severity if severity.ends_with("NORMAL") => Severity::Normal,
        severity if severity.ends_with("FATAL") => Severity::Fatal,
        _ if name.as_deref().is_some_and(is_harmless_by_nature) => Severity::Normal,
        _ => default,
    };
    let message = match error.as_str().unwrap_or_else(|| text("message")) {
        "" => error.pointer("/details/reason").and_then(Value::as_str).unwrap_or_default(),
        message => message,
    };
    let failure = match &name {
        Some(name) => classify_named(name, message),
        None => classify_stream_error(message, None),
    };
    StoredError { severity, failure }
}

/// What an error calls itself: the name of its detail member, its kind, or its code.
pub(crate) fn error_name(error: &Value) -> Option<String> {
    let detail = error.as_object()?.iter().find(|(name, value)| {
        !matches!(name.as_str(), "message" | "severity" | "code" | "kind" | "details")
            && !value.is_null()
            && value.as_bool() != Some(false)
    });
    let detail = detail.map(|(name, _)| name.clone());
    detail.or_else(|| first_string(error, &["kind"])).or_else(|| code_text(error.get("code")))
}
