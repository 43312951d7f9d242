//! Which API key a request comes with.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::ApiState;
use super::error::ApiError;
use crate::keys::{ApiKey, Verified};

/// Checks the key of a request and notes its use. Some clients send a key in two headers; one good one is enough.
pub(super) fn authenticate(state: &ApiState, headers: &HeaderMap) -> Result<Arc<ApiKey>, ApiError> {
    let mut refusal = ApiError::missing_key();
    for secret in secrets(headers) {
        match state.keys.verify(secret) {
            Verified::Ok(key) => {
                state.keys.touch(&key.id, state.clock.now_ms());
                return Ok(key);
            }
            Verified::Disabled => refusal = ApiError::disabled_key(),
            Verified::Unknown if refusal.code == "api_key_disabled" => {}
            Verified::Unknown => refusal = ApiError::unknown_key(),
        }
    }
    Err(refusal)
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
