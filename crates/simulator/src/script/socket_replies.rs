//! Replies that only a socket can do justice to (UPSTREAM.md 16). Over REST what is left of them is played.

use std::time::Duration;

use super::{
    reply::{Reply, When},
    socket_scenarios, socket_sessions,
};

/// How a turn on a socket ends badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// The socket is closed.
    Closed,
    /// `session.ended`, then the socket is closed.
    SessionEnded,
    /// An `error` event.
    Error,
    /// `response.done` with `incomplete`.
    Incomplete,
    /// `response.done` with `failed`.
    Failed,
    /// `response.done` with `cancelled`.
    Cancelled,
    /// `response.done` without a status: a good end.
    NoStatus,
    /// Nothing more.
    Silence,
}

impl Reply {
    /// A turn that ends badly. Over REST all but [`TurnEnd::Silence`] and [`TurnEnd::Error`] end the body early.
    pub fn ended(end: TurnEnd, when: When) -> Self {
        socket_scenarios::ended(end, when)
    }

    /// `stream_error` with this `kind`, then `response.done` with `incomplete`.
    pub fn output_error(kind: &str, message: &str, when: When) -> Self {
        socket_scenarios::output_error(kind, message, when)
    }

    /// An `error` event instead of the session's opening.
    pub fn session_error(code: &str, message: &str) -> Self {
        socket_sessions::session_error(code, message)
    }

    /// `conversation.attached` before `session.created`.
    pub fn order_swap() -> Self {
        socket_sessions::order_swap()
    }

    /// Events of another session, and answers to another client's events, around the real ones.
    pub fn foreign_frames() -> Self {
        socket_sessions::foreign_frames()
    }

    /// Hundreds of earlier messages before the live turn.
    pub fn history() -> Self {
        socket_sessions::history()
    }

    /// The socket is lost when the message is stored; the answer goes on and is there for who comes back.
    pub fn drop_after_item() -> Self {
        socket_scenarios::drop_after_item()
    }

    /// So long a silence in the middle of an answer, while pings are answered.
    pub fn quiet(silence: Duration) -> Self {
        socket_scenarios::quiet(silence)
    }

    /// Three tokens, then silence, and no answer to any ping from the session's start on.
    pub fn no_pongs() -> Self {
        socket_scenarios::no_pongs()
    }

    /// A message of 64 MiB in the middle of an answer.
    pub fn oversized() -> Self {
        socket_scenarios::oversized()
    }
}
