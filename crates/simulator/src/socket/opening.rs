//! The opening of a session: what comes before the first turn (UPSTREAM.md 16.4 and 16.8).

use serde_json::{Value, json};

use super::{events::Events, out::Out, renderer::common};
use crate::script::Step;

/// Says that a session is there.
pub(super) struct Opening {
    pub session_id: String,
    pub client_event_id: Option<String>,
    pub mode: Option<String>,
    /// `mode` of `conversation.attached`.
    pub attached_as: &'static str,
    /// Earlier messages, if the client wants them.
    pub history: Vec<Value>,
}

impl Opening {
    /// The steps of an opening without faults.
    pub(super) fn usual() -> Vec<Step> {
        vec![Step::SessionCreated, Step::Attached]
    }

    pub(super) fn render(&mut self, step: &Step, events: &mut Events, out: &mut Vec<Out>) {
        match step {
            Step::SessionCreated => {
                let mut created = json!({"session": {"model": self.mode}});
                if let Some(id) = &self.client_event_id {
                    created["client_event_id"] = id.as_str().into();
                }
                out.push(Out::Text(events.event("session.created", &created)));
            }
            Step::Attached => {
                let conversation = json!({"id": self.session_id, "object": "realtime.conversation"});
                let attached = json!({"conversation": conversation, "mode": self.attached_as});
                out.push(Out::Text(events.event("conversation.attached", &attached)));
                self.history(events, out);
            }
            Step::TopLevelError { code, message } => {
                out.push(Out::Text(events.error(code, message, self.client_event_id.as_deref())));
            }
            step => out.extend(common(step, events, &[("$conversation", &self.session_id)])),
        }
    }

    /// One event per earlier message, and one that says that these were all.
    fn history(&mut self, events: &mut Events, out: &mut Vec<Out>) {
        if self.history.is_empty() {
            return;
        }
        for item in self.history.drain(..) {
            out.push(Out::Text(events.event("conversation.history.item", &json!({"item": item}))));
        }
        out.push(Out::Text(events.event("conversation.history.done", &json!({"has_more": false}))));
    }
}
