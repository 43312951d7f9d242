//! What a person does to accounts: add, edit, delete, end a rest.

use uuid::Uuid;

use super::entry::Entry;
use super::view::view;
use super::{AccountPool, AccountView, TOKEN_CONTEXT};
use crate::store::StoreError;
use crate::store::accounts::AccountRow;

/// Longest label in characters.
const LABEL: usize = 120;

/// An account to add.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewAccount {
    /// A bare token, `sso=…`, or a whole cookie line.
    pub(crate) token: String,
    pub(crate) label: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) enabled: bool,
}

/// What to change; `None` leaves as is.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountPatch {
    pub(crate) label: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) enabled: Option<bool>,
    pub(crate) tier: Option<Option<String>>,
}

/// Why a change of accounts was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there is no such account")]
    NotFound,
    #[error("this account is already in the pool as {existing}")]
    Duplicate { existing: String },
    #[error("the account was changed in the meantime (version {current})")]
    VersionMismatch { current: i64 },
    #[error("{0}")]
    InvalidToken(String),
    #[error("{path}: {message}")]
    InvalidQuery { path: String, message: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountPool {
    /// Adds an account. Its token is sealed before anything else happens to it.
    pub(crate) async fn add(&self, new: NewAccount) -> Result<AccountView, AccountError> {
        let token = protocol::headers::parse_credential(&new.token)
            .map_err(|error| AccountError::InvalidToken(error.to_string()))?;
        let shared = &self.shared;
        let fingerprint = shared.cipher.fingerprint(&token);
        if let Some(existing) = self.state().find_by_fingerprint(&fingerprint) {
            return Err(AccountError::Duplicate { existing: existing.id.to_string() });
        }
        let label = match new.label {
            Some(label) if !label.trim().is_empty() => checked_label(&label)?,
            _ => format!("account {}", &fingerprint[..6]),
        };
        let now = shared.clock.now_ms();
        let row = AccountRow {
            id: format!("acc_{}", Uuid::now_v7().simple()),
            label,
            tags: serde_json::to_string(&new.tags).unwrap_or_else(|_| "[]".to_owned()),
            token_sealed: shared.cipher.seal(&token, TOKEN_CONTEXT),
            fingerprint,
            user_id: None,
            tier: None,
            enabled: new.enabled,
            invalid_reason: None,
            invalid_since: None,
            consecutive_failures: 0,
            created_at: now,
            last_used_at: None,
            version: 1,
            transport: None,
            websocket_missing_until: None,
        };
        if let Err(error) = shared.store.insert_account(&row).await {
            // Two additions of one token at the same time: the database has seen the other first.
            let existing = self.state().find_by_fingerprint(&row.fingerprint).map(|entry| entry.id.to_string());
            return Err(match existing {
                Some(existing) if error.is_duplicate() => AccountError::Duplicate { existing },
                _ => error.into(),
            });
        }
        let entry = Entry::new(row);
        let view = view(&entry, now);
        self.state().insert(entry, now);
        Ok(view)
    }

    /// The account of a token (bare, `sso=…`, or in a cookie line) or of a fingerprint.
    pub(crate) fn resolve(&self, token: &str) -> Option<String> {
        let by_fingerprint =
            |fingerprint: &str| self.state().find_by_fingerprint(fingerprint).map(|entry| entry.id.to_string());
        let token = token.trim();
        by_fingerprint(token).or_else(|| {
            let token = protocol::headers::parse_credential(token).ok()?;
            by_fingerprint(&self.shared.cipher.fingerprint(&token))
        })
    }

    /// Changes label, tags, tier or the switch. Switching on also lifts `invalid`: the person says it works again.
    pub(crate) async fn patch(
        &self,
        id: &str,
        patch: AccountPatch,
        if_match: Option<i64>,
    ) -> Result<AccountView, AccountError> {
        let mut row = {
            let state = self.state();
            let entry = state.find(id).and_then(|index| state.entry(index)).ok_or(AccountError::NotFound)?;
            entry.row()
        };
        if let Some(expected) = if_match
            && expected != row.version
        {
            return Err(AccountError::VersionMismatch { current: row.version });
        }
        if let Some(label) = &patch.label {
            row.label = checked_label(label)?;
        }
        if let Some(tags) = &patch.tags {
            row.tags = serde_json::to_string(tags).unwrap_or_else(|_| "[]".to_owned());
        }
        let switched_on = patch.enabled == Some(true) && !row.enabled;
        if let Some(enabled) = patch.enabled {
            row.enabled = enabled;
        }
        if let Some(tier) = patch.tier {
            row.tier = tier;
        }
        row.version += 1;
        self.shared.store.update_account(&row).await?;
        let now = self.shared.clock.now_ms();
        self.apply(id, |entry| {
            entry.label.clone_from(&row.label);
            entry.tags = serde_json::from_str(&row.tags).unwrap_or_default();
            entry.tier.clone_from(&row.tier);
            entry.enabled = row.enabled;
            entry.version = row.version;
            if switched_on && entry.invalid.take().is_some() {
                entry.probation = true;
            }
            view(entry, now)
        })
        .await
    }

    /// Deletes an account. Its conversations stay; they are replayed elsewhere when they go on.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), AccountError> {
        if self.state().find(id).is_none() {
            return Err(AccountError::NotFound);
        }
        self.shared.store.delete_account(id).await?;
        self.state().remove(id);
        Ok(())
    }

    /// Ends every rest and an `invalid`; one request goes first.
    pub(crate) async fn clear_cooldown(&self, id: &str) -> Result<AccountView, AccountError> {
        let now = self.shared.clock.now_ms();
        self.apply(id, |entry| {
            let rested = !entry.rests.is_empty() || entry.invalid.is_some();
            entry.rests.clear();
            entry.invalid = None;
            entry.failures = 0;
            entry.probation |= rested;
            view(entry, now)
        })
        .await
    }

    /// Changes an entry in memory, at once, and stores its state before answering.
    async fn apply(
        &self,
        id: &str,
        change: impl FnOnce(&mut Entry) -> AccountView,
    ) -> Result<AccountView, AccountError> {
        let now = self.shared.clock.now_ms();
        let (view, saved) = {
            let mut state = self.state();
            let index = state.find(id).ok_or(AccountError::NotFound)?;
            let view = state.change(index, now, change).ok_or(AccountError::NotFound)?;
            state.mark_dirty(index);
            (view, state.entry(index).map(Entry::state_row))
        };
        if let Some(saved) = saved {
            self.shared.store.save_account_state(&saved).await?;
        }
        Ok(view)
    }
}

fn checked_label(label: &str) -> Result<String, AccountError> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > LABEL || label.chars().any(char::is_control) {
        return Err(AccountError::InvalidQuery {
            path: "/label".to_owned(),
            message: format!("must have 1 to {LABEL} characters and no line breaks"),
        });
    }
    Ok(label.to_owned())
}
