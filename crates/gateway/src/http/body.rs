//! Reading a request's body: under a limit, and not for ever.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;

use super::error::ApiError;

/// A client that sends nothing for so long is gone, or holds the connection on purpose.
const SILENCE: Duration = Duration::from_secs(20);

/// Reads a body of at most `limit_mb`.
pub(super) async fn read(headers: &HeaderMap, mut body: Body, limit_mb: u64) -> Result<Bytes, ApiError> {
    let limit = usize::try_from(limit_mb.saturating_mul(1024 * 1024)).unwrap_or(usize::MAX);
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(ApiError::too_large(limit_mb));
    }
    // Not more is set aside than has arrived: an announced length costs the client nothing.
    let mut collected = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await.map_err(|_| ApiError::body_timeout())?;
        let Some(frame) = frame else { return Ok(collected.freeze()) };
        let Ok(piece) = frame.map_err(|_| ApiError::broken_body())?.into_data() else { continue };
        if piece.len() > limit - collected.len() {
            return Err(ApiError::too_large(limit_mb));
        }
        if collected.is_empty() && Some(piece.len()) == announced {
            // The usual case: the whole body in one piece.
            return Ok(piece);
        }
        collected.extend_from_slice(&piece);
    }
}
