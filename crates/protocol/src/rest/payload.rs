//! The payloads of a chunk, each read on its own (UPSTREAM.md 5.6, 5.9, 8.4, 9.1). They are rare next to tokens, so plain JSON
//! values are good enough for the irregular ones.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::chunk::Payload;
use crate::event::{Card, CardKind, ImageProgress, Severity, Source, StoredAnswer, StoredError, ToolCall, ToolResult};
use crate::failure::{Failure, classify_status, classify_stream_error, code_text};
use crate::lenient::Text;

/// The member name to report when a payload has a shape that is not known.
pub(super) fn name(payload: Payload) -> &'static str {
    match payload {
        Payload::TopLevelError | Payload::StreamError => "error",
        Payload::Conversation => "conversation",
        Payload::Title => "title",
        Payload::UserResponse => "userResponse",
        Payload::ModelResponse => "modelResponse",
        Payload::ToolUsageCard => "toolUsageCard",
        Payload::QueryAction => "queryAction",
        Payload::Results => "searchResults",
        Payload::CodeExecutionResult => "codeExecutionResult",
        Payload::CardAttachment => "cardAttachment",
        Payload::CardAttachments => "cardAttachments",
        Payload::StreamingImage => "streamingImageGenerationResponse",
        Payload::UiLayout => "uiLayout",
        Payload::LlmInfo => "llmInfo",
        Payload::KeepAlive => "keepAlive",
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

pub(super) fn conversation_id(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Conversation<'a> {
        #[serde(borrow, default, rename = "conversationId")]
        id: Text<'a>,
    }
    read::<Conversation<'_>>(value)?.id.filled()
}

pub(super) fn response_id(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow, default, rename = "responseId")]
        id: Text<'a>,
    }
    read::<Response<'_>>(value)?.id.filled()
}

pub(super) fn title(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Title<'a> {
        #[serde(borrow, default, rename = "newTitle")]
        title: Text<'a>,
    }
    read::<Title<'_>>(value)?.title.0
}

pub(super) fn model_hash(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Info<'a> {
        #[serde(borrow, default, rename = "modelHash")]
        hash: Text<'a>,
    }
    read::<Info<'_>>(value)?.hash.0
}

pub(super) fn layout(value: &RawValue) -> Option<(Cow<'_, str>, Vec<String>)> {
    #[derive(Deserialize)]
    struct Layout<'a> {
        #[serde(borrow, default, rename = "reasoningUiLayout")]
        name: Text<'a>,
        #[serde(default, rename = "rolloutIds")]
        rollouts: Value,
    }
    let layout = read::<Layout<'_>>(value)?;
    Some((layout.name.0.unwrap_or_default(), strings(&layout.rollouts)))
}

/// The strings of a list; items of other types are passed over.
fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The first of these members that is a string with something in it.
fn first_string(object: &Value, names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| object.get(name)?.as_str()).find(|text| !text.trim().is_empty()).map(str::to_owned)
}

pub(super) fn query_action(value: &RawValue) -> Option<ToolCall> {
    let action: Value = read(value)?;
    let name = snake_case(action.get("type").and_then(Value::as_str).unwrap_or("search"));
    Some(ToolCall { id: None, name, argument: Some(first_string(&action, &["query"])?), rollout: None })
}

/// A structured tool call: the id, maybe an intent, and one member named like the tool.
pub(super) fn tool_usage_card(value: &RawValue) -> Option<ToolCall> {
    let card: Value = read(value)?;
    let (name, tool) = card
        .as_object()?
        .iter()
        .find(|(name, value)| value.is_object() && !matches!(name.as_str(), "toolUsageCardId" | "intent"))?;
    let arguments = tool.get("args").unwrap_or(tool);
    Some(ToolCall {
        id: first_string(&card, &["toolUsageCardId"]),
        name: snake_case(name),
        argument: shown_argument(&snake_case(name), arguments),
        rollout: None,
    })
}

/// A tool call written as XML into a token (UPSTREAM.md 6.2).
pub(super) fn tool_usage_xml(text: &str) -> Option<ToolCall> {
    let element = |name: &str| {
        let start = text.find(&format!("<{name}>"))? + name.len() + 2;
        // The last closing tag, because the arguments may quote one.
        let end = start + text.get(start..)?.rfind(&format!("</{name}>"))?;
        text.get(start..end).map(str::trim)
    };
    let name = snake_case(element("xai:tool_name")?);
    let arguments = element("xai:tool_args").and_then(|arguments| {
        let json = arguments.strip_prefix("<![CDATA[").and_then(|json| json.strip_suffix("]]>")).unwrap_or(arguments);
        serde_json::from_str::<Value>(json).ok()
    });
    Some(ToolCall {
        id: element("xai:tool_usage_card_id").map(str::to_owned),
        argument: arguments.and_then(|arguments| shown_argument(&name, &arguments)),
        name,
        rollout: None,
    })
}

