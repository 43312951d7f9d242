//! API keys: who may use `/v1`, for how long, how much, and which models.
//!
//! All keys are in memory under the hash of their secret, so that recognising one costs a hash and a look-up whatever the
//! number of keys. A secret is shown once, when it is made; only its hash is kept. What a key has done is counted in memory
//! (see [`meter`]) and written now and then: a chat never waits for it.

mod change;
mod list;
mod meter;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::secrets::hash_secret;
use crate::settings::FieldError;
use crate::store::api_keys::{ApiKeyRow, KeyUse};
use crate::store::{Store, StoreError, Write, Writer};

pub(crate) use change::{KeyPatch, KeyTerms};
pub(crate) use list::{KeyOrder, KeyQuery, KeyState, KeyView};
pub(crate) use meter::{Admission, KeyLimits, LimitKind, LimitReached, Rate};
pub(crate) use text::preview;

use meter::Meter;

/// The id under which the console's playground asks. No real key has it.
pub(crate) const CONSOLE_KEY: &str = "console";

/// What a request needs to know of its key.
#[derive(Debug)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// How reasoning reaches this key's clients; `None`: as the settings say.
    pub(crate) reasoning: Option<KeyReasoning>,
    /// Milliseconds since 1970; `None`: never.
    pub(crate) expires_at: Option<i64>,
    pub(crate) limits: KeyLimits,
    /// Models it may ask for; `None`: all.
    pub(crate) models: Option<Vec<String>>,
    /// What it has done; outlives edits.
    meter: Arc<Meter>,
}

/// How reasoning reaches a key's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug)]
pub(crate) enum Verified {
    Ok(Arc<ApiKey>),
    /// The key is known but switched off.
    Disabled,
    /// Its time is over.
    Expired,
    /// The secret was replaced by another, and its time of grace is over.
    Replaced,
    Unknown,
}

/// A key with the only copy of the secret that was just made for it.
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
    writer: Writer,
    clock: Clock,
    keys: RwLock<Keys>,
    /// Puts changes in a row, so that what is checked is still so when it is written.
    changes: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keys {
    /// Ids sort by the time the key was made.
    by_id: BTreeMap<String, Entry>,
    /// Folded name, and id.
    by_name: BTreeSet<(String, String)>,
    by_hash: HashMap<String, Secret>,
}

/// What one secret opens.
struct Secret {
    key: Arc<ApiKey>,
    /// A replaced secret opens until then.
    until: Option<i64>,
}

struct Entry {
    /// As stored, but for what the key has done.
    row: ApiKeyRow,
    key: Arc<ApiKey>,
    /// Name and shown secret in small letters, by which it is sorted and found.
    folded: String,
}

