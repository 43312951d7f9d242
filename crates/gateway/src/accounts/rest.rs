//! How long an account rests, and why.

use super::entry::{Entry, Invalid, Rest};

/// What an account did wrong, as far as the upstream's answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Told to slow down or out of quota; `None` where the answer did not say which.
    RateLimited { quota_left: Option<bool> },
    /// The credential is unknown or was revoked.
    CredentialDead,
    /// The user is blocked.
    UserBlocked,
    /// The mode is not part of what the account may use.
    ModeUnavailable,
    /// Anything ordinary: an error of the upstream, a time-out, an empty answer.
    Failure,
}

impl Fault {
    /// The charge's name: the reason of the rest or of the end that it leads to.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::RateLimited { quota_left: Some(false) } => RATE_LIMITED_NO_QUOTA,
            Self::RateLimited { .. } => RATE_LIMITED_QUOTA_LEFT,
            Self::CredentialDead => CREDENTIAL_DEAD,
            Self::UserBlocked => USER_BLOCKED,
            Self::ModeUnavailable => MODE_UNAVAILABLE,
            // Only several in a row lead to a rest.
            Self::Failure => "failure_counted",
        }
    }
}

/// The lengths of rests, from the settings. Seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestLengths {
    pub(crate) quota_left: i64,
    pub(crate) quota_gone: i64,
    pub(crate) failures: i64,
    /// Ordinary failures in a row that lead to a rest.
    pub(crate) failures_in_a_row: i64,
}

/// How long a mode that the account may not use is left alone. Plans change seldom, but they do.
const MODE_UNAVAILABLE_S: i64 = 3_600;

pub(super) const RATE_LIMITED_QUOTA_LEFT: &str = "rate_limited_quota_left";
pub(super) const RATE_LIMITED_NO_QUOTA: &str = "rate_limited_no_quota";
pub(super) const CONSECUTIVE_FAILURES: &str = "consecutive_failures";
pub(super) const MODE_UNAVAILABLE: &str = "mode_unavailable";
pub(super) const CREDENTIAL_DEAD: &str = "credential_dead";
pub(super) const USER_BLOCKED: &str = "user_blocked";
/// The account's token was sealed with another key, so nothing can be asked with it. Decided at the start, not stored for good.
pub(crate) const TOKEN_UNREADABLE: &str = "token_unreadable";

/// Charges an account. A rest covers the whole account until the upstream has told which mode is used up.
pub(super) fn charge(entry: &mut Entry, fault: Fault, mode: &str, lengths: &RestLengths, request: &str, now: i64) {
    let rest = |mode: Option<&str>, reason: &str, seconds: i64| Rest {
        mode: mode.map(str::to_owned),
        reason: reason.to_owned(),
        since: now,
        until: now + seconds * 1_000,
        caused_by: Some(request.to_owned()),
    };
    let invalid = |reason: &str| Some(Invalid { reason: reason.to_owned(), since: now });
    match fault {
        Fault::RateLimited { quota_left: Some(false) } => {
            entry.rest_at_least(rest(None, RATE_LIMITED_NO_QUOTA, lengths.quota_gone));
        }
        Fault::RateLimited { .. } => entry.rest_at_least(rest(None, RATE_LIMITED_QUOTA_LEFT, lengths.quota_left)),
        Fault::CredentialDead => entry.invalid = invalid(CREDENTIAL_DEAD),
        Fault::UserBlocked => entry.invalid = invalid(USER_BLOCKED),
        Fault::ModeUnavailable => entry.rest_at_least(rest(Some(mode), MODE_UNAVAILABLE, MODE_UNAVAILABLE_S)),
        Fault::Failure => {
            entry.failures += 1;
            // On probation the first failure counts as the last of the row.
            if entry.failures >= lengths.failures_in_a_row || entry.probation {
                entry.rest_at_least(rest(None, CONSECUTIVE_FAILURES, lengths.failures));
                entry.failures = 0;
            }
        }
    }
    if entry.invalid.is_some() || !entry.rests.is_empty() {
        entry.probation = false;
    }
}
