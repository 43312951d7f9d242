//! What a job does to many accounts: one transaction for a few hundred of them.

use std::collections::{HashMap, HashSet};

use super::edit::default_label;
use super::entry::{Entry, Rest, stored_tags};
use super::history::{Cause, line};
use super::{AccountPool, TOKEN_CONTEXT};
use crate::store::StoreError;
use crate::store::account_history::HistoryRow;
use crate::store::accounts::AccountRow;

/// An account that a job adds. The token has been read by [`protocol::headers::parse_credential`], the rest is within its limits.
#[derive(Clone, Debug)]
pub(crate) struct AccountToAdd {
    /// The id that it gets, so that a second run of the same job knows its own.
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) label: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) tier: Option<String>,
    pub(crate) enabled: bool,
}

/// What became of an account to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    New,
    /// It was in the bin, and is in the pool again under its old id.
    Restored(String),
    /// It is in the pool under this id.
    Known(String),
}

/// What to change of many; `None` and empty lists leave as is.
#[derive(Clone, Debug, Default)]
pub(crate) struct BulkPatch {
    pub(crate) enabled: Option<bool>,
    pub(crate) tier: Option<Option<String>>,
    pub(crate) add_tags: Vec<String>,
    pub(crate) remove_tags: Vec<String>,
}

/// What became of one of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Yes,
    /// It was so already.
    No,
    /// It is not in the pool.
    Gone,
}

impl AccountPool {
    /// The fingerprint of a token, and the account that has it.
    pub(crate) fn recognise(&self, token: &str) -> (String, Option<String>) {
        let fingerprint = self.shared.cipher.fingerprint(token);
        let known = self.state().find_by_fingerprint(&fingerprint).map(|entry| entry.id.to_string());
        (fingerprint, known)
    }

