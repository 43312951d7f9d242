//! Conversations as a whole: list, show, rename, delete (UPSTREAM.md 13.1).

use std::cmp::Reverse;

use axum::extract::{Path, Request, State};
use serde_json::{Value, json};

use super::{
    App,
    answer::{self, Answered},
    entry::{Entry, Route, enter},
    owned,
};
use crate::{
    rest::conversation_json,
    state::{Conversation, State as Store},
};

const LIST: Route = Route::unary("conversations");
const SHOW: Route = Route::unary("conversation");
const EXISTS: Route = Route::unary("exists");
const CHANGE: Route = Route::unary("change_conversation");
const DELETE: Route = Route::unary("delete");
const SOFT_DELETE: Route = Route::unary("soft_delete");
const RESTORE: Route = Route::unary("restore");

const PAGE_SIZE: usize = 60;

/// Newest first; private chats are not in the list.
pub(super) async fn list(State(shared): State<App>, request: Request) -> Answered {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let sso = enter(&shared, LIST, None, request).await?.sso;
    let number = |name: &str| parameter(&query, name).and_then(|value| value.parse::<usize>().ok());
    let size = number("pageSize").unwrap_or(PAGE_SIZE).max(1);
    let start = number("pageToken").unwrap_or(0);
    let state = shared.state();
    let listed = |conversation: &&Conversation| state.is_one_user(&conversation.owner, &sso) && !conversation.temporary;
    let mut conversations: Vec<&Conversation> = state.conversations.values().filter(listed).collect();
    conversations.sort_by_key(|conversation| (Reverse(conversation.created), conversation.id.as_str()));
    let page: Vec<Value> = conversations.iter().skip(start).take(size).map(|each| conversation_json(each)).collect();
    let end = start + page.len();
    let next = if end < conversations.len() { end.to_string() } else { String::new() };
    Ok(answer::ok(&json!({"conversations": page, "nextPageToken": next, "textSearchMatches": []})))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

pub(super) async fn show(State(shared): State<App>, Path(id): Path<String>, request: Request) -> Answered {
    on_own(shared, SHOW, id, request, |_, conversation, _| json!({"conversation": conversation_json(&conversation)}))
        .await
}

pub(super) async fn exists(State(shared): State<App>, Path(id): Path<String>, request: Request) -> Answered {
    let sso = enter(&shared, EXISTS, Some(&id), request).await?.sso;
    let state = shared.state();
    let exists = state.conversations.get(&id).is_some_and(|stored| state.is_one_user(&stored.owner, &sso));
    Ok(answer::ok(&json!({"exists": exists})))
}

pub(super) async fn change(State(shared): State<App>, Path(id): Path<String>, request: Request) -> Answered {
    on_own(shared, CHANGE, id, request, |state, mut conversation, body| {
        if let Some(title) = body["title"].as_str() {
            title.clone_into(&mut conversation.title);
        }
        let shown = conversation_json(&conversation);
        state.conversations.insert(conversation.id.clone(), conversation);
        shown
    })
    .await
}

pub(super) async fn delete(State(shared): State<App>, Path(id): Path<String>, request: Request) -> Answered {
    on_own(shared, DELETE, id, request, |state, conversation, _| {
        state.conversations.remove(&conversation.id);
        json!({})
    })
    .await
}

pub(super) async fn delete_softly(State(shared): State<App>, Path(id): Path<String>, request: Request) -> Answered {
    on_own(shared, SOFT_DELETE, id, request, |state, conversation, _| {
        state.conversations.remove(&conversation.id);
        state.deleted.insert(conversation.id.clone(), conversation);
        json!({})
    })
    .await
}

pub(super) async fn restore(State(shared): State<App>, request: Request) -> Answered {
    let Entry { sso, body } = enter(&shared, RESTORE, None, request).await?;
    let id = body["conversationId"].as_str().unwrap_or_default();
    let mut state = shared.state();
    match state.deleted.remove(id) {
        Some(conversation) if conversation.owner == sso => {
            state.conversations.insert(id.to_owned(), conversation);
            Ok(answer::ok(&json!({})))
        }
        Some(foreign) => {
            state.deleted.insert(id.to_owned(), foreign);
            Err(answer::no_conversation(RESTORE.errors))
        }
        None => Err(answer::no_conversation(RESTORE.errors)),
    }
}

/// Does something with the caller's conversation, given as a copy.
async fn on_own(
    shared: App,
    route: Route,
    id: String,
    request: Request,
    act: impl FnOnce(&mut Store, Conversation, &Value) -> Value,
) -> Answered {
    let Entry { sso, body } = enter(&shared, route, Some(&id), request).await?;
    let mut state = shared.state();
    let conversation = owned(&mut state, route.errors, &sso, &id)?.clone();
    Ok(answer::ok(&act(&mut state, conversation, &body)))
}
