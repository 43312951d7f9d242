//! What the client sends (UPSTREAM.md 16.3, 16.8, 16.9).

use serde::Serialize;

use super::SessionIds;
use crate::turn::TurnRequest;

/// Features of the dialect that we understand.
const CAPABILITIES: [&str; 2] = ["conversation_attached", "custom_methods_v1"];

/// The path of the upgrade (UPSTREAM.md 16.1), with the account's id.
pub fn upgrade_path(user_id: &str) -> String {
    format!("/ws/mgw/?uid={}", crate::rest::request::path_segment(&user_id.trim().to_ascii_lowercase()))
}

/// An event in its envelope.
#[derive(Serialize)]
struct Envelope<'a, E> {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    event: E,
}

fn write<E: Serialize>(session_id: Option<&str>, event: E) -> String {
    serde_json::to_string(&Envelope { session_id, event }).expect("plain structures with string keys always serialise")
}

/// Puts an event that was written before its session was known into the session.
pub(super) fn in_session(session_id: Option<&str>, event: &str) -> String {
    match session_id {
        Some(id) => format!(r#"{{"session_id":{},"event":{event}}}"#, serde_json::Value::from(id)),
        None => format!(r#"{{"event":{event}}}"#),
    }
}

/// A sign of life. It belongs to the socket, not to a session.
pub(super) fn ping(number: u32) -> String {
    #[derive(Serialize)]
    struct Ping {
        r#type: &'static str,
        event_id: String,
    }
    write(None, Ping { r#type: "ping", event_id: format!("evt_hb_{number}") })
}

#[derive(Serialize)]
struct SessionCreate<'a> {
    r#type: &'static str,
    event_id: &'a str,
    session: Session<'a>,
}

#[derive(Serialize)]
struct Session<'a> {
    model: &'a str,
    x_grok: Options<'a>,
}

/// The members the web page sends, in its order, and those that only other clients send.
#[derive(Serialize)]
struct Options<'a> {
    protocol_capabilities: [&'static str; 2],
    use_chunk: bool,
    enable_side_by_side: bool,
    force_side_by_side: bool,
    enable_image_generation: bool,
    image_generation_count: u8,
    disable_text_follow_ups: bool,
    disable_artifact: bool,
    force_concise: bool,
    keep_context: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_temporary: bool,
    disable_memory: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_web_search: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_x_search: bool,
    #[serde(flatten)]
    existing: Option<Existing<'a>>,
}

/// The conversation that is continued.
#[derive(Serialize)]
struct Existing<'a> {
    conversation_id: &'a str,
    load_existing: bool,
    needs_history: bool,
}

/// `session.create`, in its envelope.
pub(super) fn session_create(turn: &TurnRequest<'_>, ids: &SessionIds) -> String {
    let conversation_id = turn.parent.map(|parent| parent.conversation_id);
    let options = Options {
        protocol_capabilities: CAPABILITIES,
        use_chunk: true,
        // A second alternative is never shown.
        enable_side_by_side: false,
        force_side_by_side: false,
        enable_image_generation: true,
        image_generation_count: 2,
        // Suggestions for the next question are for the web page; nobody here would show them.
        disable_text_follow_ups: true,
        disable_artifact: true,
        force_concise: false,
        // A session lives for one turn; what was said before is loaded with the conversation (UPSTREAM.md 16.8).
        keep_context: false,
        // Only at the beginning: a conversation keeps what it was begun as.
        is_temporary: turn.temporary && turn.parent.is_none(),
        // What the account's owner said in other chats must not reach a client's answer.
        disable_memory: true,
        disable_web_search: !turn.search,
        disable_x_search: !turn.search,
        existing: conversation_id.map(|conversation_id| Existing {
            conversation_id,
            load_existing: true,
            needs_history: false,
        }),
    };
    let event = SessionCreate {
        r#type: "session.create",
        event_id: &ids.init_event,
        session: Session { model: turn.mode.id(), x_grok: options },
    };
    write(conversation_id, event)
}

#[derive(Serialize)]
struct ItemCreate<'a> {
    r#type: &'static str,
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_response_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    file_attachment_ids: &'a [String],
    item: Item<'a>,
}

#[derive(Serialize)]
struct Item<'a> {
    r#type: &'static str,
    role: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    file_attachment_ids: &'a [String],
    x_grok: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    client_message_id: &'a str,
    input_chunks: Vec<InputChunk<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum InputChunk<'a> {
    Mention { file_mention: FileMention<'a> },
    Text { text: std::borrow::Cow<'a, str> },
}

#[derive(Serialize)]
struct FileMention<'a> {
    file_id: &'a str,
}

/// `conversation.item.create`, without its envelope. Files are mentioned in front of the text. There is no member for a system
/// text, so it stands in front of the message.
pub(super) fn item_create(turn: &TurnRequest<'_>, ids: &SessionIds) -> String {
    let text = match turn.instructions.filter(|text| !text.is_empty()) {
        Some(instructions) => format!("{instructions}\n\n{}", turn.message).into(),
        None => turn.message.into(),
    };
    let mentions = turn.attachments.iter().map(|file_id| InputChunk::Mention { file_mention: FileMention { file_id } });
    let event = ItemCreate {
        r#type: "conversation.item.create",
        event_id: &ids.message_event,
        parent_response_id: turn.parent.and_then(|parent| parent.response_id),
        file_attachment_ids: turn.attachments,
        item: Item {
            r#type: "message",
            role: "user",
            file_attachment_ids: turn.attachments,
            x_grok: Message {
                client_message_id: &ids.client_message,
                input_chunks: mentions.chain([InputChunk::Text { text }]).collect(),
            },
        },
    };
    serde_json::to_string(&event).expect("plain structures with string keys always serialise")
}

