//! What a failure means: whose fault it was, and whether another attempt makes sense. Decided here, once; pool, retry, metric
//! and status all read it.

use protocol::failure::{ExitTrouble, FailureKind, Rejection};

use super::{Patience, UpstreamError, UpstreamErrorKind};

/// The judgement on one failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Constant name for logs, metrics and the request table.
    pub(crate) label: &'static str,
    pub(crate) blame: Blame,
    pub(crate) retry: Retry,
    /// Whether the upstream itself was heard, so that the way to it works.
    pub(crate) upstream_spoke: bool,
}

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The request's own, or nobody's.
    Nobody,
    /// The way out: address, proxy, clearance. The account is not charged.
    Exit,
    RateLimited {
        quota_left: Option<bool>,
    },
    CredentialDead,
    UserBlocked,
    ModeUnavailable,
    /// An ordinary failure; several in a row lead to a rest.
    Failure,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It would fail again.
    No,
    /// With another account.
    OtherAccount,
    /// Once more. The exit is the same for every account, so a conversation stays with its own.
    Once,
    /// Once more, with another account: perhaps it is the account after all.
    OtherAccountOnce,
    /// The upstream no longer has the conversation: the same account, from the history.
    StartOver,
}

impl UpstreamError {
    pub(crate) fn verdict(&self) -> Verdict {
        let (blame, retry) = match &self.kind {
            UpstreamErrorKind::Failure(failure) => judge(failure.kind),
            UpstreamErrorKind::Connect(_) => (Blame::Exit, Retry::Once),
            // The request's own doing: it would be as long with every account.
            UpstreamErrorKind::Oversized(_) | UpstreamErrorKind::TooLarge { .. } => (Blame::Nobody, Retry::No),
            // So it is for every account, until the operator or the upstream changes something.
            UpstreamErrorKind::NoRoute(_) | UpstreamErrorKind::NoUpload(_) => (Blame::Nobody, Retry::No),
            // This gateway's own want: no account and no way out would help.
            UpstreamErrorKind::NoMemory | UpstreamErrorKind::Exhausted(_) => (Blame::Nobody, Retry::No),
            // It had less time than an answer may take.
            UpstreamErrorKind::Timeout(Patience::Remainder(_)) => (Blame::Nobody, Retry::No),
            // No account would be served with it.
            UpstreamErrorKind::FileRefused(_) => (Blame::Nobody, Retry::No),
            // The account still chats; another may still take files.
            UpstreamErrorKind::UploadsLimited(_) => (Blame::Nobody, Retry::OtherAccount),
            UpstreamErrorKind::Transport(_)
            | UpstreamErrorKind::Timeout(_)
            | UpstreamErrorKind::Protocol(_)
            | UpstreamErrorKind::Empty
            | UpstreamErrorKind::Truncated => (Blame::Failure, Retry::OtherAccount),
        };
        let upstream_spoke = !matches!(self.kind, UpstreamErrorKind::Exhausted(_) | UpstreamErrorKind::Timeout(_));
        Verdict { label: self.label(), blame, retry, upstream_spoke }
    }
}

fn judge(kind: FailureKind) -> (Blame, Retry) {
    match kind {
        FailureKind::RateLimited { quota_left } => (Blame::RateLimited { quota_left }, Retry::OtherAccount),
        FailureKind::CredentialDead => (Blame::CredentialDead, Retry::OtherAccount),
        FailureKind::UserBlocked => (Blame::UserBlocked, Retry::OtherAccount),
        FailureKind::Exit(ExitTrouble::Unknown) => (Blame::Exit, Retry::OtherAccountOnce),
        FailureKind::Exit(_) => (Blame::Exit, Retry::Once),
        FailureKind::ModelUnavailable => (Blame::ModeUnavailable, Retry::OtherAccount),
        FailureKind::NotFound => (Blame::Nobody, Retry::StartOver),
        FailureKind::Rejected {
            reason: Rejection::BadRequest | Rejection::TooLong | Rejection::Moderated | Rejection::Attachment,
        } => (Blame::Nobody, Retry::No),
        FailureKind::Unavailable => (Blame::Failure, Retry::OtherAccount),
    }
}
