//! An answer that has begun, as the events of no particular dialect. What speaks which dialect ends here.

use std::task::{Context, Poll};

use protocol::event::GrokEvent;

use super::rest_answer::RestAnswer;
use super::socket_answer::SocketAnswer;
use super::{Transport, UpstreamError};

/// An answer that has begun. Dropping it ends the upstream's work on it.
pub(crate) enum UpstreamAnswer {
    Rest(RestAnswer),
    Websocket(Box<SocketAnswer>),
}

/// What one look at an answer brought.
pub(crate) enum Heard {
    /// Events were told, or at least a sign of life came.
    Something,
    /// Nothing more will come, in order or (with an error) not. Whether the answer is whole, its events have told.
    End(Option<UpstreamError>),
    /// What comes cannot be read on.
    Unreadable(UpstreamError),
}

impl UpstreamAnswer {
    /// Tells the events that have come to `event`.
    pub(crate) fn poll_events(
        &mut self,
        context: &mut Context<'_>,
        event: &mut impl FnMut(GrokEvent<'_>),
    ) -> Poll<Heard> {
        match self {
            Self::Rest(answer) => answer.poll_events(context, event),
            Self::Websocket(answer) => answer.poll_events(context, event),
        }
    }

    /// Bytes that wait for the end of what they belong to.
    pub(crate) fn buffered(&self) -> usize {
        match self {
            Self::Rest(answer) => answer.buffered(),
            Self::Websocket(answer) => answer.buffered(),
        }
    }

    /// What it comes over.
    pub(crate) fn transport(&self) -> Transport {
        match self {
            Self::Rest(_) => Transport::Rest,
            Self::Websocket(_) => Transport::Websocket,
        }
    }
}
