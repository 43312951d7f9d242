//! What went wrong between us and the upstream.

use std::io;
use std::time::Duration;

use protocol::failure::{Failure, FailureKind};

/// A failure of one attempt.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub(crate) struct UpstreamError {
    pub(crate) kind: UpstreamErrorKind,
    /// Status of the answer, where there was one.
    pub(crate) status: Option<u16>,
}

/// What it was.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum UpstreamErrorKind {
    /// The upstream answered with a failure.
    #[error("{}: {}", .0.kind.label(), .0.message)]
    Failure(Failure),
    /// No connection could be made, to it or to the proxy.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Transport(String),
    /// It took too long.
    #[error("{0}")]
    Timeout(Patience),
    /// It answered with something that is not an answer.
    #[error("{0}")]
    Protocol(String),
    /// It answered with more at once than is read.
    #[error("{0}")]
    Oversized(String),
    /// The whole answer is larger than is kept.
    #[error("the answer is larger than {limit_mb} MB")]
    TooLarge { limit_mb: usize },
    /// All open answers together are larger than is kept.
    #[error("the open answers together are larger than this gateway keeps in memory")]
    NoMemory,
    /// This machine has none of what a connection needs: file descriptors, ports, buffers.
    #[error("this machine cannot open another connection: {0}")]
    Exhausted(String),
    /// It answered with nothing.
    #[error("the upstream's answer was empty")]
    Empty,
    /// There is no such route, told by the status of the refusal.
    #[error("the upstream does not offer this transport here (it answered {0})")]
    NoRoute(u16),
    /// It takes no files, in its own words.
    #[error("the upstream takes no files: {0}")]
    NoUpload(String),
    /// It does not take this file.
    #[error("the upstream does not take this image: {0}")]
    FileRefused(String),
    /// It takes no further files from this account at present.
    #[error("the upstream limits uploads: {0}")]
    UploadsLimited(String),
    /// The answer ended in the middle.
    #[error("the upstream's answer was cut off")]
    Truncated,
}

/// Which patience ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Patience {
    #[error("the socket was not opened within {} s", .0.as_secs())]
    Handshake(Duration),
    #[error("no answer began within {} s", .0.as_secs())]
    FirstEvent(Duration),
    /// What earlier attempts had left of it.
    #[error("no answer began within what earlier attempts had left of {} s", .0.as_secs())]
    Remainder(Duration),
    #[error("the upstream was silent for {} s", .0.as_secs())]
    Idle(Duration),
    #[error("the answer took longer than {} s", .0.as_secs())]
    Total(Duration),
}

impl UpstreamError {
    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Where it failed, for the request log: the upstream answered so, the credential, the way out, or on the way.
    pub(crate) fn class(&self) -> &'static str {
        match &self.kind {
            UpstreamErrorKind::Failure(failure) => match failure.kind {
                FailureKind::CredentialDead | FailureKind::UserBlocked => "credential",
                FailureKind::Exit(_) => "exit",
                _ => "upstream",
            },
            UpstreamErrorKind::Connect(_) => "exit",
            UpstreamErrorKind::NoMemory | UpstreamErrorKind::Exhausted(_) => "gateway",
            UpstreamErrorKind::Protocol(_)
            | UpstreamErrorKind::Oversized(_)
            | UpstreamErrorKind::TooLarge { .. }
            | UpstreamErrorKind::NoRoute(_)
            | UpstreamErrorKind::NoUpload(_)
            | UpstreamErrorKind::FileRefused(_)
            | UpstreamErrorKind::UploadsLimited(_)
            | UpstreamErrorKind::Empty => "upstream",
            UpstreamErrorKind::Transport(_) | UpstreamErrorKind::Timeout(_) | UpstreamErrorKind::Truncated => {
                "transport"
            }
        }
    }

    pub(crate) fn label(&self) -> &'static str {
        match &self.kind {
            UpstreamErrorKind::Failure(failure) => failure.kind.label(),
            UpstreamErrorKind::Connect(_) => "exit_unreachable",
            UpstreamErrorKind::Transport(_) => "transport",
            UpstreamErrorKind::NoRoute(_) => "no_route",
            UpstreamErrorKind::NoUpload(_) => "no_upload",
            UpstreamErrorKind::FileRefused(_) => "file_refused",
            UpstreamErrorKind::UploadsLimited(_) => "uploads_limited",
            UpstreamErrorKind::Timeout(Patience::Handshake(_)) => "timeout_handshake",
            UpstreamErrorKind::Timeout(Patience::FirstEvent(_) | Patience::Remainder(_)) => "timeout_first_event",
            UpstreamErrorKind::Timeout(Patience::Idle(_)) => "timeout_idle",
            UpstreamErrorKind::Timeout(Patience::Total(_)) => "timeout_total",
            UpstreamErrorKind::Protocol(_) => "protocol",
            UpstreamErrorKind::Oversized(_) => "oversized",
            UpstreamErrorKind::TooLarge { .. } => "answer_too_large",
            UpstreamErrorKind::NoMemory => "answers_too_large",
            UpstreamErrorKind::Exhausted(_) => "machine_exhausted",
            UpstreamErrorKind::Empty => "empty_answer",
            UpstreamErrorKind::Truncated => "truncated",
        }
    }
}

impl From<UpstreamErrorKind> for UpstreamError {
    fn from(kind: UpstreamErrorKind) -> Self {
        Self { kind, status: None }
    }
}

impl From<Failure> for UpstreamError {
    fn from(failure: Failure) -> Self {
        UpstreamErrorKind::Failure(failure).into()
    }
}

impl From<reqwest::Error> for UpstreamError {
    fn from(error: reqwest::Error) -> Self {
        if let Some(exhausted) = exhaustion(&error) {
            return UpstreamErrorKind::Exhausted(exhausted).into();
        }
        // A dead proxy is reported as a request error with a connector's error beneath, not as `is_connect`.
        let connecting = error.is_connect() || error.is_request() && chain(&error).contains("connect");
        let words = chain(&error.without_url());
        if connecting { UpstreamErrorKind::Connect(words) } else { UpstreamErrorKind::Transport(words) }.into()
    }
}

/// What this machine ran out of, if that is why.
fn exhaustion(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && is_exhaustion(error)
        {
            return Some(error.to_string());
        }
        cause = error.source();
    }
    None
}

/// Whether it is this machine that has no more: of open files (EMFILE, ENFILE), memory (ENOMEM), buffers (ENOBUFS), or local
/// addresses and ports (EADDRNOTAVAIL). An address of a family that the machine does not have counts among the last; the
/// client tries the other family first, and both must fail.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// The error's words and those of its causes; the address is left out, it may hold a proxy's password.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        source = cause.source();
    }
    words
}
