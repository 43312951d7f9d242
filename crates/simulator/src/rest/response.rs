//! The stored form of messages and conversations (UPSTREAM.md 5.6, 5.9 and 13.4).

use serde_json::{Map, Value, json};

use crate::{
    ids,
    state::{Conversation, Node, Progress, Sender},
};

pub(crate) const MODEL_HASH: &str = "c2ltdWxhdG9yLW1vZGVsLWhhc2gtMDAwMDAwMDAwMDA=";

/// What a request for this mode resolves to.
pub(crate) fn resolved_model(mode: &str) -> String {
    match mode {
        "fast" => "grok-3".to_owned(),
        "auto" => "grok-4-auto".to_owned(),
        "expert" => "grok-4".to_owned(),
        "heavy" => "grok-4-heavy".to_owned(),
        other => other.to_owned(),
    }
}

/// The layout that the router settles on.
pub(crate) fn final_layout() -> Value {
    json!({"reasoningUiLayout": "UNIFIED", "willThinkLong": false, "effort": "LOW", "rolloutIds": []})
}

/// A message as `userResponse`, `modelResponse` and the loading routes show it.
pub(crate) fn response_json(node: &Node) -> Value {
    let mut response = common(node);
    if node.sender == Sender::Assistant {
        add_answer_members(&mut response, node);
    }
    if let Some(chunks) = &node.chunks {
        let name = if node.sender == Sender::Human { "inputChunks" } else { "outputChunks" };
        response.insert(name.to_owned(), json!(chunks));
    }
    if let Value::Object(overrides) = &node.overrides {
        merge(&mut response, overrides);
    }
    Value::Object(response)
}

fn common(node: &Node) -> Map<String, Value> {
    let mut response = Map::new();
    let mut set = |name: &str, value: Value| {
        response.insert(name.to_owned(), value);
    };
    set("responseId", node.id.as_str().into());
    set("message", node.message.as_str().into());
    set("sender", node.sender.name().into());
    set("createTime", ids::timestamp(node.created).into());
    if let Some(parent) = &node.parent {
        set("parentResponseId", parent.as_str().into());
    }
    for name in ["manual", "shared", "isControl"] {
        set(name, false.into());
    }
    set("partial", (node.progress() != Progress::Finished).into());
    for name in ["query", "queryType"] {
        set(name, "".into());
    }
    for name in EMPTY_LISTS {
        set(name, json!([]));
    }
    set("fileAttachments", json!(node.files));
    set("metadata", json!({}));
    set("model", resolved_model(&node.mode).into());
    response
}

const EMPTY_LISTS: [&str; 14] = [
    "xpostIds",
    "xposts",
    "webSearchResults",
    "citedWebSearchResults",
    "generatedImageUrls",
    "imageAttachments",
    "cardAttachmentsJson",
    "fileUris",
    "fileAttachmentsMetadata",
    "steps",
    "mediaTypes",
    "webpageUrls",
    "toolResponses",
    "streamErrors",
];

fn add_answer_members(response: &mut Map<String, Value>, node: &Node) {
    let model = resolved_model(&node.mode);
    let mode = node.mode.to_uppercase();
    let layout = final_layout();
    let members = json!({
        "webSearchResults": node.sources,
        "generatedImageUrls": node.images,
        "cardAttachmentsJson": node.cards,
        "ragResults": [],
        "citedRagResults": [],
        "searchProductResults": [],
        "connectorSearchResults": [],
        "metadata": {
            "deepsearchPreset": "",
            "llm_info": {"modelHash": MODEL_HASH},
            "request_metadata": {"effort": "low", "mode": node.mode, "model": model},
            "request_trace_id": node.id.replace('-', ""),
            "ui_layout": {"effort": "LOW", "reasoningUiLayout": "UNIFIED", "willThinkLong": false},
        },
        "uiLayout": layout,
        "requestMetadata": {"model": model, "mode": format!("MODEL_MODE_{mode}"), "effort": "LOW"},
        // What was asked for stands in `requestMetadata`; this member says the same whatever it was.
        "model": "grok-3",
    });
    if let Value::Object(members) = members {
        response.extend(members);
    }
}

/// Replaces members; objects are joined one level deep.
fn merge(response: &mut Map<String, Value>, overrides: &Map<String, Value>) {
    for (name, value) in overrides {
        match (response.get_mut(name), value) {
            (Some(Value::Object(present)), Value::Object(added)) => present.extend(added.clone()),
            _ => {
                response.insert(name.clone(), value.clone());
            }
        }
    }
}

/// The nearly empty `modelResponse` of long answers and reconnected streams.
pub(crate) fn placeholder(response_id: &str) -> Value {
    json!({
        "responseId": response_id,
        "message": "",
        "sender": "",
        "partial": false,
        "metadata": {"ui_layout": {"effort": "LOW", "reasoningUiLayout": "SPLIT", "willThinkLong": true}},
        "uiLayout": {"reasoningUiLayout": "SPLIT", "willThinkLong": true, "effort": "LOW", "rolloutIds": []},
        "streamErrors": [],
    })
}

/// A conversation without its messages.
pub(crate) fn conversation_json(conversation: &Conversation) -> Value {
    let created = ids::timestamp(conversation.created);
    let modified = conversation.nodes.last().map_or_else(|| created.clone(), |node| ids::timestamp(node.created));
    json!({
        "conversationId": conversation.id,
        "title": conversation.title,
        "starred": false,
        "createTime": created,
        "modifyTime": modified,
        "systemPromptName": "",
        "temporary": conversation.temporary,
        "mediaTypes": [],
        "workspaces": [],
        "taskResult": null,
    })
}
