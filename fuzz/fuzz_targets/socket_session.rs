//! Messages of the WebSocket, one per line: no panic, and neither the grouping of objects into messages nor what was known of
//! the conversation before matters. Pictures of what is not known stay small.
//!
//! Seeds: `cargo fuzz run --sanitizer none socket_session corpus/socket_session ../crates/protocol/fixtures/socket`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::drift::{SAMPLE_LIMIT_BYTES, drift_sample};
use protocol::model::Mode;
use protocol::socket::{Session, SessionIds, Step};
use protocol::translate::{ChatEvent, Ending, RenderOptions, Translator};
use protocol::turn::{Parent, TurnRequest};

/// Brings a session to where an answer is read.
const OPENING: &str = r#"{"session_id":"c","event":{"type":"session.created"}}
{"session_id":"c","event":{"type":"conversation.attached","conversation":{"id":"c"}}}
{"session_id":"c","event":{"type":"response.created","response":{"id":"r"}}}
"#;

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.split('\n').collect();
    for opening in ["", OPENING] {
        let head = || opening.lines();
        let single = answer(head().chain(lines.iter().copied()), None);
        let whole = format!("{opening}{text}");
        let grouped = protocol_fuzz::hold(whole.len(), 400, || answer([whole.as_str()], None));
        // An object that spans lines is whole only in the group.
        if !single.is_damaged && !grouped.is_damaged {
            assert_eq!(grouped, single);
        }
        answer(head().chain(lines.iter().copied()), Some(Parent { conversation_id: "c", response_id: Some("p") }));
    }
    for line in lines {
        assert!(drift_sample(line).len() <= SAMPLE_LIMIT_BYTES);
    }
});

#[derive(Debug, PartialEq)]
struct Answer {
    text: String,
    reasoning: String,
    ending: Ending,
    is_damaged: bool,
}

fn answer<'m>(messages: impl IntoIterator<Item = &'m str>, parent: Option<Parent<'_>>) -> Answer {
    let mode = Mode::Id("auto".into());
    let turn = TurnRequest { parent, ..TurnRequest::new("a question", &mode) };
    let id = || "id".to_owned();
    let ids = SessionIds { init_event: id(), message_event: id(), response_event: id(), client_message: id() };
    let mut session = Session::new(&turn, ids);
    let options = RenderOptions {
        show_thinking: true,
        show_search: true,
        assets_url: "https://assets.test".to_owned(),
        image_links: None,
    };
    let mut translator = Translator::new(options);
    let (mut text, mut reasoning, mut sent) = (String::new(), String::new(), 0);
    let mut out = |event: ChatEvent<'_>| match event {
        ChatEvent::Text(piece) => text.push_str(piece),
        ChatEvent::Reasoning(piece) => reasoning.push_str(piece),
    };
    for message in messages {
        let step = session.receive(message.as_bytes(), &mut |event| translator.event(event, &mut out));
        sent += usize::from(matches!(step, Step::Send(_)));
    }
    assert!(sent <= 1, "a turn is asked once");
    let ending = translator.finish(&mut out);
    assert_eq!(translator.text(), text);
    Answer { text, reasoning, ending, is_damaged: translator.unknown().contains_key("malformed") }
}
