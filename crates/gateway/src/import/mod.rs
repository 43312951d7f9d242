//! `grok2api import DIR`: takes over a data directory of the Python Grok2API. Nothing in it is changed, and a second run takes
//! only what is new. The gateway must not be running: it has accounts and keys in memory.

mod files;
mod report;

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{AccountError, AccountPool, NewAccount};
use crate::app::StartError;
use crate::bootstrap::{Import, prepare_data_dir};
use crate::clock::Clock;
use crate::conversations::{Conversations, Imported};
use crate::keys::{ApiKeys, KeyPatch};
use crate::secrets::Cipher;
use crate::settings::SettingsHandle;
use crate::store::accounts::{AccountState, RestRow};
use crate::store::api_keys::KeyUse;
use crate::store::conversations::Place;
use crate::store::{Store, Writer};

use files::{OldAccount, OldConversation, OldKey};
pub use report::ImportReport;

/// A key that everybody knows opens nothing here.
const WELL_KNOWN_KEY: &str = "sk-test";

/// Takes everything over that can be.
pub async fn run_import(import: Import, clock: Clock) -> Result<ImportReport, StartError> {
    let old = files::read(&import.from).map_err(StartError::Component)?;
    let directory = prepare_data_dir(&import.data_dir)?;
    let settings = SettingsHandle::open(&directory.config_file(), clock.clone())?;
    let store = Store::open(directory.path(), import.database_url.as_deref()).await?;
    let cipher = Cipher::load_or_create(directory.path(), import.secrets.secret_key.as_deref())?;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let writer = Writer::start(store.clone(), &tasks, stop.clone());
    let target = Target {
        accounts: AccountPool::load(store.clone(), writer.clone(), cipher, clock.clone()).await?,
        keys: ApiKeys::load(store.clone(), writer.clone(), clock.clone()).await?,
        conversations: Conversations::new(store.clone(), writer, clock.clone()),
        store: store.clone(),
        settings,
        now: clock.now_ms(),
    };
    let mut report = ImportReport { notes: old.notes, ..ImportReport::default() };
    let result = async {
        target.settings(old.config, &mut report);
        target.keys(old.keys, &mut report).await?;
        let ids = target.accounts(old.accounts, &mut report).await?;
        target.conversations(old.conversations, &ids, &mut report).await
    };
    let result = result.await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    store.close().await;
    result.map(|()| report)
}

/// What is written to.
struct Target {
    accounts: AccountPool,
    keys: ApiKeys,
    conversations: Conversations,
    store: Store,
    settings: SettingsHandle,
    now: i64,
}

impl Target {
    /// Settings of the same name that differ from the default and are not set here yet, each on its own: one bad value does not
    /// keep the others back.
    fn settings(&self, old: serde_json::Map<String, Value>, report: &mut ImportReport) {
        let defaults = SettingsHandle::defaults();
        let (current, _) = self.settings.shown();
        for (name, value) in old {
            let Some(default) = defaults.get(&name) else { continue };
            if value.is_null() || same(&value, default) || current.get(&name).is_some_and(|current| current != default)
            {
                continue;
            }
            match self.settings.patch(&json!({ name.as_str(): value }), None) {
                Ok(_) => report.settings.taken(),
                // The message names the rule, never the value.
                Err(error) => report.settings.skip(&name, &error.to_string()),
            }
        }
    }

    async fn keys(&self, old: Vec<OldKey>, report: &mut ImportReport) -> Result<(), StartError> {
        for (number, old) in (1..).zip(old) {
            let name = if old.name.trim().is_empty() { format!("imported-{number}") } else { old.name.clone() };
            let shown = format!("key {number} ({name:?})");
            if old.secret.trim() == WELL_KNOWN_KEY {
                report.keys.skip(&shown, "its secret is the well-known example, which everybody could use");
                continue;
            }
            let before = self.keys.len();
            let view = match self.keys.create_with_secret(&name, &old.secret).await {
                Ok(view) => view,
                Err(crate::keys::KeyError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    report.keys.skip(&shown, &error.to_string());
                    continue;
                }
            };
            self.store.insert_imported_key(&view.id).await?;
            if self.keys.len() == before {
                report.keys.skip(&shown, "it is here already");
                continue;
            }
            if !old.enabled {
                let patch = KeyPatch { enabled: Some(false), ..KeyPatch::default() };
                let patched = self.keys.patch(&view.id, patch, None).await;
                patched.map_err(|error| StartError::Component(error.to_string()))?;
            }
            if old.requests > 0 {
                let last_used_at = old.last_used_at.unwrap_or(self.now);
                let key_use = KeyUse { id: view.id, last_used_at, day: 0, today: 0, total: old.requests };
                self.store.store_key_uses(&[key_use]).await?;
            }
            report.keys.taken();
        }
        Ok(())
    }

