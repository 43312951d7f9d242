//! Which API key a request comes with, and whether it may be used now.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, USER_AGENT};

use super::ApiState;
use super::client_address::ClientAddress;
use super::error::{ApiError, UNKNOWN_KEY};
use super::request_id::RequestId;
use crate::audit::RejectedRequest;
use crate::keys::{ApiKey, Verified, preview};

/// Longest user agent kept of a request without a valid key.
const USER_AGENT_LENGTH: usize = 200;

/// A request that is to show a key.
pub(super) struct Asking<'a> {
    pub(super) route: &'static str,
    pub(super) headers: &'a HeaderMap,
    pub(super) request_id: &'a RequestId,
    pub(super) client: Option<ClientAddress>,
}

/// Checks the key of a request and notes its use, or that there is no valid one.
pub(super) fn authenticate(state: &ApiState, asking: &Asking<'_>) -> Result<Arc<ApiKey>, ApiError> {
    let checked = check(state, asking.headers);
    if let Err(error) = &checked {
        let agent = asking.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        state.recorder.rejected().note(RejectedRequest {
            at: 0,
            request_id: Arc::clone(&asking.request_id.0),
            route: asking.route,
            status: error.status.as_u16(),
            code: error.code,
            client_ip: asking.client.map(|client| client.0),
            user_agent: agent.map(|agent| agent.chars().take(USER_AGENT_LENGTH).collect()),
            key_preview: secrets(asking.headers).next().map(preview),
        });
    }
    checked
}

/// Some clients send a key in two headers; one good one is enough.
fn check(state: &ApiState, headers: &HeaderMap) -> Result<Arc<ApiKey>, ApiError> {
    let mut refusal = None;
    for secret in secrets(headers) {
        let refused = match state.keys.verify(secret) {
            Verified::Ok(key) => {
                state.keys.touch(&key);
                return Ok(key);
            }
            Verified::Disabled => ApiError::disabled_key(),
            Verified::Expired => ApiError::expired_key(),
            Verified::Replaced => ApiError::replaced_key(),
            Verified::Unknown => ApiError::unknown_key(),
        };
        // A key that was known once says more than one that never was.
        if refusal.as_ref().is_none_or(|refusal: &ApiError| refusal.code == UNKNOWN_KEY) {
            refusal = Some(refused);
        }
    }
    Err(refusal.unwrap_or_else(ApiError::missing_key))
}

fn secrets(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(|value| {
        // The space of an empty `Bearer ` does not survive the way here.
        let (scheme, secret) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") { secret.trim() } else { value.trim() }
    });
    let others = ["x-api-key", "api-key"].into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    bearer.into_iter().chain(others.map(str::trim)).filter(|secret| !secret.is_empty())
}
