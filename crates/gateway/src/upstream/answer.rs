//! An answer's bytes, pulled.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;

use super::UpstreamError;
use super::shards::Slot;

/// The body of an answer that has begun. Dropping it ends the upstream's stream.
pub(crate) struct AnswerBody {
    body: reqwest::Body,
    _slot: Slot,
}

impl AnswerBody {
    pub(super) fn new(response: reqwest::Response, slot: Slot) -> Self {
        Self { body: http::Response::from(response).into_body(), _slot: slot }
    }

    /// The next piece; `None` at the end.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if piece.is_empty() => continue,
                    Ok(piece) => Some(Ok(piece)),
                    // Trailers say nothing.
                    Err(_) => continue,
                },
                Some(Err(error)) => Some(Err(error.into())),
                None => None,
            });
        }
    }
}
