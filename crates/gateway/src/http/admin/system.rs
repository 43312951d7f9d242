//! `/system`: what runs here, and whether its parts work.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use crate::clock::timestamp;
use crate::settings::UpstreamTransport;
use crate::store::{Trouble, TroubleKind};

/// What of `/v1` this version offers.
const ENDPOINTS: [&str; 3] = ["chat_completions", "responses", "models"];

/// What runs here.
#[derive(Serialize, ToSchema)]
pub(super) struct SystemBody {
    version: &'static str,
    started_at: String,
    uptime_s: i64,
    server_time: String,
    /// Endpoints of `/v1` that this version offers.
    endpoints: [&'static str; 3],
    /// The setting `base_url`; `null` where it is not set.
    public_url: Option<String>,
    storage: StorageBody,
    accounts: usize,
    keys: usize,
    upstream: UpstreamBody,
}

/// How the upstream is spoken to.
#[derive(Serialize, ToSchema)]
pub(super) struct UpstreamBody {
    /// The setting `upstream_transport`: `auto`, `websocket`, `rest`.
    transport: UpstreamTransport,
    /// Accounts by what their last answer came over.
    accounts: BTreeMap<&'static str, u64>,
}

/// Where things are kept.
#[derive(Serialize, ToSchema)]
pub(super) struct StorageBody {
    /// `sqlite`.
    kind: &'static str,
    database_bytes: i64,
    /// Rows that wait to be written.
    writes_waiting: usize,
    /// Rows of the log that were dropped because the database could not keep up.
    writes_dropped: u64,
}

/// Whether the parts work.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// The worst of the parts: `ok`, `degraded`, `failed`.
    status: &'static str,
    components: Vec<Component>,
}

/// One part.
#[derive(Serialize, ToSchema)]
pub(super) struct Component {
    /// `database`, `upstream_exit`, `accounts`, `settings_file`.
    name: &'static str,
    /// `ok`, `degraded`, `failed`.
    status: &'static str,
    /// Of the database: what is wrong with it.
    code: Option<TroubleKind>,
    message: Option<String>,
    /// Of a database that was deleted: the file in which its content was saved.
    saved_as: Option<String>,
}

/// `GET /system`
#[utoipa::path(
    get,
    path = "/system",
    operation_id = "system_show",
    tag = "system",
    responses((status = 200, description = "What runs here.", body = SystemBody)),
)]
pub(super) async fn show(State(state): State<AdminState>, _: Caller) -> Result<Json<SystemBody>, AdminError> {
    let now = state.clock.now_ms();
    let settings = state.settings.current();
    let (public_url, transport) = (settings.base_url.clone(), settings.upstream_transport);
    Ok(Json(SystemBody {
        version: env!("CARGO_PKG_VERSION"),
        started_at: timestamp(state.started_at),
        uptime_s: (now - state.started_at).div_euclid(1_000),
        server_time: timestamp(now),
        endpoints: ENDPOINTS,
        public_url: (!public_url.is_empty()).then_some(public_url),
        storage: StorageBody {
            kind: "sqlite",
            database_bytes: state.store.bytes().await?,
            writes_waiting: state.writer.waiting(),
            writes_dropped: state.writer.dropped(),
        },
        accounts: state.accounts.len(),
        keys: state.keys.len(),
        upstream: UpstreamBody { transport, accounts: state.accounts.summary().transports },
    }))
}

/// `GET /system/health`
#[utoipa::path(
    get,
    path = "/system/health",
    operation_id = "system_health",
    tag = "system",
    responses((status = 200, description = "Whether the parts work.", body = HealthBody)),
)]
pub(super) async fn health(State(state): State<AdminState>, _: Caller) -> Json<HealthBody> {
    let components = components(&state).await;
    let status = ["failed", "degraded"].into_iter().find(|bad| components.iter().any(|part| part.status == *bad));
    Json(HealthBody { status: status.unwrap_or("ok"), components })
}

async fn components(state: &AdminState) -> Vec<Component> {
    let part = |name, status, message: Option<String>| Component { name, status, code: None, message, saved_as: None };
    let database = match (state.store.trouble().await, state.store.damage()) {
        (Some(Trouble { kind, message, saved_as }), _) => {
            Component { code: Some(kind), saved_as, ..part("database", "failed", Some(message)) }
        }
        (None, Some(damage)) => {
            Component { code: Some(TroubleKind::Damaged), ..part("database", "degraded", Some(damage)) }
        }
        (None, None) => part("database", "ok", None),
    };
    let exit = match state.exit.closed() {
        Some(label) => part("upstream_exit", "degraded", Some(label.to_owned())),
        None => part("upstream_exit", "ok", None),
    };
    let summary = state.accounts.summary();
    let available = summary.able();
    let accounts = match (summary.total, available) {
        (0, _) => part("accounts", "failed", Some("there is no account".to_owned())),
        (_, 0) => part("accounts", "failed", Some("no account can serve now".to_owned())),
        _ => part("accounts", "ok", None),
    };
    let settings_file = match state.settings.refusal() {
        Some(problem) => part("settings_file", "degraded", Some(problem)),
        None => part("settings_file", "ok", None),
    };
    vec![database, exit, accounts, settings_file]
}
