//! The routes of the upstream, each with the checks that a correct client passes.

mod account;
mod answer;
mod chat;
mod control;
mod conversations;
mod entry;
mod files;
mod messages;
mod share;
mod socket;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    routing::{delete, get, post},
};

use crate::{
    state::{Conversation, Shared, State as Store},
    turn,
};
use answer::{ErrorForm, Refusal};

type App = Arc<Shared>;

pub(crate) fn router(shared: App) -> Router {
    Router::new()
        .nest("/rest/app-chat", app_chat())
        .route("/rest/rate-limits", post(account::rate_limits))
        .route("/rest/subscriptions", get(account::subscriptions))
        .route("/rest/modes", post(account::modes))
        .route("/rest/models", post(account::models))
        .route("/api/auth/session", get(account::session))
        .route("/http/upload-file-v2/direct", post(files::upload_direct))
        .route("/assets/{*path}", get(files::asset))
        .route("/users/{*path}", get(files::asset))
        .route("/ws/mgw/", get(socket::upgrade))
        .nest("/__simulator", control::router())
        .fallback(unknown_route)
        .with_state(shared)
}

fn app_chat() -> Router<App> {
    Router::new()
        .route("/conversations", get(conversations::list))
        .route("/conversations/new", post(chat::new))
        .route("/conversations/restore", post(conversations::restore))
        .route("/conversations/{conversation}", delete(conversations::delete).put(conversations::change))
        .route("/conversations/soft/{conversation}", delete(conversations::delete_softly))
        .route("/conversations/exists/{conversation}", get(conversations::exists))
        .route("/conversations_v2/{conversation}", get(conversations::show))
        .route("/conversations/{conversation}/responses", get(messages::list).post(chat::responses))
        .route("/conversations/{conversation}/response-node", get(messages::tree))
        .route("/conversations/{conversation}/load-responses", post(messages::load))
        .route("/conversations/{conversation}/stop-inflight-responses", post(messages::stop))
        .route("/conversations/inflight-response/{response}", delete(messages::stop_one))
        .route("/conversations/reconnect-response-v2/{response}", get(messages::reconnect))
        .route("/conversations/{conversation}/share", post(share::share))
        .route("/share_links/{link}/clone", post(share::clone))
        .route("/upload-file", post(files::upload))
}

/// The conversation, if it is the caller's.
fn owned<'a>(
    state: &'a mut Store,
    form: ErrorForm,
    sso: &str,
    conversation: &str,
) -> Result<&'a Conversation, Refusal> {
    turn::owned(state, sso, conversation).map_err(|fault| answer::inadmissible(form, fault))
}

async fn unknown_route(State(shared): State<App>, request: Request) -> Refusal {
    let detail = format!("{} {}", request.method(), request.uri().path());
    let mut state = shared.state();
    *state.counts.entry("unknown").or_default() += 1;
    state.violate("unknown_route", detail);
    drop(state);
    answer::no_route()
}
