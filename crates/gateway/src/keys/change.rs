//! What a person does to keys: make, edit, give a new secret, delete.

use serde_json::json;
use uuid::Uuid;

use super::text::{
    checked_expiry, checked_limit, checked_models, checked_name, checked_secret, invalid, new_secret, preview,
};
use super::{ApiKeys, KeyError, KeyLimits, KeyReasoning, KeyView, NewKey};
use crate::secrets::hash_secret;
use crate::store::api_keys::ApiKeyRow;

/// Most keys that one call makes.
pub(super) const MAX_KEYS_AT_ONCE: usize = 500;

/// Longest time that a replaced secret still opens: 30 days, in seconds.
const LONGEST_GRACE_S: i64 = 30 * 86_400;

/// What a new key may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyTerms {
    pub(crate) reasoning: Option<KeyReasoning>,
    /// Milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
    pub(crate) limits: KeyLimits,
    pub(crate) models: Option<Vec<String>>,
}

/// What to change; `None` leaves as is. Of the members with two layers, the inner `None` takes away: no limit, no end, all models,
/// reasoning as the settings say.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyPatch {
    pub(crate) name: Option<String>,
    pub(crate) enabled: Option<bool>,
    pub(crate) reasoning: Option<Option<KeyReasoning>>,
    pub(crate) expires_at: Option<Option<i64>>,
    pub(crate) requests_per_minute: Option<Option<u32>>,
    pub(crate) requests_per_day: Option<Option<u32>>,
    pub(crate) concurrent_requests: Option<Option<u32>>,
    pub(crate) models: Option<Option<Vec<String>>>,
}

impl ApiKeys {
    /// Makes keys with random secrets. Several get the name with a number: `name-1`, `name-2`, …, or in place of `{n}`.
    pub(crate) async fn create(&self, name: &str, count: usize, terms: &KeyTerms) -> Result<Vec<NewKey>, KeyError> {
        let name = checked_name(name)?;
        if !(1..=MAX_KEYS_AT_ONCE).contains(&count) {
            let message = format!("must be between 1 and {MAX_KEYS_AT_ONCE}");
            return Err(invalid("/count", "range", json!({ "min": 1, "max": MAX_KEYS_AT_ONCE }), message));
        }
        let numbered = |number: usize| match count {
            _ if name.contains("{n}") => name.replace("{n}", &number.to_string()),
            1 => name.clone(),
            _ => format!("{name}-{number}"),
        };
        let mut rows = Vec::with_capacity(count);
        let mut secrets = Vec::with_capacity(count);
        for number in 1..=count {
            let secret = new_secret();
            rows.push(self.new_row(numbered(number), &secret, terms)?);
            secrets.push(secret);
        }
        let views = self.store_rows(rows).await?;
        Ok(views.into_iter().zip(secrets).map(|(key, secret)| NewKey { key, secret }).collect())
    }

    /// Makes a key with a secret of the operator's choice; when it exists already, nothing changes.
    pub(crate) async fn create_with_secret(&self, name: &str, secret: &str) -> Result<KeyView, KeyError> {
        let name = checked_name(name)?;
        let secret = checked_secret(secret)?;
        let hash = hash_secret(secret);
        let existing = || {
            let id = self.read().by_hash.get(&hash).map(|secret| secret.key.id.clone());
            id.and_then(|id| self.get(&id))
        };
        if let Some(view) = existing() {
            return Ok(view);
        }
        let row = self.new_row(name, secret, &KeyTerms::default())?;
        match self.store_rows(vec![row]).await {
            Ok(views) => views.into_iter().next().ok_or(KeyError::NotFound),
            // Somebody else was faster.
            Err(KeyError::Store(error)) if error.is_duplicate() => existing().ok_or(KeyError::Store(error)),
            Err(error) => Err(error),
        }
    }

