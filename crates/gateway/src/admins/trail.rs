//! The audit trail: who changed what, from where, and what it was before. Written with every change, never edited.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::{Clock, timestamp};
use crate::events::Events;
use crate::store::audit_trail::{AuditQuery, AuditRow};
use crate::store::{Store, StoreError};

/// Entries kept.
const KEPT: i64 = 100_000;

/// Members whose values are never written, whoever hands them over.
const SECRET_NAMES: [&str; 8] = ["key", "secret", "token", "tokens", "password", "cookie", "current", "new"];

/// Who changed something.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) kind: ActorKind,
    /// An admin's name, or a token's.
    pub(crate) name: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<Arc<str>>,
}

/// How they came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActorKind {
    Session,
    Token,
    /// Nobody came in: somebody edited a file, or a schedule ran.
    System,
}

impl ActorKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
            Self::System => "system",
        }
    }
}

/// What was done, as `thing.verb`, to which thing; and what of it is different now.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) action: &'static str,
    pub(crate) subject: Option<String>,
    /// `null` when there was nothing before.
    pub(crate) before: Value,
    /// `null` when there is nothing after.
    pub(crate) after: Value,
}

impl Change {
    pub(crate) fn new(action: &'static str, subject: &str) -> Self {
        Self { action, subject: Some(subject.to_owned()), before: Value::Null, after: Value::Null }
    }

    /// Keeps of both what differs between them.
    pub(crate) fn between(mut self, before: &impl Serialize, after: &impl Serialize) -> Self {
        let json = |value| serde_json::to_value(value).unwrap_or_default();
        (self.before, self.after) = differences(json(before), serde_json::to_value(after).unwrap_or_default());
        self
    }
}

/// One entry as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct AuditEntry {
    pub(crate) id: String,
    pub(crate) at: String,
    /// `session`, `token` or `system`.
    pub(crate) actor_kind: String,
    pub(crate) actor: String,
    pub(crate) address: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) action: String,
    pub(crate) subject: Option<String>,
    /// The members that changed, as they were.
    pub(crate) before: Value,
    /// The members that changed, as they are.
    pub(crate) after: Value,
}

/// A cheap handle to the trail.
#[derive(Clone)]
pub(crate) struct Trail {
    store: Store,
    events: Events,
    clock: Clock,
}

impl Trail {
    pub(crate) fn new(store: Store, events: Events, clock: Clock) -> Self {
        Self { store, events, clock }
    }

    /// Writes down a change that was made. The change stands even where this fails; then the log has it.
    pub(crate) async fn record(&self, actor: &Actor, change: Change) {
        let subject = change.subject.as_deref();
        tracing::info!(actor = actor.name, action = change.action, subject, "an admin changed something");
        let text = |value: Value| (!value.is_null()).then(|| redacted(value).to_string());
        let row = AuditRow {
            id: format!("aud_{}", Uuid::now_v7().simple()),
            at: self.clock.now_ms(),
            actor_kind: actor.kind.as_str().to_owned(),
            actor: actor.name.clone(),
            address: actor.address.map(|address| address.to_string()),
            request_id: actor.request_id.as_deref().map(str::to_owned),
            action: change.action.to_owned(),
            subject: change.subject,
            before: text(change.before),
            after: text(change.after),
        };
        if let Err(error) = self.store.insert_audit(&row).await {
            tracing::error!(%error, action = row.action, "a change could not be written into the audit trail");
        }
        let entry = AuditEntry::from(row);
        self.events.publish("audit", "audit", &entry.id, &entry);
    }

    /// Entries that match, newest first.
    pub(crate) async fn list(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(self.store.audit(query).await?.into_iter().map(AuditEntry::from).collect())
    }

    /// Lets the oldest entries go; called now and then.
    pub(crate) async fn trim(&self) -> Result<u64, StoreError> {
        self.store.trim_audit(KEPT).await
    }
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        Self {
            id: row.id,
            at: timestamp(row.at),
            actor_kind: row.actor_kind,
            actor: row.actor,
            address: row.address,
            request_id: row.request_id,
            action: row.action,
            subject: row.subject,
            before: json(row.before),
            after: json(row.after),
        }
    }
}

/// Of two objects the members that differ; versions always do and say nothing.
fn differences(before: Value, after: Value) -> (Value, Value) {
    let (Value::Object(mut before), Value::Object(mut after)) = (before.clone(), after.clone()) else {
        return (before, after);
    };
    let same: Vec<String> = before
        .iter()
        .filter(|(name, value)| *name == "version" || after.get(*name) == Some(*value))
        .map(|(name, _)| name.clone())
        .collect();
    for name in same {
        before.remove(&name);
        after.remove(&name);
    }
    (Value::Object(before), Value::Object(after))
}

fn redacted(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let is_secret = SECRET_NAMES.contains(&name.as_str()) && !value.is_null();
                    let value = if is_secret { Value::from("***") } else { redacted(value) };
                    (name, value)
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(redacted).collect()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_keeps_what_differs() {
        let change = Change::new("key.update", "key_1").between(
            &json!({ "name": "a", "enabled": true, "version": 1, "gone": 1 }),
            &json!({ "name": "b", "enabled": true, "version": 2, "came": 2 }),
        );
        assert_eq!(change.before, json!({ "name": "a", "gone": 1 }));
        assert_eq!(change.after, json!({ "name": "b", "came": 2 }));
        let made = Change::new("key.create", "key_1").between(&Value::Null, &json!({ "name": "a" }));
        assert_eq!((made.before, made.after), (Value::Null, json!({ "name": "a" })));
    }

    #[test]
    fn what_is_called_a_secret_is_not_written() {
        let value = json!({ "keys": [{ "key": "sk-1", "name": "a" }], "token": null, "password": "x" });
        assert_eq!(
            redacted(value),
            json!({ "keys": [{ "key": "***", "name": "a" }], "token": null, "password": "***" })
        );
    }
}
