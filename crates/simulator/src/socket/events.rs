//! The envelope of what the server says (UPSTREAM.md 16.2).

use serde_json::{Value, json};

use crate::{
    json::{push_escaped, quoted},
    rest::members,
};

/// Numbers and writes events: those of one session, or those of a connection that belong to none.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    /// Empty for those of a connection.
    session: String,
    /// Common to all ids of the session's events.
    prefix: String,
    count: u64,
}

impl Events {
    pub(crate) fn of_session(session: &str) -> Self {
        Self { session: session.to_owned(), prefix: uuid::Uuid::new_v4().simple().to_string(), count: 0 }
    }

    pub(crate) fn of_connection() -> Self {
        Self::of_session("")
    }

    /// What the ids of all its events begin with, after `evt_`.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The session's id.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// One event. `fields` is an object; null adds nothing.
    pub(crate) fn event(&mut self, kind: &str, fields: &Value) -> String {
        self.count += 1;
        let mut out = String::from("{");
        if !self.session.is_empty() {
            out.push_str(&format!("\"session_id\":{},", quoted(&self.session)));
        }
        let id = format!("evt_{}_{}", self.prefix, self.count);
        out.push_str(&format!("\"event\":{{\"type\":{},\"event_id\":{}", quoted(kind), quoted(&id)));
        let fields = members(fields);
        if !fields.is_empty() {
            out.push(',');
            push_escaped(&fields, &mut out);
        }
        out.push_str("}}");
        out
    }

    /// An error, as an answer to a client's event or on its own.
    pub(crate) fn error(&mut self, code: &Value, message: &str, answered: Option<&str>) -> String {
        let mut fields = json!({"error": {"code": code, "message": message}});
        if let Some(id) = answered {
            fields["client_event_id"] = id.into();
        }
        self.event("error", &fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbered_in_their_envelope() {
        let mut events = Events { session: "s".to_owned(), prefix: "ab".to_owned(), count: 0 };
        assert_eq!(
            events.event("response.done", &json!({"title": "<"})),
            r#"{"session_id":"s","event":{"type":"response.done","event_id":"evt_ab_1","title":"\u003c"}}"#
        );
        let mut events = Events { session: String::new(), ..events };
        assert_eq!(events.event("pong", &Value::Null), r#"{"event":{"type":"pong","event_id":"evt_ab_2"}}"#);
    }
}
