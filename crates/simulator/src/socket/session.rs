//! One session on a socket: a conversation, and the turn that is under way in it (UPSTREAM.md 16.2, 16.8).

use serde_json::{Value, json};

use super::{
    client_event::{Item, snake_case_members},
    events::Events,
    opening::Opening,
    play::Play,
    renderer::Form,
};
use crate::{
    ids,
    script::{Reply, Step},
    state::{Node, Sender, State},
    turn::{self, Keep},
};

pub(super) struct Session {
    pub id: String,
    pub events: Events,
    pub mode: Option<String>,
    pub form: Form,
    /// Whether the opening is over: messages that come earlier are lost.
    pub ready: bool,
    /// The read that brought `session.create`.
    pub opened_in: u64,
    /// Whether pings are left unanswered.
    pub mute: bool,
    /// Whether the conversation is there already.
    pub existing: bool,
    pub temporary: bool,
    /// Begun without `x_grok`: such a conversation cannot be loaded again.
    pub bare: bool,
    pub images: bool,
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
        let history = if keep == Keep::Tree {
            check_conversation(state, sso, &id, load)?;
            if load && wishes["needs_history"] != false { history(state, &id) } else { Vec::new() }
        } else {
            Vec::new()
        };
        let mode = session["model"].as_str().map(str::to_owned);
        let opening = Opening {
            session_id: id.clone(),
            client_event_id: event["event_id"].as_str().map(str::to_owned),
            mode: mode.clone(),
            attached_as: if load { "existing" } else { "new" },
            history,
        };
        let (steps, mute) = faults(state, sso);
        Ok(Self {
            events: Events::of_session(&id),
            mode,
            form: if wishes["use_chunk"] == true { Form::Chunks } else { Form::Deltas },
            ready: false,
            opened_in: 0,
            mute,
            existing: load,
            temporary: wishes["is_temporary"] == true,
            bare: !wishes.is_object(),
            images: wishes["enable_image_generation"] == true,
            follow_ups: wishes["disable_text_follow_ups"] != true,
            keep_context: wishes["keep_context"] != false,
            turns: 0,
            items: Vec::new(),
            play: Some(Play::opening(steps, opening)),
            created_by: if keep == Keep::Tree { event.clone() } else { Value::Null },
            id,
        })
    }
}

/// How the session opens, and whether it is mute, as the account's next reply has it. A session that never gets as far as its
/// turn uses the reply up.
fn faults(state: &mut State, sso: &str) -> (Vec<Step>, bool) {
    let Some(account) = state.accounts.get_mut(sso) else { return (Opening::usual(), false) };
    let (steps, mute) = match account.expected_reply() {
        Some(Reply::Script(script)) if !script.session.is_empty() => (script.session.clone(), script.mute),
        Some(Reply::Script(script)) => (Opening::usual(), script.mute),
        _ => (Opening::usual(), false),
    };
    if !steps.iter().any(|step| matches!(step, Step::Attached)) {
        account.next_reply();
    }
    (steps, mute)
}

/// A conversation's messages as the replay has them.
fn history(state: &State, id: &str) -> Vec<Value> {
    let item = |node: &Node| {
        let plain = || vec![json!({"text": {"text": node.message}})];
        let chunks = node.chunks.clone().unwrap_or_else(plain);
        json!({"id": node.id, "role": if node.sender == Sender::Human { "user" } else { "assistant" }, "status": "completed",
            "x_grok": {"output_chunks": snake_case_members(chunks.into())}})
    };
    state.conversations.get(id).into_iter().flat_map(|conversation| &conversation.nodes).map(item).collect()
}

fn check_conversation(state: &mut State, sso: &str, id: &str, load: bool) -> Result<(), Refused> {
    let missing = Refused { code: "conversation_not_found", message: "Conversation not found".to_owned() };
    if load {
        return match turn::owned(state, sso, id) {
            Ok(conversation) if !conversation.bare => Ok(()),
            _ => Err(missing),
        };
    }
    if state.conversations.contains_key(id) {
        state.violate("missing_load_existing", format!("{sso} opens conversation {id} as a new one"));
        return Err(missing);
    }
    Ok(())
}
