//! Characters that tokens cut in two, in both dialects: they are put together, a half alone becomes a replacement character, and
//! nothing else is lost.

use protocol::openai::{read_chat_request, read_turn_request};
use protocol::rest;

use crate::support::{answer_of, answer_of_messages};

/// A piece of an answer: its channel and its text as it stands in JSON.
type Piece = (Channel, &'static str);

#[derive(Clone, Copy)]
enum Channel {
    Thinking,
    Text,
}

use Channel::{Text, Thinking};

/// Pieces, and what a client sees of them: reasoning and text.
const CASES: &[(&[Piece], &str, &str)] = &[
    (&[(Text, r"a\ud83d"), (Text, r"\ude00b")], "", "a😀b"),
    (&[(Text, r"a\uD83D\uDE00b")], "", "a😀b"),
    (&[(Text, r"\ud83d"), (Text, r"\ude00")], "", "😀"),
    (&[(Text, r"a\ud83d")], "", "a\u{fffd}"),
    (&[(Text, r"a\ude00b"), (Text, "c")], "", "a\u{fffd}bc"),
    (&[(Text, r"\ude00"), (Text, "c")], "", "\u{fffd}c"),
    (&[(Text, r"\ud83d"), (Text, r"\ud83d"), (Text, r"\ude00.")], "", "\u{fffd}😀."),
    (&[(Text, r"\ud83d\ud83d"), (Text, r"\ude00\ude00")], "", "\u{fffd}😀\u{fffd}"),
    (&[(Text, r"a\ud83d"), (Text, "normal")], "", "a\u{fffd}normal"),
    (&[(Text, r"a\ud83d"), (Text, r"\ufffd")], "", "a\u{fffd}\u{fffd}"),
    (&[(Text, r"a\ud83dx\ud83d"), (Text, r"\ude00\ud83d"), (Text, r"\ude01")], "", "a\u{fffd}x😀😁"),
    (&[(Text, r"\\ud83d"), (Text, r"\ude00")], "", "\\ud83d\u{fffd}"),
    (&[(Thinking, r"t\ud83d"), (Thinking, r"\ude00u"), (Text, "x")], "t😀u", "x"),
    (&[(Thinking, r"t\ud83d"), (Text, r"\ude00x")], "t\u{fffd}", "\u{fffd}x"),
    (&[(Thinking, r"t\ud83d")], "t\u{fffd}", ""),
    (&[(Text, r#"a<grok:render card_id=\"\ud83d"#), (Text, r#"\ude00\"></grok:render>b"#)], "", "ab"),
];

fn of_rest(pieces: &[Piece]) -> (String, String) {
    let frame = |(channel, text): &Piece| {
        let is_thinking = matches!(channel, Thinking);
        format!(
            "{{\"result\":{{\"response\":{{\"token\":\"{text}\",\"isThinking\":{is_thinking},\"responseId\":\"r\"}}}}}}\n"
        )
    };
    let stream: String = pieces.iter().map(frame).collect();
    let answer = answer_of([stream.as_bytes()]);
    assert!(answer.unknown.is_empty(), "{:?}", answer.unknown);
    (answer.reasoning(), answer.text())
}

fn of_socket(pieces: &[Piece], piece: fn(&Piece) -> String) -> (String, String) {
    let mut messages: Vec<String> = [
        r#"{"session_id":"c","event":{"type":"session.created"}}"#,
        r#"{"session_id":"c","event":{"type":"conversation.attached","conversation":{"id":"c"}}}"#,
        r#"{"session_id":"c","event":{"type":"response.created","response":{"id":"r"}}}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    messages.extend(pieces.iter().map(piece));
    let answer = answer_of_messages(messages.iter().map(String::as_bytes));
    assert!(answer.unknown.is_empty(), "{:?}", answer.unknown);
    (answer.reasoning(), answer.text())
}

fn chunk((channel, text): &Piece) -> String {
    let channel = match channel {
        Thinking => "CHANNEL_ASSISTANT_THINKING",
        Text => "CHANNEL_ASSISTANT_RESPONSE",
    };
    format!(
        "{{\"session_id\":\"c\",\"event\":{{\"type\":\"response.chunk\",\"response_id\":\"r\",\"chunk\":{{\"text\":{{\"text\":\"{text}\",\"channel\":\"{channel}\"}}}}}}}}"
    )
}

fn delta((channel, text): &Piece) -> String {
    let kind = match channel {
        Thinking => "response.reasoning_text.delta",
        Text => "response.output_text.delta",
    };
    format!("{{\"session_id\":\"c\",\"event\":{{\"type\":\"{kind}\",\"response_id\":\"r\",\"delta\":\"{text}\"}}}}")
}

#[test]
fn a_character_in_two_tokens_is_put_together() {
    for (pieces, reasoning, text) in CASES {
        let expected = ((*reasoning).to_owned(), (*text).to_owned());
        assert_eq!(of_rest(pieces), expected, "REST");
        assert_eq!(of_socket(pieces, chunk), expected, "chunks");
        assert_eq!(of_socket(pieces, delta), expected, "deltas");
    }
}

#[test]
fn several_agents_do_not_share_a_half() {
    let frame = |agent: &str, text: &str| {
        format!(
            "{{\"result\":{{\"response\":{{\"token\":\"{text}\",\"isThinking\":true,\"rolloutId\":\"{agent}\"}}}}}}\n"
        )
    };
    let stream =
        [frame("A", r"a\ud83d"), frame("B", r"b\ud83d"), frame("A", r"\ude00"), frame("B", r"\ude01")].concat();
    let answer = answer_of([stream.as_bytes()]);
    assert_eq!(answer.reasoning(), "a\nb\n😀\n😁");
}

#[test]
fn what_is_stored_goes_on_where_the_stream_was_cut_in_a_character() {
    let stored = |message: &str| {
        format!(
            "{{\"result\":{{\"response\":{{\"modelResponse\":{{\"message\":\"{message}\",\"responseId\":\"r\"}}}}}}}}\n"
        )
    };
    let token = |text: &str| format!("{{\"result\":{{\"response\":{{\"token\":\"{text}\",\"responseId\":\"r\"}}}}}}\n");
    for (streamed, kept, expected) in [
        (r"a\ud83d", r"a\ud83d\ude00b", "a😀b"),
        (r"a\ud83d", r"a\ud83d", "a\u{fffd}"),
        (r"a", r"a\ud83db", "a\u{fffd}b"),
        (r"\ud83d", "another", "another"),
    ] {
        let answer = answer_of([[token(streamed), stored(kept)].concat().as_bytes()]);
        assert_eq!(answer.text(), expected, "{streamed} then {kept}");
    }
}

#[test]
fn a_half_anywhere_else_costs_nothing_else() {
    let card =
        r#"{\"id\":\"a\",\"type\":\"render_inline_citation\",\"url\":\"https://h.example/\",\"title\":\"\\ud83d\"}"#;
    let place = r#"<grok:render card_id=\"a\" type=\"render_inline_citation\"></grok:render>"#;
    let frame = format!(
        "{{\"result\":{{\"response\":{{\"token\":\"x{place}\",\"cardAttachment\":{{\"jsonData\":\"{card}\"}},\"responseId\":\"r\"}},\"title\":{{\"newTitle\":\"t\\ud83d\"}}}}}}\n"
    );
    let answer = answer_of([frame.as_bytes()]);
    assert_eq!(answer.text(), "x[[1]](https://h.example/)");
    assert_eq!(answer.ids.title.as_deref(), Some("t\u{fffd}"));
    let share = rest::read_share(br#"{"shareLinkId":"s","title":"\ud83d"}"#).unwrap();
    assert_eq!(share, "s");
    let responses = rest::read_responses(br#"{"responses":[{"responseId":"r","message":"a\ude00b"}]}"#).unwrap();
    assert_eq!(responses[0].message, "a\u{fffd}b");
}

#[test]
fn clients_may_cut_characters_too() {
    let body = r#"{"model":"m","us\ud83der":"u","user":"\ude00","messages":[
        {"role":"user","content":"cut \ud83d","name":"n\ud83d"},
        {"role":"user","content":[{"type":"text","text":"\ude00 too \ud83d\ude00"},"\ud83d"]}]}"#;
    let request = read_chat_request(body.as_bytes()).unwrap();
    let texts: Vec<&str> = request.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["cut \u{fffd}", "\u{fffd} too 😀\n\u{fffd}"]);
    assert_eq!((request.user.as_deref(), request.messages[0].name.as_deref()), (Some("\u{fffd}"), Some("n\u{fffd}")));
    assert_eq!(request.ignored, ["us\u{fffd}er"]);
    let turn = read_turn_request(br#"{"conversation_id":"c","message":"m\ud83d"}"#).unwrap();
    assert_eq!(turn.message, "m\u{fffd}");
}
