//! The admin API, mounted at `/admin/api/v1`: what the console and scripts use.
//!
//! One file per group of endpoints. Every answer is JSON and never cached; every failure, unknown routes included, is the one
//! error object of `error.rs`. Sessions and tokens of the admin API open these routes; API keys never do.

mod accounts;
mod attention;
mod audit;
mod body;
mod caller;
mod claim;
mod error;
mod events;
mod identifiers;
mod keys;
mod live;
mod page;
mod password;
mod query;
mod search;
mod session;
mod sessions;
mod settings;
mod system;
#[cfg(test)]
mod tests;
mod tokens;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{any, delete, get, post, put};

use crate::accounts::AccountPool;
use crate::admins::{Admins, Change, Trail};
use crate::clock::Clock;
use crate::events::Events;
use crate::keys::ApiKeys;
use crate::settings::{SettingsHandle, SettingsHistory};
use crate::store::{Store, Writer};
use crate::upstream::{ExitBreaker, Upstream};

use caller::Caller;

pub(crate) use caller::is_signed_in;
pub(crate) use live::tell_consoles;
pub(crate) use page::page;
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
    pub(crate) clock: Clock,
}

impl AdminState {
    /// Writes a change that was made into the audit trail.
    async fn note(&self, caller: &Caller, change: Change) {
        self.trail.record(caller.actor(), change).await;
    }
}

/// All routes, relative to where they are mounted.
pub(crate) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/session", get(session::show).post(session::sign_in).delete(session::sign_out))
        .route("/claim", post(claim::claim))
        .route("/me/password", put(password::change))
        .route("/sessions", get(sessions::list).delete(sessions::delete_others))
        .route("/sessions/{id}", delete(sessions::delete))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}", get(tokens::show).delete(tokens::delete))
        .route("/audit", get(audit::list))
        .route("/events", get(events::stream))
        .route("/events/{stream}/topics", put(events::set_topics))
        .route("/accounts", get(accounts::list).post(accounts::add))
        .route("/accounts/summary", get(accounts::summary))
        .route("/accounts/{id}", get(accounts::show).patch(accounts::edit).delete(accounts::delete))
        .route("/accounts/{id}/actions/clear_cooldown", post(accounts::clear_cooldown))
        .route("/keys", get(keys::list).post(keys::create))
        .route("/keys/{id}", get(keys::show).patch(keys::edit).delete(keys::delete))
        .route("/keys/{id}/actions/rotate", post(keys::rotate))
        .route("/settings", get(settings::show).patch(settings::edit))
        .route("/settings/schema", get(settings::described))
        .route("/settings/reset", post(settings::reset))
        .route("/settings/validate", post(settings::validate))
        .route("/settings/history", get(settings::history))
        .route("/settings/history/{id}/actions/revert", post(settings::revert))
        .route("/settings/test/proxy", post(settings::test_proxy))
        .route("/settings/test/public_url", post(settings::test_public_url))
        .route("/system", get(system::show))
        .route("/system/health", get(system::health))
        .route("/attention", get(attention::list))
        .route("/search", get(search::search))
        // Routes, not only a fallback: beside a console that takes every path below `/admin`, fallbacks are never asked.
        .route("/", any(error::unknown_route))
        .route("/{*path}", any(error::unknown_route))
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(from_fn(error::finish))
        .with_state(state)
}