    /// Changes what the patch names; `if_match` is the version that the caller saw. Takes effect with the next request.
    pub(crate) async fn patch(&self, id: &str, patch: KeyPatch, if_match: Option<i64>) -> Result<KeyView, KeyError> {
        let _changes = self.shared.changes.lock().await;
        let before = self.row(id, if_match)?;
        let mut row = before.clone();
        if let Some(name) = &patch.name {
            row.name = checked_name(name)?;
        }
        row.enabled = patch.enabled.unwrap_or(row.enabled);
        if let Some(reasoning) = patch.reasoning {
            row.reasoning = reasoning.map(|reasoning| reasoning.as_str().to_owned());
        }
        if let Some(expires_at) = patch.expires_at
            && expires_at != row.expires_at
        {
            row.expires_at = checked_expiry(expires_at, self.shared.clock.now_ms())?;
        }
        if let Some(limit) = patch.requests_per_minute {
            row.requests_per_minute = checked_limit("/requests_per_minute", limit)?;
        }
        if let Some(limit) = patch.requests_per_day {
            row.requests_per_day = checked_limit("/requests_per_day", limit)?;
        }
        if let Some(limit) = patch.concurrent_requests {
            row.concurrent_requests = checked_limit("/concurrent_requests", limit)?;
        }
        if let Some(models) = &patch.models {
            row.models = checked_models(models.as_deref())?;
        }
        if row != before {
            row.version += 1;
            self.shared.store.update_api_key(&row).await?;
            self.write().edit(row);
        }
        self.get(id).ok_or(KeyError::NotFound)
    }

    /// Gives a key a new secret. The present one opens for `grace_s` seconds more; one that was replaced before opens no more.
    pub(crate) async fn rotate(&self, id: &str, grace_s: i64, if_match: Option<i64>) -> Result<NewKey, KeyError> {
        if !(0..=LONGEST_GRACE_S).contains(&grace_s) {
            let params = json!({ "min": 0, "max": LONGEST_GRACE_S });
            return Err(invalid("/grace_s", "range", params, format!("must be between 0 and {LONGEST_GRACE_S}")));
        }
        let _changes = self.shared.changes.lock().await;
        let mut row = self.row(id, if_match)?;
        let secret = new_secret();
        row.previous_hash = Some(std::mem::replace(&mut row.secret_hash, hash_secret(&secret)));
        row.previous_until = Some(self.shared.clock.now_ms() + grace_s * 1_000);
        row.preview = preview(&secret);
        row.version += 1;
        self.shared.store.update_api_key(&row).await?;
        self.write().edit(row);
        let key = self.get(id).ok_or(KeyError::NotFound)?;
        Ok(NewKey { key, secret })
    }

    /// Deletes a key. Its conversations can then be reached by nobody and go with their time.
    pub(crate) async fn delete(&self, id: &str, if_match: Option<i64>) -> Result<KeyView, KeyError> {
        let _changes = self.shared.changes.lock().await;
        self.row(id, if_match)?;
        let view = self.get(id).ok_or(KeyError::NotFound)?;
        self.shared.store.delete_api_key(id).await?;
        self.write().remove(id);
        Ok(view)
    }

    /// The row as it is before a change.
    fn row(&self, id: &str, if_match: Option<i64>) -> Result<ApiKeyRow, KeyError> {
        let row = self.read().by_id.get(id).map(|entry| entry.row.clone()).ok_or(KeyError::NotFound)?;
        match if_match {
            Some(version) if version != row.version => Err(KeyError::VersionMismatch { current: row.version }),
            _ => Ok(row),
        }
    }

    fn new_row(&self, name: String, secret: &str, terms: &KeyTerms) -> Result<ApiKeyRow, KeyError> {
        let now = self.shared.clock.now_ms();
        Ok(ApiKeyRow {
            id: format!("key_{}", Uuid::now_v7().simple()),
            name,
            secret_hash: hash_secret(secret),
            preview: preview(secret),
            enabled: true,
            reasoning: terms.reasoning.map(|reasoning| reasoning.as_str().to_owned()),
            created_at: now,
            version: 1,
            expires_at: checked_expiry(terms.expires_at, now)?,
            requests_per_minute: checked_limit("/requests_per_minute", terms.limits.requests_per_minute)?,
            requests_per_day: checked_limit("/requests_per_day", terms.limits.requests_per_day)?,
            concurrent_requests: checked_limit("/concurrent_requests", terms.limits.concurrent_requests)?,
            models: checked_models(terms.models.as_deref())?,
            ..ApiKeyRow::default()
        })
    }

    async fn store_rows(&self, rows: Vec<ApiKeyRow>) -> Result<Vec<KeyView>, KeyError> {
        let _changes = self.shared.changes.lock().await;
        self.shared.store.insert_api_keys(&rows).await?;
        let now = self.shared.clock.now_ms();
        let mut keys = self.write();
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        rows.into_iter().for_each(|row| keys.insert(row));
        Ok(ids.iter().filter_map(|id| keys.by_id.get(id)).map(|entry| entry.view(now)).collect())
    }
}
