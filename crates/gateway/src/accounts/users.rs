//! Whose accounts they are: two tokens of one upstream user are one account there, with one quota.

use std::collections::HashMap;

use super::choose::State;

/// Accounts by the upstream user that they are known to belong to.
#[derive(Default)]
pub(super) struct ByUser(HashMap<String, Vec<u32>>);

impl State {
    /// Takes an account in under its user, if that is known, and tells those of the same user who was first.
    pub(super) fn join_user(&mut self, index: u32) {
        let Some(user_id) = self.entry(index).and_then(|entry| entry.user_id.clone()) else { return };
        let accounts = self.by_user.0.entry(user_id).or_default();
        if !accounts.contains(&index) {
            accounts.push(index);
        }
        let accounts = accounts.clone();
        self.name_the_first(&accounts);
    }

    /// Takes an account out from under its user.
    pub(super) fn leave_user(&mut self, index: u32, user_id: Option<&str>) {
        let Some(user_id) = user_id else { return };
        let Some(accounts) = self.by_user.0.get_mut(user_id) else { return };
        accounts.retain(|one| *one != index);
        let accounts = accounts.clone();
        if accounts.is_empty() {
            self.by_user.0.remove(user_id);
        }
        self.name_the_first(&accounts);
    }

    /// The account that was added first is the one; the others are its duplicates.
    fn name_the_first(&mut self, accounts: &[u32]) {
        let age = |index: &u32| self.entry(*index).map(|entry| (entry.created_at, entry.id.clone()));
        let Some((_, first)) = accounts.iter().filter_map(age).min() else { return };
        for index in accounts {
            if let Some(entry) = self.entry_mut(*index) {
                entry.duplicate_of = (entry.id != first).then(|| first.clone());
            }
        }
    }
}
