//! An answer over REST: bytes are pulled, cut into frames and decoded.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use protocol::event::GrokEvent;
use protocol::frame::FrameSplitter;
use protocol::rest;
use tokio::task::coop;

use super::answer::Heard;
use super::shards::Slot;
use super::{AnswerLimits, UpstreamError, UpstreamErrorKind};

/// The body of an answer. Dropping it ends the upstream's stream.
pub(crate) struct RestAnswer {
    body: reqwest::Body,
    splitter: FrameSplitter,
    limits: AnswerLimits,
    /// Decompressed bytes so far.
    read: u64,
    _slot: Slot,
}

impl RestAnswer {
    pub(super) fn new(response: reqwest::Response, slot: Slot, limits: AnswerLimits) -> Self {
        let body = http::Response::from(response).into_body();
        Self { body, splitter: FrameSplitter::new(limits.message), limits, read: 0, _slot: slot }
    }

    /// Bytes that wait for the end of their object.
    pub(super) fn buffered(&self) -> usize {
        self.splitter.held()
    }

    pub(super) fn poll_events(
        &mut self,
        context: &mut Context<'_>,
        event: &mut impl FnMut(GrokEvent<'_>),
    ) -> Poll<Heard> {
        let error = match ready!(self.poll_piece(context)) {
            Some(Ok(piece)) => {
                self.read = self.read.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                if self.read > self.limits.wire {
                    return Poll::Ready(Heard::Unreadable(self.limits.exceeded()));
                }
                let pushed = self.splitter.push(&piece, |frame| rest::decode(frame, &mut *event));
                return Poll::Ready(match pushed {
                    Ok(()) => Heard::Something,
                    Err(error) => Heard::Unreadable(UpstreamErrorKind::Oversized(error.to_string()).into()),
                });
            }
            // A connection that breaks is a cut like an early end.
            Some(Err(error)) => Some(error),
            None => None,
        };
        self.splitter.finish(|frame| rest::decode(frame, &mut *event));
        Poll::Ready(Heard::End(error))
    }

    /// The next piece; `None` at the end. Decompression hands over a few KiB at a time, whatever the piece on the wire becomes.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        loop {
            // Every piece counts, the empty ones too: an upstream that never stops must let others have the thread.
            let turn = ready!(coop::poll_proceed(context));
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            turn.made_progress();
            return Poll::Ready(match frame {
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
