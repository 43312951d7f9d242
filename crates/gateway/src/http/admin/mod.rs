//! The admin API, mounted at `/admin/api/v1`: what the console and scripts use.
//!
//! One file per group of endpoints. Every answer is JSON and never cached; every failure, unknown routes included, is the one
//! error object of `error.rs`. Only a session opens these routes; API keys never do.

mod accounts;
mod body;
mod caller;
mod claim;
mod error;
mod export;
mod identifiers;
mod keys;
mod page;
mod parameters;
mod password;
mod request_query;
mod request_view;
mod requests;
mod session;
mod settings;
mod statistics;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{any, get, post, put};

use crate::accounts::AccountPool;
use crate::admins::Admins;
use crate::audit::Records;
use crate::clock::Clock;
use crate::keys::ApiKeys;
use crate::settings::SettingsHandle;
use crate::telemetry::Metrics;

pub(crate) use caller::is_signed_in;
pub(crate) use page::page;

/// What the endpoints work with.
#[derive(Clone)]
pub(crate) struct AdminState {
    pub(crate) settings: SettingsHandle,
    pub(crate) keys: ApiKeys,
    pub(crate) admins: Admins,
    pub(crate) accounts: AccountPool,
    pub(crate) records: Records,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

/// All routes, relative to where they are mounted.
pub(crate) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/session", get(session::show).post(session::sign_in).delete(session::sign_out))
        .route("/claim", post(claim::claim))
        .route("/me/password", put(password::change))
        .route("/accounts", get(accounts::list).post(accounts::add))
        .route("/accounts/summary", get(accounts::summary))
        .route("/accounts/{id}", get(accounts::show).patch(accounts::edit).delete(accounts::delete))
        .route("/accounts/{id}/actions/clear_cooldown", post(accounts::clear_cooldown))
        .route("/keys", get(keys::list).post(keys::create))
        .route("/keys/{id}", get(keys::show).patch(keys::edit).delete(keys::delete))
        .route("/requests", get(requests::list))
        .route("/requests/facets", get(requests::facets))
        .route("/requests/histogram", get(requests::histogram))
        .route("/requests/{id}", get(requests::show))
        .route("/stats/now", get(statistics::now))
        .route("/stats/series", get(statistics::series))
        .route("/stats/top", get(statistics::top))
        .route("/stats/heatmap", get(statistics::heatmap))
        .route("/stats/capacity", get(statistics::capacity))
        .route("/settings", get(settings::show).patch(settings::edit))
        .route("/settings/schema", get(settings::described))
        .route("/settings/reset", post(settings::reset))
        // Routes, not only a fallback: beside a console that takes every path below `/admin`, fallbacks are never asked.
        .route("/", any(error::unknown_route))
        .route("/{*path}", any(error::unknown_route))
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(from_fn(error::finish))
        .with_state(state)
}
