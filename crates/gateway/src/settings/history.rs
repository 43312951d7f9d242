//! What the settings were: every change with who made it, and the way back.
//!
//! A change by API, by an editor while the service runs, or by an editor while it stood still: each is found by comparing the
//! settings with those that were written down last. Secrets are masked in what is shown; the settings themselves are kept sealed,
//! so that a way back brings them back too.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::document::{self, Document};
use super::fields::{Field, Secrecy};
use super::handle::{SettingsError, SettingsHandle};
use super::masking;
use crate::clock::Clock;
use crate::secrets::Cipher;
use crate::store::settings_history::SettingsHistoryRow;
use crate::store::{Store, StoreError};

/// Changes kept.
const KEPT: i64 = 200;

/// What seals a document to its table.
const CONTEXT: &str = "settings-history";

/// Who edited the file.
pub(crate) const FILE: &str = "file";

/// Who made the first entry.
const START: &str = "start";

/// One setting that changed; secrets are masked, so a changed secret may look the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub(crate) struct SettingChange {
    pub(crate) name: String,
    pub(crate) before: Value,
    pub(crate) after: Value,
    /// Whether what changed is not shown.
    pub(crate) secret: bool,
}

/// One change. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct HistoryEntry {
    pub(crate) id: String,
    pub(crate) at: i64,
    pub(crate) actor: String,
    pub(crate) changes: Vec<SettingChange>,
}

/// Why there is no way back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error("there is no such change; only the last {KEPT} are kept")]
    NotFound,
    #[error("the settings of that time were sealed with another key")]
    Unreadable,
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Internal(String),
}

/// A cheap handle to the history.
#[derive(Clone)]
pub(crate) struct SettingsHistory {
    shared: Arc<Shared>,
}

struct Shared {
    settings: SettingsHandle,
    store: Store,
    cipher: Cipher,
    clock: Clock,
    /// The document that was written down last. Its lock puts changes in a row with their entries.
    last: tokio::sync::Mutex<Document>,
}

impl SettingsHistory {
    /// Compares the settings with what was written down last: the file may have been edited while the service stood still.
    pub(crate) async fn load(
        settings: SettingsHandle,
        store: Store,
        cipher: Cipher,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let present = settings.document();
        let newest = store.settings_history(1).await?.pop();
        // What cannot be opened (the key was replaced) is as good as unknown: the present settings are the new beginning.
        let known = newest.and_then(|row| opened(&cipher, &row));
        let begins = known.is_none();
        let last = tokio::sync::Mutex::new(known.unwrap_or_else(|| present.clone()));
        let history = Self { shared: Arc::new(Shared { settings, store, cipher, clock, last }) };
        if begins {
            history.write(&present, START, &[]).await?;
        } else {
            history.notice().await?;
        }
        Ok(history)
    }

    /// Makes a change and writes down what it was. `work` waits for the disk, so it runs where that is allowed.
    pub(crate) async fn change(
        &self,
        actor: &str,
        work: impl FnOnce(&SettingsHandle) -> Result<(), SettingsError> + Send + 'static,
    ) -> Result<Vec<SettingChange>, HistoryError> {
        let mut last = self.shared.last.lock().await;
        // A hand edit that nobody noticed yet is not this actor's.
        self.catch_up(&mut last, FILE).await?;
        let settings = self.shared.settings.clone();
        let done = tokio::task::spawn_blocking(move || work(&settings)).await;
        done.map_err(|error| HistoryError::Internal(error.to_string()))??;
        Ok(self.catch_up(&mut last, actor).await?)
    }

    /// Writes down what an editor changed, if anything.
    pub(crate) async fn notice(&self) -> Result<Vec<SettingChange>, StoreError> {
        let mut last = self.shared.last.lock().await;
        self.catch_up(&mut last, FILE).await
    }

    /// The newest changes, newest first.
    pub(crate) async fn list(&self, limit: usize) -> Result<Vec<HistoryEntry>, StoreError> {
        let rows = self.shared.store.settings_history(i64::try_from(limit).unwrap_or(i64::MAX)).await?;
        let entries = rows.into_iter().map(|row| HistoryEntry {
            changes: serde_json::from_str(&row.changes).unwrap_or_default(),
            id: row.id,
            at: row.at,
            actor: row.actor,
        });
        Ok(entries.collect())
    }

    /// Makes the settings what they were after a change.
    pub(crate) async fn revert(
        &self,
        actor: &str,
        id: &str,
        if_match: Option<String>,
    ) -> Result<Vec<SettingChange>, HistoryError> {
        let row = self.shared.store.settings_history_entry(id).await?.ok_or(HistoryError::NotFound)?;
        let document = opened(&self.shared.cipher, &row).ok_or(HistoryError::Unreadable)?;
        self.change(actor, move |settings| settings.replace(document, if_match.as_deref()).map(drop)).await
    }

    async fn catch_up(&self, last: &mut Document, actor: &str) -> Result<Vec<SettingChange>, StoreError> {
        let present = self.shared.settings.document();
        if present == *last {
            return Ok(Vec::new());
        }
        let changes = differences(last, &present);
        if !changes.is_empty() {
            self.write(&present, actor, &changes).await?;
        }
        *last = present;
        Ok(changes)
    }

