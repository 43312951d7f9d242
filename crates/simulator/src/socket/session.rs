//! One session on a socket: a conversation, and the turn that is under way in it (UPSTREAM.md 16.2, 16.8).

use serde_json::{Value, json};

use super::{client_event::Item, events::Events, play::Play};
use crate::{
    ids,
    state::State,
    turn::{self, Keep},
};

pub(super) struct Session {
    pub id: String,
    pub events: Events,
    pub mode: Option<String>,
    /// Whether the conversation is there already.
    pub existing: bool,
    pub temporary: bool,
    pub follow_ups: bool,
    /// Whether later turns know of earlier ones.
    pub keep_context: bool,
    /// Turns made here.
    pub turns: usize,
    /// Messages that wait for their `response.create`, with their events.
    pub items: Vec<(Item, Value)>,
    pub play: Option<Play>,
    /// The client's `session.create`, for the log.
    pub created_by: Value,
}

/// A client's event that is not accepted.
pub(super) struct Refused {
    pub code: &'static str,
    pub message: String,
}

pub(super) fn invalid(message: &str) -> Refused {
    Refused { code: "invalid_envelope", message: message.to_owned() }
}

impl Session {
    /// Reads a `session.create` event. `named` is the session id of its envelope.
    pub(super) fn open(
        state: &mut State,
        sso: &str,
        keep: Keep,
        named: Option<&str>,
        event: &Value,
    ) -> Result<Self, Refused> {
        let session = &event["session"];
        if !session.is_object() {
            state.violate("invalid_envelope", "session.create without session");
            return Err(invalid("session is required"));
        }
        let wishes = &session["x_grok"];
        let load = wishes["load_existing"] == true;
        let conversation = wishes["conversation_id"].as_str();
        if let (Some(named), Some(conversation)) = (named, conversation)
            && named != conversation
        {
            state.violate("session_mismatch", format!("session {named} loads conversation {conversation}"));
        }
        let id = named.or(conversation).map(str::to_owned);
        let id = match id {
            None if load => return Err(invalid("conversation_id is required with load_existing")),
            None => ids::fresh(),
            Some(id) => id,
        };
        if keep == Keep::Tree {
            check_conversation(state, sso, &id, load)?;
        }
        Ok(Self {
            events: Events::of_session(&id),
            mode: session["model"].as_str().map(str::to_owned),
            existing: load,
            temporary: wishes["is_temporary"] == true,
            follow_ups: wishes["disable_text_follow_ups"] != true,
            keep_context: wishes["keep_context"] != false,
            turns: 0,
            items: Vec::new(),
            play: None,
            created_by: if keep == Keep::Tree { event.clone() } else { Value::Null },
            id,
        })
    }

    /// `session.created` and `conversation.attached`.
    pub(super) fn opening(&mut self, client_event_id: Option<&str>, out: &mut Vec<String>) {
        let mut created = json!({"session": {"model": self.mode}});
        if let Some(id) = client_event_id {
            created["client_event_id"] = id.into();
        }
        out.push(self.events.event("session.created", &created));
        let conversation = json!({"id": self.id, "object": "realtime.conversation"});
        let mode = if self.existing { "existing" } else { "new" };
        let attached = json!({"conversation": conversation, "mode": mode});
        out.push(self.events.event("conversation.attached", &attached));
    }
}

fn check_conversation(state: &mut State, sso: &str, id: &str, load: bool) -> Result<(), Refused> {
    let missing = Refused { code: "conversation_not_found", message: "Conversation not found".to_owned() };
    if load {
        return turn::owned(state, sso, id).map(|_| ()).map_err(|_| missing);
    }
    if state.conversations.contains_key(id) {
        state.violate("missing_load_existing", format!("{sso} opens conversation {id} as a new one"));
        return Err(missing);
    }
    Ok(())
}
