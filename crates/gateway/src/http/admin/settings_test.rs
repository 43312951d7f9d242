//! `/settings/test/…`: trying things out before they are saved.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use super::body::JsonBody;
use super::caller::Caller;
use super::error::AdminError;
use crate::settings::{SettingsPatch, WebAddress};

/// What a way out is like.
#[derive(Serialize, ToSchema)]
pub(super) struct ProxyTest {
    /// Whether requests reach the upstream and are not refused for where they come from.
    ok: bool,
    /// `reachable`, or what stood in the way: `exit_unreachable`, `challenge`, `anti_bot`, …
    outcome: &'static str,
    /// The address that the upstream sees, where it tells.
    exit_address: Option<String>,
    latency_ms: Option<u64>,
    /// What the upstream answered to a call without an account.
    status: Option<u16>,
    message: Option<String>,
}

/// Where the public address leads.
#[derive(Serialize, ToSchema)]
pub(super) struct PublicUrlTest {
    ok: bool,
    /// `this_gateway`, `something_else`, `unreachable`.
    outcome: &'static str,
    base_url: String,
    latency_ms: Option<u64>,
    status: Option<u16>,
    message: Option<String>,
    /// `loopback`: only this machine reaches it; `plain_http`: keys would travel readable.
    warnings: Vec<&'static str>,
}

/// `POST /settings/test/proxy`: goes out under the settings with the body laid over them, before they are saved.
#[utoipa::path(
    post,
    path = "/settings/test/proxy",
    operation_id = "settings_test_proxy",
    tag = "settings",
    request_body = SettingsPatch,
    responses((status = 200, description = "What the way out is like.", body = ProxyTest)),
)]
pub(super) async fn proxy(
    State(state): State<AdminState>,
    _: Caller,
    JsonBody(patch): JsonBody,
) -> Result<Json<ProxyTest>, AdminError> {
    let settings = state.settings.with(&patch)?;
    let probe = state.upstream.probe_exit(&settings).await;
    Ok(Json(ProxyTest {
        ok: probe.ok,
        outcome: probe.outcome,
        exit_address: probe.exit_address,
        latency_ms: probe.latency_ms,
        status: probe.status,
        message: probe.message,
    }))
}

/// `POST /settings/test/public_url`: whether `base_url`, with the body laid over the settings, leads to this gateway.
#[utoipa::path(
    post,
    path = "/settings/test/public_url",
    operation_id = "settings_test_public_url",
    tag = "settings",
    request_body = SettingsPatch,
    responses((status = 200, description = "Where the address leads.", body = PublicUrlTest)),
)]
pub(super) async fn public_url(
    State(state): State<AdminState>,
    _: Caller,
    JsonBody(patch): JsonBody,
) -> Result<Json<PublicUrlTest>, AdminError> {
    let base_url = state.settings.with(&patch)?.base_url;
    let Some(address) = WebAddress::parse(&base_url) else {
        return Err(AdminError::field("/base_url", "required", "must be set, or given to be tried"));
    };
    let host = address.authority.rsplit_once(':').map_or(address.authority, |(host, _)| host).trim_matches(['[', ']']);
    let is_loopback =
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|host| host.is_loopback());
    let mut warnings = Vec::new();
    if is_loopback {
        warnings.push("loopback");
    } else if address.scheme.eq_ignore_ascii_case("http") {
        warnings.push("plain_http");
    }
    let probe = state.upstream.probe_address(&base_url).await;
    Ok(Json(PublicUrlTest {
        ok: probe.ok,
        outcome: probe.outcome,
        latency_ms: probe.latency_ms,
        status: probe.status,
        message: probe.message,
        warnings,
        base_url,
    }))
}
