//! Reading a request's body: under a limit, and not for ever. How long one may take is watched by [`Paced`](super::pace::Paced),
//! which is around every body from the moment its request arrives.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;

use super::pace::Late;

/// How much is still taken in, and for how long, of a body that is refused: a client that is closed on while it sends is reset
/// by its system and often never reads why it was refused.
const DISCARDED: usize = 8 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Bodies that are taken in for nothing at the same time: while one is, its connection's buffer grows. Beyond that, a client that goes on
/// sending may be reset before it has read why; in a flood of refused bodies nobody is owed more.
static DISCARDING: Semaphore = Semaphore::const_new(64);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    /// The connection broke, or what came was no body.
    Broken,
}

/// Takes in and forgets the rest of a body that will not be used, within bounds.
pub(super) async fn discard(mut body: Body) {
    let Ok(_place) = DISCARDING.try_acquire() else { return };
    let discarding = async {
        let mut discarded = 0;
        while discarded <= DISCARDED
            && let Some(Ok(frame)) = body.frame().await
        {
            discarded += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Whoever has not sent it by now is not waiting to be rid of it.
    let _ = tokio::time::timeout(DISCARD_TIME, discarding).await;
}

/// Reads a body of at most so many bytes.
pub(super) async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(length) = announced
        && length > limit
    {
        if length <= limit.saturating_add(DISCARDED) {
            discard(body).await;
        }
        return Err(BodyError::TooLarge);
    }
    // Not more is set aside than has arrived: an announced length costs the client nothing.
    let mut collected = BytesMut::new();
    loop {
        let Some(frame) = body.frame().await else { return Ok(collected.freeze()) };
        let frame = frame
            .map_err(|error| if error.into_inner().is::<Late>() { BodyError::TooSlow } else { BodyError::Broken })?;
        let Ok(piece) = frame.into_data() else { continue };
        if piece.len() > limit - collected.len() {
            drop(collected);
            discard(body).await;
            return Err(BodyError::TooLarge);
        }
        if collected.is_empty() && Some(piece.len()) == announced {
            // The usual case: the whole body in one piece.
            return Ok(piece);
        }
        collected.extend_from_slice(&piece);
    }
}
