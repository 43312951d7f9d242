//! Scenarios that are about the opening of a session on a socket (UPSTREAM.md 16.4).

use serde_json::{Value, json};

use super::{
    reply::Reply,
    scenarios::text_tokens,
    step::{Script, Step},
};

/// Earlier messages in the history replay.
const HISTORY: usize = 300;

/// A session that is not the client's.
const FOREIGN: &str = "f0f0f0f0-0000-4000-8000-00000000f0f0";

fn answer_in(session: Vec<Step>) -> Reply {
    Reply::Script(Script::answer(text_tokens()).session(session))
}

fn foreign(event: Value) -> Step {
    Step::Raw(json!({"session_id": FOREIGN, "event": event}).to_string())
}

/// The two events of the opening in the other order.
pub(super) fn order_swap() -> Reply {
    answer_in(vec![Step::Attached, Step::SessionCreated])
}

/// Visible: the scenario text; around it events of another session, and one that answers somebody else.
pub(super) fn foreign_frames() -> Reply {
    let other = json!({"type": "session.created", "client_event_id": "evt_init_of_somebody_else", "session": {"model": "heavy"}});
    let session = vec![
        foreign(json!({"type": "session.created", "event_id": "evt_f_1", "client_event_id": "evt_init_of_a_neighbour",
            "session": {"model": "heavy"}})),
        foreign(json!({"type": "conversation.attached", "event_id": "evt_f_2", "mode": "new",
            "conversation": {"id": FOREIGN, "object": "realtime.conversation"}})),
        Step::Event(other),
        Step::SessionCreated,
        Step::Attached,
    ];
    let id = "f1f1f1f1-0000-4000-8000-00000000f1f1";
    let between = [
        foreign(
            json!({"type": "response.created", "event_id": "evt_f_3", "response": {"id": id, "status": "in_progress"}}),
        ),
        foreign(json!({"type": "response.chunk", "event_id": "evt_f_4", "response_id": id, "item_id": id,
            "chunk": {"text": {"text": "FOREIGN TEXT", "channel": "CHANNEL_ASSISTANT_RESPONSE"}}})),
        foreign(json!({"type": "response.done", "event_id": "evt_f_5", "response": {"id": id, "status": "completed"}})),
        foreign(json!({"type": "error", "event_id": "evt_f_6", "error": {"code": "internal", "message": "not yours"}})),
    ];
    let mut steps = Vec::new();
    for (token, foreign) in text_tokens().into_iter().zip(between.into_iter().map(Some).chain(std::iter::repeat(None)))
    {
        steps.extend(foreign);
        steps.push(token);
    }
    Reply::Script(Script::answer(steps).session(session))
}

/// Hundreds of earlier messages between the opening and the turn, none of them part of its answer.
pub(super) fn history() -> Reply {
    let item = |index: usize| {
        let mut text = json!({"text": format!("OLD MESSAGE {index}")});
        let role = if index.is_multiple_of(2) { "user" } else { "assistant" };
        if role == "assistant" {
            text["channel"] = "CHANNEL_ASSISTANT_RESPONSE".into();
        }
        let id = format!("{index:08}-0000-4000-8000-000000000000");
        let item =
            json!({"id": id, "role": role, "status": "completed", "x_grok": {"output_chunks": [{"text": text}]}});
        Step::Event(json!({"type": "conversation.history.item", "item": item}))
    };
    let mut session = vec![Step::SessionCreated, Step::Attached];
    session.extend((0..HISTORY).map(item));
    session.push(Step::Event(json!({"type": "conversation.history.done", "has_more": true})));
    answer_in(session)
}

/// Neither of the two opening events ever comes.
pub(super) fn session_silent() -> Reply {
    answer_in(vec![Step::Hang])
}

/// The second of them never comes.
pub(super) fn session_unattached() -> Reply {
    answer_in(vec![Step::SessionCreated, Step::Hang])
}

/// The socket is closed instead.
pub(super) fn session_closed() -> Reply {
    answer_in(vec![Step::Cut { reconnectable: false }])
}

/// An error instead.
pub(super) fn session_error(code: &str, message: &str) -> Reply {
    answer_in(vec![Step::TopLevelError { code: code.into(), message: message.to_owned() }])
}