    /// Adds accounts for a person; tells of each what became of it, in order.
    pub(crate) async fn add_many(&self, new: Vec<AccountToAdd>, person: &str) -> Result<Vec<Added>, StoreError> {
        let shared = &self.shared;
        let _edit = shared.edits.lock().await;
        let now = shared.clock.now_ms();
        // The outcome of those that are known, the fingerprint of those that are to be stored.
        let mut outcomes: Vec<Result<Added, String>> = Vec::with_capacity(new.len());
        let mut rows: Vec<AccountRow> = Vec::with_capacity(new.len());
        for account in new {
            let (fingerprint, known) = self.recognise(&account.token);
            let earlier = || rows.iter().find(|row| row.fingerprint == fingerprint).map(|row| row.id.clone());
            if let Some(known) = known.or_else(earlier) {
                // The same job has added it before it was interrupted.
                outcomes.push(Ok(if known == account.id { Added::New } else { Added::Known(known) }));
                continue;
            }
            let label = account.label.unwrap_or_else(|| default_label(&fingerprint));
            outcomes.push(Err(fingerprint.clone()));
            rows.push(AccountRow {
                tags: stored_tags(&account.tags),
                tier: account.tier,
                enabled: account.enabled,
                ..AccountRow::new(
                    account.id,
                    label,
                    shared.cipher.seal(&account.token, TOKEN_CONTEXT),
                    fingerprint,
                    now,
                )
            });
        }
        let stored = shared.store.insert_accounts(&rows).await?;
        let asked: HashMap<String, String> = rows.into_iter().map(|row| (row.fingerprint, row.id)).collect();
        let mut added = HashMap::with_capacity(stored.len());
        let mut new = HashSet::new();
        for row in &stored {
            let is_new = asked.get(&row.fingerprint) == Some(&row.id);
            let outcome = if is_new { Added::New } else { Added::Restored(row.id.clone()) };
            added.insert(row.fingerprint.clone(), outcome);
            if is_new {
                new.insert(row.id.clone());
            }
        }
        self.take_in(stored, |id| new.contains(id), person).await?;
        let outcome = |outcome: Result<Added, String>| match outcome {
            Ok(outcome) => outcome,
            Err(fingerprint) => added.remove(&fingerprint).unwrap_or_else(|| {
                // Somebody else added it between our look and our write.
                let known = self.state().find_by_fingerprint(&fingerprint).map(|entry| entry.id.to_string());
                Added::Known(known.unwrap_or_default())
            }),
        };
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    /// Changes accounts, in order of `ids`. Switching on also lifts `invalid`, as it does for one.
    pub(crate) async fn patch_many(
        &self,
        ids: &[&str],
        patch: &BulkPatch,
        person: &str,
    ) -> Result<Vec<Changed>, StoreError> {
        let shared = &self.shared;
        let _edit = shared.edits.lock().await;
        let rows: Vec<Option<(AccountRow, bool)>> = {
            let state = self.state();
            let row =
                |id: &&str| state.find(id).and_then(|index| state.entry(index)).map(|entry| patched(entry, patch));
            ids.iter().map(row).collect()
        };
        let changed: Vec<&AccountRow> =
            rows.iter().flatten().filter(|(_, differs)| *differs).map(|(row, _)| row).collect();
        shared.store.update_accounts(&changed).await?;
        let now = shared.clock.now_ms();
        let mut saved = Vec::new();
        let outcomes = {
            let mut state = self.state();
            let outcome = |row: Option<(AccountRow, bool)>| match row {
                None => Changed::Gone,
                Some((_, false)) => Changed::No,
                Some((row, true)) => {
                    let Some(index) = state.find(&row.id) else { return Changed::Gone };
                    let cause = Cause::Person(person);
                    state.change_for(index, now, cause, |entry| {
                        if stored_tags(&entry.tags) != row.tags || entry.tier != row.tier {
                            let line = line(&row.id, "edited", cause, now);
                            entry.history.push(line);
                        }
                        entry.take_edit(row);
                    });
                    state.mark_dirty(index);
                    saved.extend(state.entry_mut(index).map(Entry::state_row));
                    Changed::Yes
                }
            };
            rows.into_iter().map(outcome).collect()
        };
        shared.store.save_account_states(&saved).await?;
        Ok(outcomes)
    }

    /// Ends the rests of accounts, as [`AccountPool::clear_cooldown`] does for one.
    pub(crate) async fn clear_cooldown_of_many(&self, ids: &[&str], person: &str) -> Result<Vec<Changed>, StoreError> {
        let now = self.shared.clock.now_ms();
        let mut saved = Vec::new();
        let outcomes = {
            let mut state = self.state();
            let mut clear = |id: &&str| {
                let Some(index) = state.find(id) else { return Changed::Gone };
                let rested =
                    state.change_for(index, now, Cause::Person(person), Entry::clear_cooldown).unwrap_or(false);
                if !rested {
                    return Changed::No;
                }
                state.mark_dirty(index);
                saved.extend(state.entry_mut(index).map(Entry::state_row));
                Changed::Yes
            };
            ids.iter().map(&mut clear).collect()
        };
        self.shared.store.save_account_states(&saved).await?;
        Ok(outcomes)
    }

    /// Takes accounts out of the pool, for a person: into the bin, or for good.
    pub(crate) async fn delete_many(
        &self,
        ids: &[&str],
        purge: bool,
        person: &str,
    ) -> Result<Vec<Changed>, StoreError> {
        let _edit = self.shared.edits.lock().await;
        let known: Vec<bool> = {
            let state = self.state();
            ids.iter().map(|id| state.find(id).is_some()).collect()
        };
        let there: Vec<&str> = ids.iter().zip(&known).filter(|(_, known)| **known).map(|(id, _)| *id).collect();
        let now = self.shared.clock.now_ms();
        let history: Vec<HistoryRow> = there.iter().map(|id| line(id, "deleted", Cause::Person(person), now)).collect();
        // What is gone for good has no history.
        let (into_bin_at, history) = if purge { (None, Vec::new()) } else { (Some(now), history) };
        self.shared.store.delete_accounts(&there, into_bin_at, &history).await?;
        let mut state = self.state();
        for id in &there {
            state.remove(id);
        }
        Ok(known.into_iter().map(|known| if known { Changed::Yes } else { Changed::Gone }).collect())
    }

    /// Takes accounts back out of the bin, for a person.
    pub(crate) async fn restore_many(&self, ids: &[&str], person: &str) -> Result<Vec<Changed>, StoreError> {
        let _edit = self.shared.edits.lock().await;
        let mut restored = self.shared.store.restore_accounts(ids).await?;
        self.mark_unreadable(&mut restored);
        let back: HashSet<String> = restored.iter().map(|row| row.id.clone()).collect();
        self.take_in(restored, |_| false, person).await?;
        let state = self.state();
        let outcome = |id: &&str| {
            if back.contains(*id) {
                Changed::Yes
            } else if state.find(id).is_some() {
                Changed::No
            } else {
                Changed::Gone
            }
        };
        Ok(ids.iter().map(outcome).collect())
    }

    /// Takes stored accounts into the pool: new ones, and ones from the bin, which rest as they did when they went.
    pub(super) async fn take_in(
        &self,
        rows: Vec<AccountRow>,
        is_new: impl Fn(&str) -> bool,
        person: &str,
    ) -> Result<(), StoreError> {
        let shared = &self.shared;
        let now = shared.clock.now_ms();
        let back: Vec<&str> = rows.iter().map(|row| row.id.as_str()).filter(|id| !is_new(id)).collect();
        let (rests, quota) = shared.store.rests_and_quota_of(&back).await?;
        let kind = |id: &str| if is_new(id) { "added" } else { "restored" };
        let history: Vec<HistoryRow> =
            rows.iter().map(|row| line(&row.id, kind(&row.id), Cause::Person(person), now)).collect();
        shared.store.add_account_history(&history).await?;
        let positions: HashMap<String, usize> =
            rows.iter().enumerate().map(|(position, row)| (row.id.clone(), position)).collect();
        let mut entries: Vec<Entry> = rows.into_iter().map(Entry::new).collect();
        for entry in &mut entries {
            // What it could do when it went may be long ago.
            entry.probation = !is_new(&entry.id) && entry.invalid.is_none();
        }
        for rest in rests {
            if let Some(position) = positions.get(&rest.account_id) {
                entries[*position].rests.push(Rest::from_row(rest));
            }
        }
        for row in quota {
            if let Some(position) = positions.get(&row.account_id) {
                entries[*position].quota.push(row);
            }
        }
        let mut state = self.state();
        // In their order: the first is used first.
        entries.into_iter().for_each(|entry| state.insert(entry, now));
        Ok(())
    }
}

/// The row as it is to be, and whether it differs.
fn patched(entry: &Entry, patch: &BulkPatch) -> (AccountRow, bool) {
    let mut row = entry.row();
    let mut tags = entry.tags.clone();
    tags.retain(|tag| !patch.remove_tags.contains(tag));
    for tag in &patch.add_tags {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    let lifts = patch.enabled == Some(true) && !entry.enabled && entry.invalid.is_some();
    let differs = lifts
        || tags != entry.tags
        || patch.enabled.is_some_and(|enabled| enabled != entry.enabled)
        || patch.tier.as_ref().is_some_and(|tier| *tier != entry.tier);
    row.tags = stored_tags(&tags);
    row.enabled = patch.enabled.unwrap_or(row.enabled);
    if let Some(tier) = &patch.tier {
        row.tier_by_owner = tier.is_some();
        row.tier.clone_from(tier);
    }
    row.version += 1;
    (row, differs)
}
