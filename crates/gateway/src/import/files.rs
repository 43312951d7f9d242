//! The files of the Python Grok2API: `tokens.json`, `api_keys.json`, `conversations.json`, `config.json`. Times are seconds with a
//! fraction. Read leniently: an entry that makes no sense is named in the report and does not keep the others back.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

/// Everything that was read.
#[derive(Default)]
pub(super) struct OldData {
    pub(super) accounts: Vec<OldAccount>,
    pub(super) keys: Vec<OldKey>,
    pub(super) conversations: Vec<OldConversation>,
    pub(super) config: Map<String, Value>,
    pub(super) notes: Vec<String>,
}

pub(super) struct OldAccount {
    pub(super) token: String,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) last_used_at: Option<i64>,
    pub(super) consecutive_failures: i64,
    pub(super) rests_until: Option<i64>,
    pub(super) rest_reason: &'static str,
    /// The upstream refused its credential.
    pub(super) credential_dead: bool,
}

pub(super) struct OldKey {
    pub(super) secret: String,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) last_used_at: Option<i64>,
    pub(super) requests: i64,
}

pub(super) struct OldConversation {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) upstream_conversation_id: String,
    pub(super) upstream_response_id: String,
    pub(super) history_hash: String,
    pub(super) created_at: i64,
    pub(super) last_used_at: i64,
}

/// Reads a directory. At least one of the three lists must be there: otherwise it is another directory than meant.
pub(super) fn read(directory: &Path) -> Result<OldData, String> {
    let mut old = OldData::default();
    let mut load = |name: &str| -> Result<Option<Map<String, Value>>, String> {
        let found = load(&directory.join(name))?;
        if found.is_none() {
            old.notes.push(format!("{name}: not there"));
        }
        Ok(found)
    };
    let tokens = load("tokens.json")?;
    let keys = load("api_keys.json")?;
    let conversations = load("conversations.json")?;
    if tokens.is_none() && keys.is_none() && conversations.is_none() {
        return Err(format!(
            "{} holds no tokens.json, api_keys.json or conversations.json: name the data directory of the Python Grok2API",
            directory.display()
        ));
    }
    old.config = load("config.json")?.unwrap_or_default();
    for (number, (token, entry)) in (1..).zip(tokens.unwrap_or_default()) {
        match entry.as_object() {
            Some(entry) => old.accounts.push(account(token, entry)),
            None => old.notes.push(format!("tokens.json: entry {number} is not an object")),
        }
    }
    if let Some(secret) = old.config.get("api_key").and_then(Value::as_str).filter(|secret| !secret.trim().is_empty()) {
        old.keys.push(OldKey {
            secret: secret.to_owned(),
            name: "config.json".to_owned(),
            enabled: true,
            last_used_at: None,
            requests: 0,
        });
    }
    for (number, (secret, entry)) in (1..).zip(member(keys, "keys")) {
        match entry.as_object() {
            Some(entry) => old.keys.push(key(secret, entry)),
            None => old.notes.push(format!("api_keys.json: entry {number} is not an object")),
        }
    }
    for (id, entry) in member(conversations, "conversations") {
        match entry.as_object().and_then(|entry| conversation(&id, entry)) {
            Some(conversation) => old.conversations.push(conversation),
            None => old.notes.push(format!("conversations.json: {id} names no account, conversation or response")),
        }
    }
    if old.config.contains_key("admin_password") {
        old.notes.push(
            "config.json: the admin's name and password are not taken over; the first start asks for new ones"
                .to_owned(),
        );
    }
    if directory.join("stats.json").exists() {
        old.notes.push("stats.json: not taken over; requests of keys are".to_owned());
    }
    Ok(old)
}

fn load(path: &Path) -> Result<Option<Map<String, Value>>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    // The parser's message tells the place, not the text.
    match serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(format!("{} does not hold one JSON object", path.display())),
        Err(error) => Err(format!("{} is not JSON (line {}, column {})", path.display(), error.line(), error.column())),
    }
}

fn member(file: Option<Map<String, Value>>, name: &str) -> Map<String, Value> {
    match file.and_then(|mut file| file.remove(name)) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn account(token: String, entry: &Map<String, Value>) -> OldAccount {
    let reason = text(entry, "cooldown_reason");
    let is_auth = text(entry, "last_failure_reason") == "auth" || reason.contains("认证失败");
    let enabled = flag(entry, "enabled");
    OldAccount {
        token,
        name: text(entry, "name").to_owned(),
        // It switched an account off when the upstream refused it; here that is a state of its own.
        enabled: enabled || is_auth,
        last_used_at: time(entry, "last_used"),
        consecutive_failures: number(entry, "consecutive_failures"),
        rests_until: time(entry, "cooldown_until"),
        rest_reason: match reason {
            reason if reason.contains("无额度") => "rate_limited_no_quota",
            reason if reason.contains("429") => "rate_limited_quota_left",
            _ => "consecutive_failures",
        },
        credential_dead: is_auth && !enabled,
    }
}

fn key(secret: String, entry: &Map<String, Value>) -> OldKey {
    OldKey {
        secret,
        name: text(entry, "name").to_owned(),
        enabled: flag(entry, "enabled"),
        last_used_at: time(entry, "last_used"),
        requests: number(entry, "request_count"),
    }
}

fn conversation(id: &str, entry: &Map<String, Value>) -> Option<OldConversation> {
    let needed = |name| Some(text(entry, name)).filter(|text| !text.is_empty()).map(str::to_owned);
    let last_used_at = time(entry, "updated_at")?;
    Some(OldConversation {
        id: id.to_owned(),
        token: needed("token")?,
        upstream_conversation_id: needed("conversation_id")?,
        upstream_response_id: needed("last_response_id")?,
        history_hash: text(entry, "history_hash").to_owned(),
        created_at: time(entry, "created_at").unwrap_or(last_used_at),
        last_used_at,
    })
}

fn text<'a>(entry: &'a Map<String, Value>, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Absent means on.
fn flag(entry: &Map<String, Value>, name: &str) -> bool {
    entry.get(name).and_then(Value::as_bool).unwrap_or(true)
}

fn number(entry: &Map<String, Value>, name: &str) -> i64 {
    entry.get(name).and_then(Value::as_i64).unwrap_or(0).max(0)
}

/// Seconds as milliseconds; zero means never.
fn time(entry: &Map<String, Value>, name: &str) -> Option<i64> {
    let seconds = entry.get(name)?.as_f64().filter(|seconds| (1.0..1e11).contains(seconds))?;
    let since_1970 = std::time::Duration::from_secs_f64(seconds);
    i64::try_from(since_1970.as_millis()).ok()
}
