//! What consoles are told although nobody published it: figures that change with the traffic. Looked up only for streams that ask.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::AdminState;
use super::attention::attention;
use super::conversations::view;
use super::keys::KeyBody;

/// How often it is looked whether the figures have changed.
const PACE: Duration = Duration::from_secs(1);

/// Tells the consoles what changes, until it is dropped.
pub(crate) async fn tell_consoles(state: AdminState) {
    let mut told = Told::default();
    loop {
        tokio::time::sleep(PACE).await;
        told.look(&state).await;
    }
}

/// What was told last, as hashes.
#[derive(Default)]
struct Told {
    summary: Option<u64>,
    attention: Option<u64>,
    accounts: HashMap<String, u64>,
    keys: HashMap<String, u64>,
    conversations: HashMap<String, u64>,
}

impl Told {
    async fn look(&mut self, state: &AdminState) {
        let events = &state.events;
        if events.is_wanted("accounts.summary") {
            let summary = json!(state.accounts.summary());
            let hash = hash_of(&summary);
            if self.summary.replace(hash) != Some(hash) {
                events.publish("accounts.summary", "accounts.summary", "", &summary);
            }
        } else {
            self.summary = None;
        }
        if events.is_wanted("attention") {
            let list = json!(attention(state).await);
            let hash = hash_of(&list);
            if self.attention.replace(hash) != Some(hash) {
                events.publish("attention", "attention", "", &list);
            }
        } else {
            self.attention = None;
        }
        let look_up = |id: &str| state.accounts.get(id).map(|account| (account.version, json!(account)));
        for (id, version, patch) in changed(&mut self.accounts, events.wanted_subjects("account"), look_up) {
            events.publish("account", "accounts", &id, &json!({ "id": id, "version": version, "patch": patch }));
        }
        let look_up = |id: &str| state.keys.get(id).map(|key| (key.version, json!(KeyBody::from(key))));
        for (id, version, patch) in changed(&mut self.keys, events.wanted_subjects("key"), look_up) {
            events.publish("key", "keys", &id, &json!({ "id": id, "version": version, "patch": patch }));
        }
        let mut conversations = HashMap::new();
        for id in events.wanted_subjects("conversation") {
            // Gone, or not to be read now: then there is nothing to tell.
            if let Ok(view) = view(state, &id).await {
                conversations.insert(id, json!(view));
            }
        }
        let look_up = |id: &str| conversations.get(id).map(|view| (0, view.clone()));
        for (id, _, patch) in changed(&mut self.conversations, events.wanted_subjects("conversation"), look_up) {
            events.publish("conversation", "conversations", &id, &json!({ "id": id, "patch": patch }));
        }
    }
}

/// Of the things that are asked for those that differ from what was seen last. What is seen for the first time is not told: its
/// reader has just loaded it.
fn changed(
    seen: &mut HashMap<String, u64>,
    wanted: Vec<String>,
    look_up: impl Fn(&str) -> Option<(i64, Value)>,
) -> Vec<(String, i64, Value)> {
    let mut changed = Vec::new();
    let mut now_seen = HashMap::with_capacity(wanted.len());
    for id in wanted {
        let Some((version, value)) = look_up(&id) else { continue };
        let hash = hash_of(&value);
        if seen.get(&id).is_some_and(|before| *before != hash) {
            changed.push((id.clone(), version, value));
        }
        now_seen.insert(id, hash);
    }
    *seen = now_seen;
    changed
}

fn hash_of(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}
