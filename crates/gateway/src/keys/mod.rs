//! API keys: who may use `/v1`.
//!
//! All keys are in memory under the hash of their secret, so that recognising one costs a hash and a look-up whatever the
//! number of keys. A secret is shown once, when it is made; only its hash is kept. When a key was last used is kept in memory
//! and written now and then: a chat never waits for it.

mod change;
mod text;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::secrets::hash_secret;
use crate::settings::FieldError;
use crate::store::api_keys::ApiKeyRow;
use crate::store::{Store, StoreError};

pub(crate) use change::KeyPatch;

/// What a request needs to know of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// How reasoning reaches this key's clients; `None`: as the settings say.
    pub(crate) reasoning: Option<KeyReasoning>,
}

/// How reasoning reaches a key's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyReasoning {
    /// In the content, between `<think>` and `</think>`.
    ThinkTags,
    /// In the field `reasoning_content`.
    ReasoningContent,
    /// Not at all.
    Hidden,
}

/// What a secret opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    Ok(Arc<ApiKey>),
    /// The key is known but switched off.
    Disabled,
    Unknown,
}

/// A key as it is shown: never with its secret. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Start and end of the secret, as `sk-…abcd`.
    pub(crate) preview: String,
    pub(crate) enabled: bool,
    pub(crate) reasoning: Option<KeyReasoning>,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) version: i64,
}

/// A key just made, with the only copy of its secret.
#[derive(Clone)]
pub(crate) struct NewKey {
    pub(crate) key: KeyView,
    pub(crate) secret: String,
}

/// Why keys were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("there is no such key")]
    NotFound,
    #[error("the key was changed in the meantime (version {current})")]
    VersionMismatch { current: i64 },
    #[error("{} {}", .0.path, .0.message)]
    Invalid(FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A cheap handle to all keys.
#[derive(Clone)]
pub(crate) struct ApiKeys {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    keys: RwLock<Keys>,
    /// Puts changes in a row, so that what is checked is still so when it is written.
    changes: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, Entry>,
    /// Hash of the secret to id.
    by_hash: HashMap<String, String>,
}

struct Entry {
    /// As stored, but for `last_used_at`.
    row: ApiKeyRow,
    key: Arc<ApiKey>,
    /// [`NEVER`] or milliseconds since 1970.
    last_used_at: AtomicI64,
    /// Used since the last flush.
    used: AtomicBool,
}

const NEVER: i64 = 0;

impl ApiKeys {
    /// Reads all keys.
    pub(crate) async fn load(store: Store, clock: Clock) -> Result<Self, StoreError> {
        let mut keys = Keys::default();
        for row in store.api_keys().await? {
            keys.insert(row);
        }
        let shared = Shared { store, clock, keys: RwLock::new(keys), changes: tokio::sync::Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Tells whose secret this is. The secret is hashed once and the hash looked up; how long the look-up takes tells at most
    /// something about hashes, and nobody can choose a secret by its hash, so the comparison need not take constant time.
    pub(crate) fn verify(&self, secret: &str) -> Verified {
        let hash = hash_secret(secret);
        let keys = self.read();
        match keys.by_hash.get(&hash).and_then(|id| keys.by_id.get(id)) {
            Some(entry) if entry.key.enabled => Verified::Ok(Arc::clone(&entry.key)),
            Some(_) => Verified::Disabled,
            None => Verified::Unknown,
        }
    }

    /// Notes that a key was used.
    pub(crate) fn touch(&self, id: &str, now: i64) {
        if let Some(entry) = self.read().by_id.get(id) {
            entry.last_used_at.fetch_max(now, Ordering::Relaxed);
            entry.used.store(true, Ordering::Release);
        }
    }

    /// Stores when keys were last used, if any were; called every few seconds and at the end.
    pub(crate) async fn flush_usage(&self) -> Result<(), StoreError> {
        let uses = self.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let result = self.shared.store.touch_api_keys(&uses).await;
        if result.is_err() {
            let keys = self.read();
            for (id, _) in &uses {
                if let Some(entry) = keys.by_id.get(id) {
                    entry.used.store(true, Ordering::Release);
                }
            }
        }
        result
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// All keys, oldest first.
    pub(crate) fn list(&self) -> Vec<KeyView> {
        let mut views: Vec<KeyView> = self.read().by_id.values().map(Entry::view).collect();
        views.sort_unstable_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        views
    }

    pub(crate) fn get(&self, id: &str) -> Option<KeyView> {
        self.read().by_id.get(id).map(Entry::view)
    }

    fn take_uses(&self) -> Vec<(String, i64)> {
        let keys = self.read();
        let used = keys.by_id.iter().filter(|(_, entry)| entry.used.swap(false, Ordering::Acquire));
        used.map(|(id, entry)| (id.clone(), entry.last_used_at.load(Ordering::Relaxed))).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Keys> {
        // Changes under the lock are single insertions and removals; a panic elsewhere leaves nothing half done.
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys> {
        self.shared.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn insert(&mut self, row: ApiKeyRow) {
        self.by_hash.insert(row.secret_hash.clone(), row.id.clone());
        self.by_id.insert(row.id.clone(), Entry::new(row));
    }

    fn remove(&mut self, id: &str) {
        if let Some(entry) = self.by_id.remove(id) {
            self.by_hash.remove(&entry.row.secret_hash);
        }
    }
}

impl Entry {
    fn new(row: ApiKeyRow) -> Self {
        Self {
            key: Arc::new(api_key(&row)),
            last_used_at: AtomicI64::new(row.last_used_at.unwrap_or(NEVER)),
            used: AtomicBool::new(false),
            row,
        }
    }

    /// Takes an edited row; what is known of its use stays.
    fn edit(&mut self, row: ApiKeyRow) {
        self.key = Arc::new(api_key(&row));
        self.row = row;
    }

    fn view(&self) -> KeyView {
        let last_used_at = Some(self.last_used_at.load(Ordering::Relaxed)).filter(|at| *at != NEVER);
        KeyView {
            id: self.key.id.clone(),
            name: self.key.name.clone(),
            preview: self.row.preview.clone(),
            enabled: self.key.enabled,
            reasoning: self.key.reasoning,
            created_at: self.row.created_at,
            last_used_at,
            version: self.row.version,
        }
    }
}

fn api_key(row: &ApiKeyRow) -> ApiKey {
    ApiKey {
        id: row.id.clone(),
        name: row.name.clone(),
        enabled: row.enabled,
        reasoning: row.reasoning.as_deref().and_then(KeyReasoning::parse),
    }
}

impl KeyReasoning {
    pub(crate) const ALL: [Self; 3] = [Self::ThinkTags, Self::ReasoningContent, Self::Hidden];

    /// The name in the database and in the admin API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ThinkTags => "think_tags",
            Self::ReasoningContent => "reasoning_content",
            Self::Hidden => "hidden",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reasoning| reasoning.as_str() == name)
    }
}

#[cfg(test)]
mod tests;
