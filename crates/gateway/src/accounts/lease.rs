//! The right to use an account for one attempt.

use std::sync::{Arc, MutexGuard};

use super::choose::{NoAccount, State};
use super::entry::Entry;
use super::history::Cause;
use super::rest::{Fault, RestLengths, charge};
use super::{AccountPool, TOKEN_CONTEXT};
use crate::upstream::Credential;

/// How an attempt ended, for the account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Settlement<'a> {
    /// It answered.
    Success,
    /// Nothing that it could be blamed for.
    Blameless,
    /// It is to blame.
    Charged { fault: Fault, lengths: &'a RestLengths, request: &'a str },
}

/// An account in use. Dropped unsettled it settles without blame: a web server drops a request whose client has left.
pub(crate) struct Lease {
    pool: AccountPool,
    index: u32,
    mode: String,
    credential: Credential,
    user_id: Option<String>,
    websocket_missing: bool,
    /// When it was taken, in the pool's order of use.
    taken: u64,
    settled: bool,
}

impl AccountPool {
    /// Takes an account that can serve `mode`: `preferred` while it can, else the least busy, longest unused one. `tried`
    /// holds the leases of this request that failed.
    pub(crate) fn acquire(&self, mode: &str, preferred: Option<&str>, tried: &[u32]) -> Result<Lease, NoAccount> {
        let now = self.shared.clock.now_ms();
        let mut state = self.state();
        match state.take(mode, preferred, tried, now) {
            Some(index) => Ok(self.lease(state, index, mode, now)),
            None => Err(state.no_account(mode, tried, now)),
        }
    }

    /// Takes this account and no other, if it can serve `mode`.
    pub(crate) fn acquire_only(&self, mode: &str, account_id: &str, tried: &[u32]) -> Result<Lease, NoAccount> {
        let now = self.shared.clock.now_ms();
        let mut state = self.state();
        match state.take_only(mode, account_id, tried, now) {
            Ok(index) => Ok(self.lease(state, index, mode, now)),
            Err(why) => Err(why),
        }
    }

    fn lease(&self, state: MutexGuard<'_, State>, index: u32, mode: &str, now: i64) -> Lease {
        let entry = state.entry(index).expect("take() answers an account that is there");
        let credential = self.credential_of(entry);
        let user_id = entry.user_id.clone();
        let websocket_missing = entry.websocket_missing_until.is_some_and(|until| until > now);
        let taken = entry.used;
        drop(state);
        let (pool, mode) = (self.clone(), mode.to_owned());
        Lease { pool, index, mode, credential, user_id, websocket_missing, taken, settled: false }
    }

    /// The credential of an account that is not to serve, only to be asked (share, rate limits). `None` when it is gone,
    /// switched off or invalid.
    pub(crate) fn credential(&self, account_id: &str) -> Option<Credential> {
        let state = self.state();
        let entry = state.entry(state.find(account_id)?)?;
        (entry.enabled && entry.invalid.is_none()).then(|| self.credential_of(entry))
    }

    /// The credential of an account that is to be checked, in whatever state it is; it counts as asked from now.
    pub(crate) fn credential_to_check(&self, account_id: &str) -> Option<Credential> {
        let now = self.shared.clock.now_ms();
        let mut state = self.state();
        let index = state.find(account_id)?;
        let entry = state.entry_mut(index)?;
        entry.quota_asked_at = now;
        Some(self.credential_of(entry))
    }

    fn credential_of(&self, entry: &Entry) -> Credential {
        Credential::new(
            Arc::clone(&entry.id),
            Arc::clone(&entry.token_sealed),
            TOKEN_CONTEXT,
            self.shared.cipher.clone(),
        )
    }
}

impl Lease {
    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    pub(crate) fn account_id(&self) -> &Arc<str> {
        self.credential.account_id()
    }

    /// The account's id at the upstream, if it was known when the lease was taken.
    pub(crate) fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// Whether the WebSocket is known not to be there for the account.
    pub(crate) fn websocket_missing(&self) -> bool {
        self.websocket_missing
    }

    /// The mode it was taken for.
    pub(crate) fn mode(&self) -> &str {
        &self.mode
    }

    /// What [`AccountPool::acquire`] is told so that it does not answer this account again.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Ends the use of the account.
    pub(crate) fn settle(mut self, settlement: Settlement<'_>) {
        self.give_back(settlement);
    }

    fn give_back(&mut self, settlement: Settlement<'_>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let now = self.pool.shared.clock.now_ms();
        let mut state = self.pool.state();
        let mut changed = false;
        let (mode, taken, credential) = (&self.mode, self.taken, &self.credential);
        let cause = match settlement {
            Settlement::Charged { request, .. } => Cause::Request(request),
            // Whoever answers or is not to blame goes on as before.
            Settlement::Success | Settlement::Blameless => Cause::Time,
        };
        state.give_back(self.index, self.credential.account_id(), now, cause, |entry| match settlement {
            Settlement::Success => {
                changed = entry.failures != 0 || entry.probation;
                entry.failures = 0;
                entry.probation = false;
            }
            Settlement::Blameless => {}
            // It was given another token in the meantime: what the old one did is not this one's.
            Settlement::Charged { .. } if !credential.holds(&entry.token_sealed) => {}
            // Answers that ran at the same time fail together, for one cause: they are one failure, not a row of them.
            Settlement::Charged { fault: Fault::Failure, .. } if taken < entry.failed => {}
            Settlement::Charged { fault, lengths, request } => {
                changed = true;
                entry.failed = entry.used;
                charge(entry, fault, mode, lengths, request, now);
            }
        });
        if changed {
            state.mark_dirty(self.index);
            if let Some(row) = state.entry_mut(self.index).map(Entry::state_row) {
                self.pool.shared.writer.enqueue(crate::store::Write::Account(Box::new(row)));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(Settlement::Blameless);
    }
}