impl ApiKeys {
    /// Reads all keys.
    pub(crate) async fn load(store: Store, writer: Writer, clock: Clock) -> Result<Self, StoreError> {
        let mut keys = Keys::default();
        for row in store.api_keys().await? {
            keys.insert(row);
        }
        let shared = Shared { store, writer, clock, keys: RwLock::new(keys), changes: tokio::sync::Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Tells whose secret this is. The secret is hashed once and the hash looked up; how long the look-up takes tells at most
    /// something about hashes, and nobody can choose a secret by its hash, so the comparison need not take constant time.
    pub(crate) fn verify(&self, secret: &str) -> Verified {
        let hash = hash_secret(secret);
        let keys = self.read();
        let Some(Secret { key, until }) = keys.by_hash.get(&hash) else { return Verified::Unknown };
        let now = self.shared.clock.now_ms();
        let is_over = |end: Option<i64>| end.is_some_and(|end| now >= end);
        if is_over(*until) {
            Verified::Replaced
        } else if !key.enabled {
            Verified::Disabled
        } else if is_over(key.expires_at) {
            Verified::Expired
        } else {
            Verified::Ok(Arc::clone(key))
        }
    }

    /// Notes that a key was used.
    pub(crate) fn touch(&self, key: &ApiKey) {
        key.meter.touch(self.shared.clock.now_ms());
    }

    /// Lets a request in under the limits of its key, or says which of them is reached. It counts from now until the admission
    /// is dropped.
    pub(crate) fn admit(&self, key: &Arc<ApiKey>) -> Result<Admission, LimitReached> {
        let (admission, key_use) = meter::admit(key, &self.shared.clock)?;
        // Queued before the turn is: whatever answer a client has seen whole is counted after a crash, too. All of one batch cost
        // one statement a key.
        self.shared.writer.enqueue(Write::KeyUse(Box::new(key_use)));
        Ok(admission)
    }

    /// Stores what keys have done, if they did anything; called every few seconds and at the end.
    pub(crate) async fn flush_usage(&self) -> Result<(), StoreError> {
        let uses = self.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let result = self.shared.store.store_key_uses(&uses).await;
        if result.is_err() {
            let keys = self.read();
            let entries = uses.iter().filter_map(|key_use| keys.by_id.get(&key_use.id));
            entries.for_each(|entry| entry.key.meter.mark());
        }
        result
    }

    /// What a key opens, by its id, as if its secret had been sent.
    pub(crate) fn by_id(&self, id: &str) -> Verified {
        let now = self.shared.clock.now_ms();
        match self.read().by_id.get(id).map(|entry| Arc::clone(&entry.key)) {
            None => Verified::Unknown,
            Some(key) if !key.enabled => Verified::Disabled,
            Some(key) if key.expires_at.is_some_and(|end| now >= end) => Verified::Expired,
            Some(key) => Verified::Ok(key),
        }
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.read().by_id.len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<KeyView> {
        let now = self.shared.clock.now_ms();
        self.read().by_id.get(id).map(|entry| entry.view(now))
    }

    fn take_uses(&self) -> Vec<KeyUse> {
        self.read().by_id.values().filter_map(|entry| entry.key.meter.take_use(&entry.key.id)).collect()
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
        let meter = Arc::new(Meter::new(&row));
        self.put(row, meter);
    }

    /// Takes an edited row; what is known of the key's use stays.
    fn edit(&mut self, row: ApiKeyRow) {
        let Some(before) = self.remove(&row.id) else { return };
        self.put(row, Arc::clone(&before.key.meter));
    }

    fn put(&mut self, row: ApiKeyRow, meter: Arc<Meter>) {
        let key = Arc::new(ApiKey::new(&row, meter));
        if let Some(previous) = &row.previous_hash {
            self.by_hash.insert(previous.clone(), Secret { key: Arc::clone(&key), until: row.previous_until });
        }
        self.by_hash.insert(row.secret_hash.clone(), Secret { key: Arc::clone(&key), until: None });
        // A line break sorts before all that a name may hold.
        let folded = format!("{}\n{}", row.name, row.preview).to_lowercase();
        self.by_name.insert((folded.clone(), row.id.clone()));
        self.by_id.insert(row.id.clone(), Entry { row, key, folded });
    }

    fn remove(&mut self, id: &str) -> Option<Entry> {
        let entry = self.by_id.remove(id)?;
        self.by_name.remove(&(entry.folded.clone(), id.to_owned()));
        self.by_hash.remove(&entry.row.secret_hash);
        if let Some(previous) = &entry.row.previous_hash {
            self.by_hash.remove(previous);
        }
        Some(entry)
    }
}

impl ApiKey {
    fn new(row: &ApiKeyRow, meter: Arc<Meter>) -> Self {
        let limit = |limit: Option<i64>| limit.and_then(|limit| u32::try_from(limit).ok());
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            enabled: row.enabled,
            reasoning: row.reasoning.as_deref().and_then(KeyReasoning::parse),
            expires_at: row.expires_at,
            limits: KeyLimits {
                requests_per_minute: limit(row.requests_per_minute),
                requests_per_day: limit(row.requests_per_day),
                concurrent_requests: limit(row.concurrent_requests),
            },
            // A list that cannot be read allows nothing: better than all.
            models: row.models.as_deref().map(|models| serde_json::from_str(models).unwrap_or_default()),
            meter,
        }
    }

    /// The console's own: no secret opens it, and nothing limits it.
    pub(crate) fn console() -> Self {
        Self {
            id: CONSOLE_KEY.to_owned(),
            name: CONSOLE_KEY.to_owned(),
            enabled: true,
            reasoning: None,
            expires_at: None,
            limits: KeyLimits::default(),
            models: None,
            meter: Arc::new(Meter::unused()),
        }
    }

    /// Whether it may ask for this model, by the name the client used.
    pub(crate) fn allows(&self, model: &str) -> bool {
        let model = model.trim();
        self.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed.eq_ignore_ascii_case(model)))
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
