//! What is known of how an account is reached: its id at the upstream, and whether the WebSocket is there for it.

use super::AccountPool;
use super::entry::Entry;
use crate::store::Write;
use crate::upstream::{Credential, Transport};

impl AccountPool {
    /// Keeps an account's id at the upstream, once the upstream has told it.
    pub(crate) fn learn_user_id(&self, credential: &Credential, user_id: &str) {
        let mut state = self.state();
        let Some(index) = state.find_holder(credential) else { return };
        let Some(entry) = state.entry_mut(index) else { return };
        let before = entry.user_id.replace(user_id.to_owned());
        if before.as_deref() == Some(user_id) {
            return;
        }
        let row = entry.state_row();
        state.leave_user(index, before.as_deref());
        state.join_user(index);
        drop(state);
        self.shared.writer.enqueue(Write::Account(Box::new(row)));
    }

    /// Whether it is known whose an account is.
    pub(crate) fn knows_user_of(&self, account_id: &str) -> bool {
        let state = self.state();
        state.find(account_id).and_then(|index| state.entry(index)).is_some_and(|entry| entry.user_id.is_some())
    }

    /// Notes what a turn was answered over.
    pub(crate) fn learn_transport(&self, account_id: &str, transport: Transport) {
        self.learn(account_id, |entry| {
            let over_websocket = transport == Transport::Websocket;
            let is_new =
                entry.transport != Some(transport) || over_websocket && entry.websocket_missing_until.is_some();
            entry.transport = Some(transport);
            if over_websocket {
                entry.websocket_missing_until = None;
            }
            is_new
        });
    }

    /// Notes that the WebSocket is not there for an account; it is looked for again after so many seconds.
    pub(crate) fn learn_websocket_missing(&self, account_id: &str, seconds: i64) {
        let until = self.shared.clock.now_ms() + seconds * 1_000;
        self.learn(account_id, |entry| {
            entry.websocket_missing_until = Some(until);
            true
        });
    }

    fn learn(&self, account_id: &str, learn: impl FnOnce(&mut Entry) -> bool) {
        let mut state = self.state();
        let Some(index) = state.find(account_id) else { return };
        // Nothing of this decides whether the account can serve, so it stays where it is in the lists.
        let Some(entry) = state.entry_mut(index) else { return };
        if learn(entry) {
            let row = entry.state_row();
            drop(state);
            self.shared.writer.enqueue(Write::Account(Box::new(row)));
        }
    }
}
