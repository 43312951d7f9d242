//! Reading a conversation's messages, and coming back to an answer (UPSTREAM.md 13).

use axum::extract::{Path, Request, State};
use serde_json::{Value, json};

use super::{
    App,
    answer::{self, Answered, ErrorForm, Refusal},
    chat,
    entry::{Entry, Route, enter},
    owned,
};
use crate::{
    ids,
    rest::{Envelope, Form, response_json},
    script::{Script, tokens_of},
    state::{Node, Progress, Sender, State as Store},
    turn::{Keep, Turn},
};

const LIST: Route = Route::unary("list_responses");
const TREE: Route = Route::unary("response_node");
const LOAD: Route = Route::unary("load_responses");
const STOP: Route = Route::unary("stop");
const RECONNECT: Route = Route::streaming("reconnect");

pub(super) async fn list(State(shared): State<App>, Path(conversation): Path<String>, request: Request) -> Answered {
    let read = |nodes: &[Node], _: &Value| {
        let responses = nodes.iter().filter(|node| node.progress() != Progress::InFlight).map(loaded);
        json!({"responses": responses.collect::<Vec<_>>(), "inflightResponses": in_flight(nodes)})
    };
    reading(shared, LIST, &conversation, request, read).await
}

pub(super) async fn tree(State(shared): State<App>, Path(conversation): Path<String>, request: Request) -> Answered {
    let read = |nodes: &[Node], _: &Value| {
        let row = |node: &Node| {
            let mut row = json!({"responseId": node.id, "sender": node.sender.name()});
            // Answers are spelled in capitals here.
            if node.sender == Sender::Assistant {
                row["sender"] = "ASSISTANT".into();
            }
            if let Some(parent) = &node.parent {
                row["parentResponseId"] = parent.as_str().into();
            }
            row
        };
        let rows = nodes.iter().filter(|node| node.progress() != Progress::InFlight).map(row);
        json!({"responseNodes": rows.collect::<Vec<_>>(), "inflightResponses": in_flight(nodes)})
    };
    reading(shared, TREE, &conversation, request, read).await
}

pub(super) async fn load(State(shared): State<App>, Path(conversation): Path<String>, request: Request) -> Answered {
    let read = |nodes: &[Node], body: &Value| {
        let wanted = body["responseIds"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = wanted.iter().filter_map(|id| nodes.iter().find(|node| *id == node.id.as_str()));
        json!({"responses": found.map(loaded).collect::<Vec<_>>()})
    };
    reading(shared, LOAD, &conversation, request, read).await
}

async fn reading(
    shared: App,
    route: Route,
    conversation: &str,
    request: Request,
    read: impl FnOnce(&[Node], &Value) -> Value,
) -> Answered {
    let Entry { sso, body } = enter(&shared, route, Some(conversation), request).await?;
    let mut state = shared.state();
    let stored = owned(&mut state, route.errors, &sso, conversation)?;
    Ok(answer::ok(&read(&stored.nodes, &body)))
}

/// A message as the loading routes show it: with its steps, and without the text of an answer that still runs.
fn loaded(node: &Node) -> Value {
    let mut response = response_json(node);
    if node.sender == Sender::Human {
        return response;
    }
    if node.progress() == Progress::InFlight {
        response["message"] = "".into();
        if node.chunks.is_some() {
            response["outputChunks"] = json!([]);
        }
        return response;
    }
    response["steps"] = json!([{
        "text": [node.message],
        "tags": ["final"],
        "webSearchResults": node.sources,
        "xpostIds": [],
        "xposts": [],
        "toolUsageCards": [],
        "toolUsageResults": [],
        "ragResults": [],
    }]);
    response
}

fn in_flight(nodes: &[Node]) -> Vec<Value> {
    let row = |node: &Node| {
        json!({
            "responseId": node.id,
            "status": "RESPONSE_STATUS_ACTIVE",
            "createTime": ids::timestamp(node.created),
            "parentResponseId": node.parent,
        })
    };
    nodes.iter().filter(|node| node.progress() == Progress::InFlight).map(row).collect()
}

/// Replays an answer from its beginning: the script of one that was cut, the text of one that is complete.
pub(super) async fn reconnect(State(shared): State<App>, Path(response): Path<String>, request: Request) -> Answered {
    let sso = enter(&shared, RECONNECT, Some(&response), request).await?.sso;
    let (script, turn) = replay(&mut shared.state(), &sso, &response)?;
    let form = Form { envelope: Envelope::Reconnect, final_metadata: false, conversation: Value::Null };
    Ok(chat::play(shared, Keep::Tree, script, form, turn).await)
}

fn replay(state: &mut Store, sso: &str, response: &str) -> Result<(Script, Turn), Refusal> {
    let form = ErrorForm::Wrapped;
    let account = state.accounts.get(sso).filter(|account| !account.fail_reconnect);
    let user_id = account.map(|account| account.user_id.clone()).ok_or_else(|| answer::internal_error(form))?;
    let holder = state.conversations.values().find(|conversation| conversation.node(response).is_some());
    let Some(conversation_id) = holder.map(|conversation| conversation.id.clone()) else {
        state.violate("unknown_response", format!("{sso} reconnects to {response}"));
        return Err(answer::no_response(form));
    };
    let conversation = owned(state, form, sso, &conversation_id)?;
    let node = conversation.node(response).filter(|node| node.sender == Sender::Assistant);
    let Some(node) = node else {
        return Err(answer::no_response(form));
    };
    let parent = node.parent.as_deref().and_then(|parent| conversation.node(parent));
    let script = match (&node.background, node.progress()) {
        (Some(background), _) => Script::of(background.steps.to_vec()),
        (None, Progress::Finished) => Script::answer(tokens_of(&node.message).collect()),
        // Its stream still has a reader, or it is broken for good.
        (None, _) => return Err(answer::no_response(form)),
    };
    let mut empty = Node::new(node.id.clone(), node.parent.clone(), Sender::Assistant, "", &node.mode);
    empty.created = node.created;
    // Until the replay stores the answer, the node stays as it is.
    empty.background = node.background.clone();
    Ok((
        script,
        Turn {
            conversation_id: conversation.id.clone(),
            title: conversation.title.clone(),
            user_id,
            user: parent.cloned().unwrap_or_else(|| empty.clone()),
            answer: empty,
        },
    ))
}

/// Ends what goes on in the background of a conversation.
pub(super) async fn stop(State(shared): State<App>, Path(conversation): Path<String>, request: Request) -> Answered {
    let sso = enter(&shared, STOP, Some(&conversation), request).await?.sso;
    let mut state = shared.state();
    owned(&mut state, STOP.errors, &sso, &conversation)?;
    if let Some(stored) = state.conversations.get_mut(&conversation) {
        stored.nodes.iter_mut().for_each(end);
    }
    Ok(answer::ok(&json!({})))
}

/// Ends one answer that goes on in the background.
pub(super) async fn stop_one(State(shared): State<App>, Path(response): Path<String>, request: Request) -> Answered {
    let sso = enter(&shared, STOP, Some(&response), request).await?.sso;
    let mut state = shared.state();
    let mut owned = state.conversations.values_mut().filter(|conversation| conversation.owner == sso);
    match owned.find_map(|conversation| conversation.node_mut(&response)) {
        Some(node) => {
            end(node);
            Ok(answer::ok(&json!({})))
        }
        None => Err(answer::no_response(STOP.errors)),
    }
}

fn end(node: &mut Node) {
    if node.background.is_some() && node.progress() == Progress::InFlight {
        node.background = None;
        node.set_progress(Progress::Partial);
    }
}
