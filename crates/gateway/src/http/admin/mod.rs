//! The admin API, mounted at `/admin/api/v1`: what the console and scripts use.
//!
//! One file per group of endpoints. Every answer is JSON and never cached; every failure, unknown routes included, is the one
//! error object of `error.rs`. Sessions and tokens of the admin API open these routes; API keys never do.

mod account_history;
mod accounts;
mod attention;
mod audit;
mod body;
mod caller;
mod claim;
mod compat;
mod conversation_actions;
mod conversation_match;
mod conversation_tree;
mod conversations;
mod described;
mod drift;
mod error;
mod events;
mod export;
mod idempotency;
mod identifiers;
mod images;
mod imports;
mod jobs;
mod keys;
mod live;
mod models;
mod password;
mod playground;
mod query;
mod request_query;
mod request_view;
mod requests;
mod search;
mod session;
mod sessions;
mod settings;
mod settings_test;
mod statistics;
mod system;
#[cfg(test)]
mod tests;
mod time_query;
mod tokens;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::AccountPool;
use crate::admins::{Admins, Change, Trail};
use crate::audit::{Recorder, Records};
use crate::chat::ChatService;
use crate::clock::Clock;
use crate::conversations::Conversations;
use crate::events::Events;
use crate::images::Images;
use crate::jobs::Jobs;
use crate::keys::ApiKeys;
use crate::settings::{SettingsHandle, SettingsHistory};
use crate::store::{Store, Writer};
use crate::telemetry::Metrics;
use crate::upstream::{ExitBreaker, Upstream};

use caller::Caller;
use idempotency::Idempotency;

pub(crate) use caller::{SESSION_COOKIE, is_signed_in};
pub(crate) use compat::router as compatible_router;
pub(in crate::http) use error::refuse;
pub(crate) use live::tell_consoles;
pub(crate) use settings::{settings_change, settings_event};

/// What the endpoints work with.
#[derive(Clone)]
pub(crate) struct AdminState {
    pub(crate) trail: Trail,
    pub(crate) events: Events,
    pub(crate) history: SettingsHistory,
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pub(crate) exit: ExitBreaker,
    pub(crate) upstream: Upstream,
    /// Milliseconds since 1970.
    pub(crate) started_at: i64,
    pub(crate) settings: SettingsHandle,
    pub(crate) keys: ApiKeys,
    pub(crate) admins: Admins,
    pub(crate) accounts: AccountPool,
    pub(crate) conversations: Conversations,
    pub(crate) chat: ChatService,
    pub(crate) recorder: Recorder,
    pub(crate) images: Images,
    pub(crate) jobs: Jobs,
    pub(crate) records: Records,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

impl AdminState {
    /// Writes a change that was made into the audit trail.
    async fn note(&self, caller: &Caller, change: Change) {
        self.trail.record(caller.actor(), change).await;
    }
}

/// All routes with their descriptions, relative to where they are mounted.
pub(super) fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::default()
        .routes(routes!(session::show, session::sign_in, session::sign_out))
        .routes(routes!(claim::claim))
        .routes(routes!(password::change))
        .routes(routes!(sessions::list, sessions::delete_others))
        .routes(routes!(sessions::delete))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::show, tokens::delete))
        .routes(routes!(audit::list))
        .routes(routes!(events::stream))
        .routes(routes!(events::set_topics))
        .routes(routes!(accounts::list, accounts::add))
        .routes(routes!(accounts::summary))
        .routes(routes!(accounts::facets))
        .routes(routes!(accounts::bin))
        .routes(routes!(accounts::restore))
        .routes(routes!(accounts::show, accounts::edit, accounts::delete))
        .routes(routes!(account_history::list))
        .routes(routes!(accounts::check_quota))
        .routes(routes!(accounts::clear_cooldown))
        .routes(routes!(accounts::replace_token))
        .routes(routes!(imports::preview))
        .routes(routes!(imports::show))
        .routes(routes!(jobs::list, jobs::start))
        .routes(routes!(jobs::show, jobs::delete))
        .routes(routes!(jobs::items))
        .routes(routes!(jobs::act))
        .routes(routes!(conversations::list))
        .routes(routes!(conversation_match::probe))
        .routes(routes!(conversations::show, conversation_actions::edit, conversation_actions::delete))
        .routes(routes!(conversation_actions::move_to))
        .routes(routes!(conversation_actions::fetch_content))
        .routes(routes!(conversation_tree::show))
        .routes(routes!(models::list))
        .routes(routes!(playground::chat))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::show, keys::edit, keys::delete))
        .routes(routes!(keys::rotate))
        .routes(routes!(settings::show, settings::edit))
        .routes(routes!(settings::described))
        .routes(routes!(settings::reset))
        .routes(routes!(settings::validate))
        .routes(routes!(settings::history))
        .routes(routes!(settings::revert))
        .routes(routes!(settings_test::proxy))
        .routes(routes!(settings_test::public_url))
        .routes(routes!(system::show))
        .routes(routes!(system::health))
        .routes(routes!(drift::list, drift::clear))
        .routes(routes!(requests::list))
        .routes(routes!(requests::facets))
        .routes(routes!(requests::histogram))
        .routes(routes!(requests::rejected))
        .routes(routes!(requests::show))
        .routes(routes!(statistics::now))
        .routes(routes!(statistics::series))
        .routes(routes!(statistics::top))
        .routes(routes!(statistics::heatmap))
        .routes(routes!(statistics::capacity))
        .routes(routes!(attention::list))
        .routes(routes!(search::search))
        .routes(routes!(images::list))
        .routes(routes!(images::usage))
        .routes(routes!(images::show, images::delete))
        .routes(routes!(images::test_link))
}

/// All routes, relative to where they are mounted.
pub(crate) fn router(state: AdminState) -> Router {
    let (routes, _) = routes().split_for_parts();
    routes
        .route("/openapi.json", get(crate::http::openapi::show))
        // Routes, not only a fallback: beside a console that takes every path below `/admin`, fallbacks are never asked.
        .route("/", any(error::unknown_route))
        .route("/{*path}", any(error::unknown_route))
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(from_fn_with_state((state.clone(), Idempotency::default()), idempotency::answer_once))
        .layer(from_fn(error::finish))
        // Event streams are left as they are.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .with_state(state)
}
