//! The payloads of a chunk, each read on its own (UPSTREAM.md 5.6, 5.9, 8.4, 9.1). They are rare next to tokens, so plain JSON
//! values are good enough for the irregular ones.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::chunk::Payload;
use crate::event::{ImageProgress, Severity, StoredAnswer, StoredError, ToolCall, ToolResult};
use crate::failure::{Failure, classify_status, classify_stream_error, code_text};
use crate::halves::read_value;
use crate::lenient::Text;
use crate::payload::{
    card, first_string, image_progress, read, result_list, shown_argument, snake_case, sources, stream_error_value,
    strings,
};
use crate::scan;

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

pub(super) fn query_action(value: &RawValue) -> Option<ToolCall> {
    let action: Value = read(value)?;
    let name = snake_case(action.get("type").and_then(Value::as_str).unwrap_or("search"));
    Some(ToolCall { id: None, name, argument: Some(first_string(&action, &["query"])?), rollout: None })
}

/// A tool call written as XML into a token (UPSTREAM.md 6.2).
pub(super) fn tool_usage_xml(text: &str) -> Option<ToolCall> {
    let element = |name: &str| {
        let start = scan::find(text, &format!("<{name}>"))? + name.len() + 2;
        // The last closing tag, because the arguments may quote one.
        let end = start + scan::rfind(text.get(start..)?, &format!("</{name}>"))?;
        text.get(start..end).map(str::trim)
    };
    let name = snake_case(element("xai:tool_name")?);
    let arguments = element("xai:tool_args").and_then(|arguments| {
        let json = arguments.strip_prefix("<![CDATA[").and_then(|json| json.strip_suffix("]]>")).unwrap_or(arguments);
        read_value(json)
    });
    Some(ToolCall {
        id: element("xai:tool_usage_card_id").map(str::to_owned),
        argument: arguments.and_then(|arguments| shown_argument(&name, &arguments)),
        name,
        rollout: None,
    })
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

pub(super) fn streaming_image(value: &RawValue) -> Option<ImageProgress> {
    let image: Value = read(value)?;
    image.is_object().then(|| image_progress(&image))
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

/// What an error calls itself, to be compared with the names that are known.
pub(super) fn error_name(value: &RawValue) -> Option<String> {
    crate::payload::error_name(&read::<Value>(value)?)
}

/// A `StreamError`; `severity` is what a missing severity means at this place.
pub(super) fn stream_error(value: &RawValue, severity: Severity) -> StoredError {
    stream_error_value(&read::<Value>(value).unwrap_or_default(), severity)
}
