//! Why an account was taken, told after the choice; the choice itself is in `choose`.

use super::entry::Entry;
use super::{AccountPool, Lease};

/// Why a lease is of this account.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceReason {
    /// It is the preferred account.
    pub(crate) is_preferred: bool,
    /// Why the preferred account was not taken: `disabled`, `invalid`, `deleted`, `tried`, or the reason of its rest.
    pub(crate) preferred_skipped: Option<String>,
    /// Accounts there are.
    pub(crate) accounts: usize,
    /// Accounts that could serve the mode besides this one.
    pub(crate) ready: usize,
}

impl AccountPool {
    /// Why `lease` is what [`AccountPool::acquire`] answered to the same question.
    pub(crate) fn choice_reason(&self, lease: &Lease, preferred: Option<&str>, tried: &[u32]) -> ChoiceReason {
        let now = self.shared.clock.now_ms();
        let state = self.state();
        let is_preferred = preferred == Some(lease.account_id());
        let preferred_skipped = preferred.filter(|_| !is_preferred).map(|id| match state.find(id) {
            None => "deleted".to_owned(),
            Some(index) if tried.contains(&index) => "tried".to_owned(),
            Some(index) => state.entry(index).map_or("deleted", |entry| why_not(entry, lease.mode(), now)).to_owned(),
        });
        ChoiceReason { is_preferred, preferred_skipped, accounts: state.len(), ready: state.ready_count(lease.mode()) }
    }
}

/// Why an account cannot serve a mode.
pub(super) fn why_not<'a>(entry: &'a Entry, mode: &str, now: i64) -> &'a str {
    if !entry.enabled {
        "disabled"
    } else if entry.invalid.is_some() {
        "invalid"
    } else {
        entry
            .rests
            .iter()
            .find(|rest| rest.until > now && rest.covers(mode))
            .map_or("busy", |rest| rest.reason.as_str())
    }
}
