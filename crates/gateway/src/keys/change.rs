//! What a person does to keys: make, edit, delete.

use serde_json::json;
use uuid::Uuid;

use super::text::{checked_name, checked_secret, invalid, new_secret, preview};
use super::{ApiKeys, Entry, KeyError, KeyReasoning, KeyView, NewKey};
use crate::secrets::hash_secret;
use crate::store::api_keys::ApiKeyRow;

/// Most keys that one call makes.
const MAX_KEYS_AT_ONCE: usize = 500;

/// What to change; `None` leaves as is.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyPatch {
    pub(crate) name: Option<String>,
    pub(crate) enabled: Option<bool>,
    /// The inner `None` goes back to what the settings say.
    pub(crate) reasoning: Option<Option<KeyReasoning>>,
}

impl ApiKeys {
    /// Makes keys with random secrets. Several get the name with a number: `name-1`, `name-2`, …
    pub(crate) async fn create(&self, name: &str, count: usize) -> Result<Vec<NewKey>, KeyError> {
        let name = checked_name(name)?;
        if !(1..=MAX_KEYS_AT_ONCE).contains(&count) {
            let message = format!("must be between 1 and {MAX_KEYS_AT_ONCE}");
            return Err(invalid("/count", "range", json!({ "min": 1, "max": MAX_KEYS_AT_ONCE }), message));
        }
        let names = (1..=count).map(|number| if count == 1 { name.clone() } else { format!("{name}-{number}") });
        let made: Vec<(ApiKeyRow, String)> = names
            .map(|name| {
                let secret = new_secret();
                (self.new_row(name, &secret), secret)
            })
            .collect();
        let (rows, secrets): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        let views = self.store_rows(rows).await?;
        Ok(views.into_iter().zip(secrets).map(|(key, secret)| NewKey { key, secret }).collect())
    }

    /// Makes a key with a secret of the operator's choice; when it exists already, nothing changes.
    pub(crate) async fn create_with_secret(&self, name: &str, secret: &str) -> Result<KeyView, KeyError> {
        let name = checked_name(name)?;
        let secret = checked_secret(secret)?;
        let hash = hash_secret(secret);
        let existing = || {
            let keys = self.read();
            keys.by_hash.get(&hash).and_then(|id| keys.by_id.get(id)).map(Entry::view)
        };
        if let Some(view) = existing() {
            return Ok(view);
        }
        let row = self.new_row(name, secret);
        match self.store_rows(vec![row]).await {
            Ok(views) => views.into_iter().next().ok_or(KeyError::NotFound),
            // Somebody else was faster.
            Err(KeyError::Store(error)) if error.is_duplicate() => existing().ok_or(KeyError::Store(error)),
            Err(error) => Err(error),
        }
    }

    /// Changes name, switch or reasoning; `if_match` is the version that the caller saw. Takes effect with the next request.
    pub(crate) async fn patch(&self, id: &str, patch: KeyPatch, if_match: Option<i64>) -> Result<KeyView, KeyError> {
        let _changes = self.shared.changes.lock().await;
        let before = self.read().by_id.get(id).map(|entry| entry.row.clone()).ok_or(KeyError::NotFound)?;
        if if_match.is_some_and(|version| version != before.version) {
            return Err(KeyError::VersionMismatch { current: before.version });
        }
        let mut row = before.clone();
        if let Some(name) = &patch.name {
            row.name = checked_name(name)?;
        }
        row.enabled = patch.enabled.unwrap_or(row.enabled);
        if let Some(reasoning) = patch.reasoning {
            row.reasoning = reasoning.map(|reasoning| reasoning.as_str().to_owned());
        }
        let changed = (&row.name, row.enabled, &row.reasoning) != (&before.name, before.enabled, &before.reasoning);
        if changed {
            row.version += 1;
            self.shared.store.update_api_key(&row).await?;
        }
        let mut keys = self.write();
        let entry = keys.by_id.get_mut(id).ok_or(KeyError::NotFound)?;
        entry.edit(row);
        Ok(entry.view())
    }

    /// Deletes a key. Its conversations can then be reached by nobody and go with their time.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), KeyError> {
        let _changes = self.shared.changes.lock().await;
        if self.get(id).is_none() {
            return Err(KeyError::NotFound);
        }
        self.shared.store.delete_api_key(id).await?;
        self.write().remove(id);
        Ok(())
    }

    fn new_row(&self, name: String, secret: &str) -> ApiKeyRow {
        ApiKeyRow {
            id: format!("key_{}", Uuid::now_v7().simple()),
            name,
            secret_hash: hash_secret(secret),
            preview: preview(secret),
            enabled: true,
            reasoning: None,
            created_at: self.shared.clock.now_ms(),
            last_used_at: None,
            version: 1,
        }
    }

    async fn store_rows(&self, rows: Vec<ApiKeyRow>) -> Result<Vec<KeyView>, KeyError> {
        let _changes = self.shared.changes.lock().await;
        self.shared.store.insert_api_keys(&rows).await?;
        let mut keys = self.write();
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        rows.into_iter().for_each(|row| keys.insert(row));
        Ok(ids.iter().filter_map(|id| keys.by_id.get(id)).map(Entry::view).collect())
    }
}