/// `response.create`, without its envelope.
pub(super) fn response_create(ids: &SessionIds) -> String {
    #[derive(Serialize)]
    struct ResponseCreate<'a> {
        r#type: &'static str,
        event_id: &'a str,
    }
    let event = ResponseCreate { r#type: "response.create", event_id: &ids.response_event };
    serde_json::to_string(&event).expect("plain structures with string keys always serialise")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::find;
    use crate::turn::Parent;

    fn ids() -> SessionIds {
        SessionIds {
            init_event: "evt_init_1".to_owned(),
            message_event: "evt_msg_1".to_owned(),
            response_event: "evt_resp_1".to_owned(),
            client_message: "m".to_owned(),
        }
    }

    fn turn<'a>(mode: &'a crate::model::Mode, message: &'a str) -> TurnRequest<'a> {
        TurnRequest::new(message, mode)
    }

    fn parse(text: &str) -> Value {
        serde_json::from_str(text).expect("events are JSON")
    }

    #[test]
    fn a_new_session_says_what_the_page_says_and_is_private_where_asked() {
        let mode = find("grok-expert").mode;
        let create = parse(&session_create(&turn(&mode, "hi"), &ids()));
        assert_eq!(
            create,
            json!({"event": {"type": "session.create", "event_id": "evt_init_1", "session": {"model": "expert", "x_grok": {
                "protocol_capabilities": ["conversation_attached", "custom_methods_v1"], "use_chunk": true,
                "enable_side_by_side": false, "force_side_by_side": false, "enable_image_generation": true,
                "image_generation_count": 2, "disable_text_follow_ups": true, "disable_artifact": true, "force_concise": false,
                "keep_context": false, "is_temporary": true, "disable_memory": true}}}})
        );
        let options =
            |turn: TurnRequest<'_>| parse(&session_create(&turn, &ids()))["event"]["session"]["x_grok"].take();
        let kept = options(TurnRequest { temporary: false, search: false, ..turn(&mode, "hi") });
        assert_eq!(kept.get("is_temporary"), None);
        assert_eq!((&kept["disable_web_search"], &kept["disable_x_search"]), (&json!(true), &json!(true)));
        // An older pair is asked for by the mode that took it over.
        let older = find("grok-4/MODEL_MODE_AUTO").mode;
        assert_eq!(parse(&session_create(&turn(&older, "hi"), &ids()))["event"]["session"]["model"], "auto");
    }

    #[test]
    fn a_message_mentions_its_files_and_carries_what_has_no_member() {
        let mode = find("grok-3").mode;
        let attachments = ["file-1".to_owned(), "file-2".to_owned()];
        let turn = TurnRequest {
            parent: Some(Parent { conversation_id: "c", response_id: Some("leaf") }),
            attachments: &attachments,
            instructions: Some("Be kind."),
            ..turn(&mode, "say \"hi\"\n")
        };
        assert_eq!(
            parse(&item_create(&turn, &ids())),
            json!({"type": "conversation.item.create", "event_id": "evt_msg_1", "parent_response_id": "leaf",
                "file_attachment_ids": ["file-1", "file-2"], "item": {"type": "message", "role": "user",
                "file_attachment_ids": ["file-1", "file-2"], "x_grok": {"client_message_id": "m", "input_chunks": [
                    {"mention": {"file_mention": {"file_id": "file-1"}}}, {"mention": {"file_mention": {"file_id": "file-2"}}},
                    {"text": {"text": "Be kind.\n\nsay \"hi\"\n"}}]}}})
        );
        let newest = TurnRequest { parent: Some(Parent { conversation_id: "c", response_id: None }), ..turn };
        assert_eq!(parse(&item_create(&newest, &ids())).get("parent_response_id"), None);
    }

    #[test]
    fn an_event_is_put_into_its_session_whatever_that_is_called() {
        let event = response_create(&ids());
        for id in ["c", "a\"b\\", "é\n"] {
            let message = parse(&in_session(Some(id), &event));
            assert_eq!(
                message,
                json!({"session_id": id, "event": {"type": "response.create", "event_id": "evt_resp_1"}})
            );
        }
        assert_eq!(parse(&in_session(None, &event)).get("session_id"), None);
    }

    #[test]
    fn the_path_names_the_account_and_nothing_else() {
        assert_eq!(
            upgrade_path("0F1E2D3C-4b5a-4968-8776-655443322110"),
            "/ws/mgw/?uid=0f1e2d3c-4b5a-4968-8776-655443322110"
        );
        assert_eq!(upgrade_path(" a&b=c#d/\r\n"), "/ws/mgw/?uid=a%26b%3Dc%23d%2F");
    }
}