    async fn write(&self, document: &Document, actor: &str, changes: &[SettingChange]) -> Result<(), StoreError> {
        let id = format!("set_{}", Uuid::now_v7().simple());
        let text = Value::Object(document.clone()).to_string();
        let row = SettingsHistoryRow {
            document_sealed: self.shared.cipher.seal(&text, CONTEXT),
            id,
            at: self.shared.clock.now_ms(),
            actor: actor.to_owned(),
            changes: json!(changes).to_string(),
        };
        self.shared.store.insert_settings_history(&row, KEPT).await
    }
}

fn opened(cipher: &Cipher, row: &SettingsHistoryRow) -> Option<Document> {
    let text = cipher.open(&row.document_sealed, CONTEXT).ok()?;
    serde_json::from_str(&text).ok()
}

/// The settings that mean something else now, defaults included.
fn differences(before: &Document, after: &Document) -> Vec<SettingChange> {
    let values = |document: &Document| document::settings_of(document).map(|settings| document::values_of(&settings));
    let (Ok(before), Ok(after)) = (values(before), values(after)) else { return Vec::new() };
    let (shown_before, shown_after) = (masking::masked(&before), masking::masked(&after));
    let shown = |values: &Document, name: &str| values.get(name).cloned().unwrap_or_default();
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    changed
        .map(|(name, _)| SettingChange {
            name: name.clone(),
            before: shown(&shown_before, name),
            after: shown(&shown_after, name),
            secret: Field::named(name).is_some_and(|field| field.secrecy != Secrecy::Open),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        directory: tempfile::TempDir,
        settings: SettingsHandle,
        store: Store,
        history: SettingsHistory,
    }

    async fn open(directory: tempfile::TempDir) -> Fixture {
        let clock = Clock::manual(1_000_000_000_000);
        let settings = SettingsHandle::open(&directory.path().join("config.json"), clock.clone()).unwrap();
        let store = Store::open_beside(directory.path()).await.unwrap();
        let cipher = Cipher::load_or_create(directory.path(), None).unwrap();
        let history = SettingsHistory::load(settings.clone(), store.clone(), cipher, clock).await.unwrap();
        Fixture { directory, settings, store, history }
    }

    impl Fixture {
        async fn patch(&self, patch: Value) -> Vec<SettingChange> {
            self.history.change("admin", move |settings| settings.patch(&patch, None).map(drop)).await.unwrap()
        }

        async fn actors(&self) -> Vec<String> {
            self.history.list(9).await.unwrap().into_iter().map(|entry| entry.actor).collect()
        }
    }

    #[tokio::test]
    async fn changes_are_written_down_with_who_made_them_and_secrets_stay_hidden() {
        let fixture = open(tempfile::tempdir().unwrap()).await;
        assert_eq!(fixture.actors().await, ["start"]);
        let changes = fixture.patch(json!({ "max_attempts": 2, "proxy_url": "http://me:first@host:1" })).await;
        assert_eq!(
            changes,
            [
                SettingChange { name: "max_attempts".into(), before: json!(3), after: json!(2), secret: false },
                SettingChange {
                    name: "proxy_url".into(),
                    before: json!(""),
                    after: json!("http://***@host:1"),
                    secret: true
                },
            ]
        );
        assert_eq!(fixture.patch(json!({ "max_attempts": 2 })).await, [], "nothing new");
        fixture.patch(json!({ "proxy_url": "http://me:second@host:1" })).await;
        assert_eq!(fixture.actors().await, ["admin", "admin", "start"]);
        let rows = fixture.store.settings_history(9).await.unwrap();
        assert!(rows.iter().all(|row| !format!("{row:?}").contains("first") && !format!("{row:?}").contains("second")));
    }

    #[tokio::test]
    async fn there_is_a_way_back_secrets_included() {
        let fixture = open(tempfile::tempdir().unwrap()).await;
        fixture.patch(json!({ "max_attempts": 2, "proxy_url": "http://me:first@host:1" })).await;
        fixture.patch(json!({ "max_attempts": 1, "proxy_url": "" })).await;
        let id = fixture.history.list(9).await.unwrap()[1].id.clone();
        let stale = fixture.history.revert("admin", &id, Some("other".to_owned())).await;
        assert!(matches!(stale, Err(HistoryError::Settings(SettingsError::VersionMismatch { .. }))));
        fixture.history.revert("admin", &id, None).await.unwrap();
        let now = fixture.settings.current();
        assert_eq!((now.max_attempts, now.proxy_url.as_str()), (2, "http://me:first@host:1"));
        assert!(matches!(fixture.history.revert("admin", "set_0", None).await, Err(HistoryError::NotFound)));
    }

    #[tokio::test]
    async fn edits_of_the_file_are_found_while_running_and_at_the_next_start() {
        let fixture = open(tempfile::tempdir().unwrap()).await;
        let file = fixture.directory.path().join("config.json");
        std::fs::write(&file, r#"{ "max_attempts": 2 }"#).unwrap();
        fixture.settings.poll();
        assert_eq!(fixture.history.notice().await.unwrap()[0].name, "max_attempts");
        std::fs::write(&file, r#"{ "max_attempts": 1 }"#).unwrap();
        fixture.settings.poll();
        fixture.patch(json!({ "show_search": false })).await;
        assert_eq!(fixture.actors().await, ["admin", "file", "file", "start"]);

        std::fs::write(&file, "{}").unwrap();
        let Fixture { directory, .. } = fixture;
        let again = open(directory).await;
        assert_eq!(again.actors().await, ["file", "admin", "file", "file", "start"]);
        let Fixture { directory, .. } = again;
        assert_eq!(open(directory).await.actors().await.len(), 5, "nothing new");
    }
}
