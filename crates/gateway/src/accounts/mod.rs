//! The account pool: who serves a request, who rests, for how long and why.
//!
//! Everything is in memory behind one lock that is never held across an `await`; the database is written behind, so a restart
//! forgets nothing. Choosing costs the same with ten accounts and with a hundred thousand ([`ready`]), and rests end by
//! deadline, without a timer per account.

mod bin;
mod bulk;
mod capacity;
mod choice;
mod choose;
mod edit;
mod entry;
mod history;
mod labels;
mod lease;
mod listing;
mod quota;
mod ready;
mod rest;
mod transport;
mod users;
mod view;

use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::secrets::Cipher;
use crate::store::accounts::AccountRow;
use crate::store::{Store, StoreError, Writer};

pub(crate) use bin::BinPage;
pub(crate) use bulk::{AccountToAdd, Added, BulkPatch, Changed};
pub(crate) use capacity::ModeCapacity;
pub(crate) use choice::ChoiceReason;
use choose::State;
pub(crate) use choose::{KNOWN_MODES as MODES_TO_ASK_FOR, NoAccount};
pub(crate) use edit::{AccountError, AccountPatch, Edited, NewAccount, new_account_id};
pub(crate) use history::HistoryEntry;
pub(crate) use labels::AccountLabel;
pub(crate) use lease::{Lease, Settlement};
pub(crate) use listing::{AccountPage, AccountQuery, FacetField, FacetValue};
pub(crate) use rest::{Fault, RestLengths, TOKEN_UNREADABLE};
pub(crate) use view::{AccountView, STATES, Summary};

/// Plans that a person may say an account has.
pub(crate) const TIERS: [&str; 3] = ["basic", "super", "heavy"];

/// What seals an account's token to its row, so that sealed tokens cannot be swapped between tables.
pub(crate) const TOKEN_CONTEXT: &str = "account-token";

/// A cheap handle to the pool.
#[derive(Clone)]
pub(crate) struct AccountPool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    store: Store,
    writer: Writer,
    cipher: Cipher,
    clock: Clock,
    /// Held from reading what is to be changed until the change is stored and in force, so that no edit undoes another.
    edits: tokio::sync::Mutex<()>,
    /// Orders of lists that somebody is looking at.
    views: Mutex<listing::Views>,
}

impl AccountPool {
    /// Reads all accounts, their rests and their quota.
    pub(crate) async fn load(store: Store, writer: Writer, cipher: Cipher, clock: Clock) -> Result<Self, StoreError> {
        let (mut accounts, rests, quota) =
            tokio::try_join!(store.accounts(), store.account_rests(), store.account_quota())?;
        accounts.iter_mut().for_each(|row| mark_unreadable(row, &cipher, clock.now_ms()));
        let state = State::build(accounts, rests, quota, clock.now_ms());
        let shared = Shared {
            state: Mutex::new(state),
            store,
            writer,
            cipher,
            clock,
            edits: tokio::sync::Mutex::default(),
            views: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same for accounts that come in later.
    fn mark_unreadable(&self, rows: &mut [AccountRow]) {
        let now = self.shared.clock.now_ms();
        rows.iter_mut().for_each(|row| mark_unreadable(row, &self.shared.cipher, now));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave the sets half-changed in a way that matters more than serving on.
        self.shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Accounts in the pool.
    pub(crate) fn len(&self) -> usize {
        self.state().len()
    }

    /// Stores when accounts were last used, and which rests have ended; called now and then and at the end.
    pub(crate) async fn flush(&self) {
        let now = self.shared.clock.now_ms();
        let dirty = {
            let mut state = self.state();
            state.wake(now);
            state.take_dirty()
        };
        let mut dirty = dirty.into_iter();
        while let Some(index) = dirty.next() {
            // There may be 100,000 of them, and the records of requests must find room in the queue.
            if !self.shared.writer.has_room().await {
                return self.state().put_back(dirty.chain([index]));
            }
            // As it is now, and in the queue's order: a later state must not be overtaken by this one.
            let mut state = self.state();
            if let Some(row) = state.entry_mut(index).map(entry::Entry::state_row) {
                self.shared.writer.enqueue(crate::store::Write::Account(Box::new(row)));
            }
        }
    }
}

/// An account whose token does not open is invalid: it was sealed with another key, and nothing may be tried with it. With the key
/// back it is as it was.
fn mark_unreadable(row: &mut AccountRow, cipher: &Cipher, now: i64) {
    let is_marked = row.invalid_reason.as_deref() == Some(TOKEN_UNREADABLE);
    match cipher.open(&row.token_sealed, TOKEN_CONTEXT) {
        Ok(_) if is_marked => (row.invalid_reason, row.invalid_since) = (None, None),
        Ok(_) => {}
        Err(_) if is_marked => {}
        Err(_) => (row.invalid_reason, row.invalid_since) = (Some(TOKEN_UNREADABLE.to_owned()), Some(now)),
    }
}
