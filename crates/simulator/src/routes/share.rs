//! Moving a conversation between accounts: share, then clone (UPSTREAM.md 13.5).

use std::collections::HashMap;

use axum::extract::{Path, Request, State};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    App,
    answer::{self, Answered},
    entry::{Entry, Route, enter},
    owned,
};
use crate::{
    ids,
    rest::{conversation_json, response_json},
    state::{Conversation, Node, ShareLink, State as Store},
};

const SHARE: Route = Route::unary("share");
const CLONE: Route = Route::unary("clone");

pub(super) async fn share(State(shared): State<App>, Path(conversation): Path<String>, request: Request) -> Answered {
    let Entry { sso, body } = enter(&shared, SHARE, Some(&conversation), request).await?;
    let mut state = shared.state();
    if body["allowIndexing"] != false {
        state.violate("share_indexed", format!("{sso} shares {conversation} for search engines"));
    }
    if state.accounts.get(&sso).is_some_and(|account| account.fail_share) {
        return Err(answer::internal_error(SHARE.errors));
    }
    let response = body["responseId"].as_str().unwrap_or_default();
    let link = format!("{}_{}", URL_SAFE_NO_PAD.encode("simulator"), ids::fresh());
    // Without a tree every conversation is taken for the caller's own, and its clone is empty.
    if !shared.options.keep_tree {
        return Ok(answer::ok(&json!({"shareLinkId": link})));
    }
    if owned(&mut state, SHARE.errors, &sso, &conversation)?.node(response).is_none() {
        state.violate("unknown_response", format!("{sso} shares response {response:?} of {conversation}"));
        return Err(answer::no_response(SHARE.errors));
    }
    state.share_links.insert(link.clone(), ShareLink { conversation, response: response.to_owned() });
    Ok(answer::ok(&json!({"shareLinkId": link})))
}

pub(super) async fn clone(State(shared): State<App>, Path(link): Path<String>, request: Request) -> Answered {
    let sso = enter(&shared, CLONE, Some(&link), request).await?.sso;
    let mut state = shared.state();
    if state.accounts.get(&sso).is_some_and(|account| account.fail_clone) {
        return Err(answer::internal_error(CLONE.errors));
    }
    if !shared.options.keep_tree {
        return Ok(answer::ok(&cloned(&Conversation::new(&sso, "", false))));
    }
    let Some(copy) = copy(&state, &link, &sso) else {
        return Err(answer::status(CLONE.errors, 404, 5, "Share link not found"));
    };
    let body = cloned(&copy);
    state.conversations.insert(copy.id.clone(), copy);
    Ok(answer::ok(&body))
}

/// The path from the root to the shared response, with new ids throughout.
fn copy(state: &Store, link: &str, owner: &str) -> Option<Conversation> {
    let link = state.share_links.get(link)?;
    let original = state.conversations.get(&link.conversation)?;
    let branch = original.branch(&link.response);
    let new_ids: HashMap<&str, String> = branch.iter().map(|node| (node.id.as_str(), ids::fresh())).collect();
    let copied = |node: &&Node| {
        let parent = node.parent.as_deref().and_then(|parent| new_ids.get(parent));
        node.copy(new_ids[node.id.as_str()].clone(), parent.cloned())
    };
    let mut copy = Conversation::new(owner, &original.title, false);
    copy.nodes = branch.iter().map(copied).collect();
    Some(copy)
}

fn cloned(conversation: &Conversation) -> Value {
    let responses: Vec<Value> = conversation.nodes.iter().map(response_json).collect();
    json!({"conversation": conversation_json(conversation), "responses": responses})
}
