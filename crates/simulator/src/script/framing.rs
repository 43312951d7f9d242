//! When an answer begins, and how its bytes are cut.

use std::time::Duration;

/// What the caller waits for before the response headers arrive; on a socket, before the first event of the turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BeforeHeaders {
    /// Nothing: headers come at once.
    #[default]
    Send,
    /// Headers come after this long.
    Wait(Duration),
    /// Headers never come.
    Hang,
}

/// The form of the byte stream (UPSTREAM.md 5.1), and of messages on a socket: what is not set off by plain newlines
/// shares a message there with two others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// What stands between two objects.
    pub separator: Separator,
    /// Whether one object is one network write.
    pub cut: NetworkCut,
}

/// What stands between two objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Separator {
    /// A newline after each object.
    #[default]
    Newline,
    /// A newline between objects, none after the last.
    NewlineBetween,
    /// Nothing: `}{`.
    Glued,
    /// CR LF after each object.
    CarriageReturnNewline,
    /// A newline after each object and two empty lines, one of them with CR.
    BlankLines,
    /// `data: ` before each object, an empty line after it, `data: [DONE]` at the end.
    ServerSentEvents,
}

/// How the network cuts the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkCut {
    /// Each object is handed over whole.
    #[default]
    Whole,
    /// Each byte is a write of its own, also inside UTF-8 and escapes; on a socket a fragment of its own, and a control ping
    /// stands between the first two.
    EveryByte,
}
