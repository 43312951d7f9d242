//! What a person does to accounts: add, edit, delete, end a rest.

use uuid::Uuid;

use super::entry::{Entry, stored_tags};
use super::history::Cause;
use super::view::view;
use super::{AccountPool, AccountView, Changed, TOKEN_CONTEXT};
use crate::store::StoreError;
use crate::store::accounts::AccountRow;
use crate::upstream::Credential;

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

/// An account before and after a change, as nobody else has seen it in between.
#[derive(Clone, Debug)]
pub(crate) struct Edited {
    pub(crate) before: AccountView,
    pub(crate) after: AccountView,
}

/// Why a change of accounts was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there is no such account")]
    NotFound,
    #[error("this account is already in the pool as {existing}")]
    Duplicate { existing: String },
    #[error("an account with this token is in the bin: restore that one, or delete it for good")]
    InBin { existing: String },
    #[error("{0}")]
    Conflict(&'static str),
    #[error("the account was changed in the meantime (version {current})")]
    VersionMismatch { current: i64 },
    #[error("{0}")]
    InvalidToken(String),
    #[error("{path}: {message}")]
    InvalidQuery { path: String, message: String },
    #[error("the order of this list is no longer kept; load it anew")]
    ViewExpired,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountPool {
    /// Adds an account for a person. Its token is sealed before anything else happens to it.
    pub(crate) async fn add(&self, new: NewAccount, person: &str) -> Result<AccountView, AccountError> {
        let token = protocol::headers::parse_credential(&new.token)
            .map_err(|error| AccountError::InvalidToken(error.to_string()))?;
        let shared = &self.shared;
        let fingerprint = shared.cipher.fingerprint(&token);
        if let Some(existing) = self.state().find_by_fingerprint(&fingerprint) {
            return Err(AccountError::Duplicate { existing: existing.id.to_string() });
        }
        let _edit = shared.edits.lock().await;
        let label = match new.label {
            Some(label) if !label.trim().is_empty() => checked_label(&label)?,
            _ => default_label(&fingerprint),
        };
        let now = shared.clock.now_ms();
        let row = AccountRow {
            tags: stored_tags(&new.tags),
            enabled: new.enabled,
            ..AccountRow::new(new_account_id(), label, shared.cipher.seal(&token, TOKEN_CONTEXT), fingerprint, now)
        };
        // Two additions of one token at the same time: the database has seen the other first.
        let new_id = row.id.clone();
        let Some(row) = shared.store.insert_accounts(std::slice::from_ref(&row)).await?.pop() else {
            let existing = self.state().find_by_fingerprint(&row.fingerprint).map(|entry| entry.id.to_string());
            return Err(AccountError::Duplicate { existing: existing.unwrap_or_default() });
        };
        let id = row.id.clone();
        self.take_in(vec![row], |id| id == new_id, person).await?;
        self.get(&id).ok_or(AccountError::NotFound)
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
        person: &str,
    ) -> Result<Edited, AccountError> {
        let _edit = self.shared.edits.lock().await;
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
            row.tags = stored_tags(tags);
        }
        if let Some(enabled) = patch.enabled {
            row.enabled = enabled;
        }
        if let Some(tier) = patch.tier {
            row.tier_by_owner = tier.is_some();
            row.tier = tier;
        }
        row.version += 1;
        self.shared.store.update_accounts(&[&row]).await?;
        self.apply(id, person, |entry| entry.take_edit(row)).await
    }

    /// The credential of a token that no account has yet, to ask the upstream about it.
    pub(crate) fn credential_of_token(&self, token: &str) -> Result<Credential, AccountError> {
        let token = protocol::headers::parse_credential(token)
            .map_err(|error| AccountError::InvalidToken(error.to_string()))?;
        let cipher = &self.shared.cipher;
        let sealed = cipher.seal(&token, TOKEN_CONTEXT);
        Ok(Credential::new("".into(), sealed.into(), TOKEN_CONTEXT, cipher.clone()))
    }

    /// Gives an account another token, when the old one has expired: id, history and conversations stay. An `invalid` is lifted,
    /// and one request goes first.
    pub(crate) async fn replace_token(&self, id: &str, token: &str, person: &str) -> Result<Edited, AccountError> {
        let token = protocol::headers::parse_credential(token)
            .map_err(|error| AccountError::InvalidToken(error.to_string()))?;
        let shared = &self.shared;
        let _edit = shared.edits.lock().await;
        let row = {
            let state = self.state();
            let entry = state.find(id).and_then(|index| state.entry(index)).ok_or(AccountError::NotFound)?;
            let row = entry.row();
            let fingerprint = shared.cipher.fingerprint(&token);
            if fingerprint == row.fingerprint {
                return Err(AccountError::Conflict("this is the token that the account has"));
            }
            AccountRow {
                token_sealed: shared.cipher.seal(&token, TOKEN_CONTEXT),
                fingerprint,
                version: row.version + 1,
                ..row
            }
        };
        if !shared.store.replace_token(&row).await? {
            if let Some(existing) = self.state().find_by_fingerprint(&row.fingerprint) {
                return Err(AccountError::Duplicate { existing: existing.id.to_string() });
            }
            let existing = shared.store.account_of_fingerprint(&row.fingerprint).await?;
            return Err(existing.map_or(AccountError::NotFound, |existing| AccountError::InBin { existing }));
        }
        self.state().rename(id, &row.fingerprint);
        self.apply(id, person, |entry| entry.take_token(row)).await
    }

    /// Deletes an account, into the bin or for good. Its conversations stay; they are replayed elsewhere when they go on.
    pub(crate) async fn delete(&self, id: &str, purge: bool, person: &str) -> Result<(), AccountError> {
        match self.delete_many(&[id], purge, person).await?.as_slice() {
            [Changed::Yes] => Ok(()),
            _ => Err(AccountError::NotFound),
        }
    }

    /// Takes an account back out of the bin.
    pub(crate) async fn restore(&self, id: &str, person: &str) -> Result<AccountView, AccountError> {
        match self.restore_many(&[id], person).await?.as_slice() {
            [Changed::No] => Err(AccountError::Conflict("this account is not in the bin")),
            _ => self.get(id).ok_or(AccountError::NotFound),
        }
    }

    /// Ends every rest and an `invalid`; one request goes first.
    pub(crate) async fn clear_cooldown(&self, id: &str, person: &str) -> Result<Edited, AccountError> {
        self.apply(id, person, |entry| {
            entry.clear_cooldown();
        })
        .await
    }

    /// Changes an entry in memory, at once, and stores its state before answering.
    async fn apply(&self, id: &str, person: &str, change: impl FnOnce(&mut Entry)) -> Result<Edited, AccountError> {
        let now = self.shared.clock.now_ms();
        let (edited, saved) = {
            let mut state = self.state();
            let index = state.find(id).ok_or(AccountError::NotFound)?;
            let cause = Cause::Person(person);
            let edit = |entry: &mut Entry| {
                let before = view(entry, now);
                change(entry);
                Edited { before, after: view(entry, now) }
            };
            let edited = state.change_for(index, now, cause, edit).ok_or(AccountError::NotFound)?;
            state.mark_dirty(index);
            (edited, state.entry_mut(index).map(Entry::state_row))
        };
        if let Some(saved) = saved {
            self.shared.store.save_account_states(&[saved]).await?;
        }
        Ok(edited)
    }
}

/// The id of a new account.
pub(crate) fn new_account_id() -> String {
    format!("acc_{}", Uuid::now_v7().simple())
}

/// What an account is called that nobody has named.
pub(super) fn default_label(fingerprint: &str) -> String {
    format!("account {}", &fingerprint[..6])
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