/// The argument a person would want to see. Agents' messages to each other can be drafts of the answer and stay hidden.
fn shown_argument(tool: &str, arguments: &Value) -> Option<String> {
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

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// Results come as a list, or as an object with a list in `results`; code execution has no list.
pub(super) fn tool_result(value: &RawValue) -> Option<ToolResult> {
    let value: Value = read(value)?;
    if !value.is_object() && !value.is_array() {
        return None;
    }
    let results = result_list(&value);
    let sources = sources(results.unwrap_or_default());
    Some(ToolResult { id: None, sources, count: results.map(<[Value]>::len) })
}

fn result_list(value: &Value) -> Option<&[Value]> {
    value.as_array().or_else(|| value.get("results")?.as_array()).map(Vec::as_slice)
}

fn sources(results: &[Value]) -> Vec<Source> {
    results.iter().filter_map(source).collect()
}

/// A page has an address; a post is named by its author and number.
fn source(result: &Value) -> Option<Source> {
    if let Some(url) = first_string(result, &["url"]).filter(|url| is_web_address(url)) {
        return Some(Source { url, title: first_string(result, &["title"]).unwrap_or_default() });
    }
    let (user, post) = (first_string(result, &["username"])?, first_string(result, &["postId"])?);
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
pub(super) fn cards(value: &RawValue) -> Option<Vec<Card>> {
    let value: Value = read(value)?;
    match &value {
        Value::Array(items) => Some(items.iter().filter_map(card).collect()),
        _ => Some(vec![card(&value)?]),
    }
}

fn card(value: &Value) -> Option<Card> {
    let value = value.get("jsonData").unwrap_or(value);
    let parsed;
    let card = match value {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).ok()?;
            &parsed
        }
        _ => value,
    };
    let id = first_string(card, &["id"])?;
    let kind = card.get("type").and_then(Value::as_str).unwrap_or_default();
    let card_type = card.get("cardType").and_then(Value::as_str).unwrap_or_default();
    Some(Card { id, kind: card_kind(kind, card_type, card) })
}

fn card_kind(kind: &str, card_type: &str, card: &Value) -> CardKind {
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

pub(super) fn streaming_image(value: &RawValue) -> Option<ImageProgress> {
    let image: Value = read(value)?;
    image.is_object().then(|| image_progress(&image))
}

fn image_progress(image: &Value) -> ImageProgress {
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

pub(super) fn stored_answer(value: &RawValue) -> Option<StoredAnswer<'_>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct ModelResponse<'a> {
        #[serde(borrow)]
        message: Text<'a>,
        #[serde(borrow)]
        response_id: Text<'a>,
        #[serde(borrow)]
        parent_response_id: Text<'a>,
        #[serde(borrow)]
        model: Text<'a>,
        #[serde(borrow)]
        error: Text<'a>,
        generated_image_urls: Value,
        card_attachments_json: Value,
        web_search_results: Value,
        cited_web_search_results: Value,
        xposts: Value,
        stream_errors: Value,
        metadata: Value,
    }
    let stored = read::<ModelResponse<'_>>(value)?;
    let mut errors: Vec<_> =
        [&stored.stream_errors, stored.metadata.pointer("/request_metadata/stream_errors").unwrap_or(&Value::Null)]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .map(|error| stream_error_value(error, Severity::Normal))
            .collect();
    if let Some(message) = stored.error.filled() {
        errors.push(StoredError { severity: Severity::Normal, failure: classify_stream_error(&message, None) });
    }
    Some(StoredAnswer {
        message: stored.message.0.unwrap_or_default(),
        response_id: stored.response_id.filled(),
        parent_response_id: stored.parent_response_id.filled(),
        model: stored.model.filled(),
        cards: stored.card_attachments_json.as_array().into_iter().flatten().filter_map(card).collect(),
        generated_image_urls: strings(&stored.generated_image_urls),
        sources: [&stored.web_search_results, &stored.cited_web_search_results, &stored.xposts]
            .into_iter()
            .flat_map(|results| sources(result_list(results).unwrap_or_default()))
            .collect(),
        errors,
    })
}

/// A status object at the top of a frame: `{"code":…,"message":…}`, or a bare text.
pub(super) fn status(value: &RawValue) -> Failure {
    match read::<Value>(value) {
        Some(Value::String(message)) => classify_status(None, &message),
        Some(status) => {
            let message = status.get("message").and_then(Value::as_str).unwrap_or_default();
            classify_status(code_text(status.get("code")).as_deref(), message)
        }
        None => classify_status(None, ""),
    }
}

/// A `StreamError`; `severity` is what a missing severity means at this place.
pub(super) fn stream_error(value: &RawValue, severity: Severity) -> StoredError {
    stream_error_value(&read::<Value>(value).unwrap_or_default(), severity)
}

fn stream_error_value(error: &Value, default: Severity) -> StoredError {
    let Some(members) = error.as_object() else {
        let message = error.as_str().unwrap_or_default();
        return StoredError { severity: default, failure: classify_stream_error(message, None) };
    };
    let severity = match error.get("severity").and_then(Value::as_str) {
        Some("STREAM_ERROR_SEVERITY_NORMAL") => Severity::Normal,
        Some("STREAM_ERROR_SEVERITY_FATAL") => Severity::Fatal,
        _ => default,
    };
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let detail = members.iter().find(|(name, value)| {
        !matches!(name.as_str(), "message" | "severity" | "code") && !value.is_null() && value.as_bool() != Some(false)
    });
    let failure = match (detail, code_text(error.get("code"))) {
        (Some((name, _)), _) => classify_stream_error(message, Some(name)),
        (None, Some(code)) => classify_status(Some(&code), message),
        (None, None) => classify_stream_error(message, None),
    };
    StoredError { severity, failure }
}