    /// Answers the ids of all accounts of the old directory, by token.
    async fn accounts(
        &self,
        old: Vec<OldAccount>,
        report: &mut ImportReport,
    ) -> Result<HashMap<String, String>, StartError> {
        let mut ids = HashMap::new();
        for (number, old) in (1..).zip(old) {
            let label = Some(old.name.clone()).filter(|name| !name.trim().is_empty());
            let shown = format!("account {number} ({:?})", old.name);
            let new = NewAccount { token: old.token.clone(), label, tags: Vec::new(), enabled: old.enabled };
            match self.accounts.add(new, "import").await {
                Ok(view) => {
                    self.keep_state(&view.id, &old).await?;
                    report.accounts.taken();
                    ids.insert(old.token, view.id);
                }
                Err(AccountError::Duplicate { existing }) => {
                    report.accounts.skip(&shown, "it is here already");
                    ids.insert(old.token, existing);
                }
                Err(AccountError::Store(error)) => return Err(error.into()),
                Err(error) => report.accounts.skip(&shown, &error.to_string()),
            }
        }
        Ok(ids)
    }

    /// Failures in a row, last use, and the rest that is not over yet.
    async fn keep_state(&self, id: &str, old: &OldAccount) -> Result<(), StartError> {
        let rest = old.rests_until.filter(|until| *until > self.now).map(|until_at| RestRow {
            account_id: id.to_owned(),
            mode: String::new(),
            reason: old.rest_reason.to_owned(),
            since_at: self.now,
            until_at,
            caused_by: None,
        });
        let state = AccountState {
            history: Vec::new(),
            id: id.to_owned(),
            invalid_reason: old.credential_dead.then(|| "credential_dead".to_owned()),
            invalid_since: old.credential_dead.then_some(self.now),
            consecutive_failures: if rest.is_some() { 0 } else { old.consecutive_failures },
            last_used_at: old.last_used_at,
            user_id: None,
            transport: None,
            websocket_missing_until: None,
            rests: rest.into_iter().collect(),
        };
        Ok(self.store.save_account_states(&[state]).await?)
    }

    async fn conversations(
        &self,
        old: Vec<OldConversation>,
        accounts: &HashMap<String, String>,
        report: &mut ImportReport,
    ) -> Result<(), StartError> {
        let ttl = i64::try_from(self.settings.current().conversation_ttl).unwrap_or(i64::MAX);
        let oldest_use = self.now.saturating_sub(ttl.saturating_mul(1_000));
        for old in old {
            let Some(account_id) = accounts.get(&old.token) else {
                report.conversations.skip(&old.id, "its account was not taken over");
                continue;
            };
            if old.last_used_at < oldest_use {
                report.conversations.skip(&old.id, "it has not been used for longer than conversation_ttl");
                continue;
            }
            let place = Place {
                account_id: account_id.clone(),
                upstream_conversation_id: old.upstream_conversation_id,
                upstream_response_id: old.upstream_response_id,
            };
            let imported = Imported {
                id: old.id.clone(),
                place,
                history_hash: old.history_hash,
                created_at: old.created_at,
                last_used_at: old.last_used_at,
            };
            if self.conversations.import(imported).await? {
                report.conversations.taken();
            } else {
                report.conversations.skip(&old.id, "it is here already");
            }
        }
        Ok(())
    }
}

/// Whether two values mean the same; choices are written in any case.
fn same(value: &Value, default: &Value) -> bool {
    match (value.as_str(), default.as_str()) {
        (Some(value), Some(default)) => value.eq_ignore_ascii_case(default),
        _ => value == default,
    }
}
