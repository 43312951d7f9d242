//! Nothing the upstream or a client sends may cause a panic, and one odd member costs no other.

use proptest::prelude::*;
use protocol::failure::classify_http;
use protocol::openai::{read_chat_request, read_turn_request};
use protocol::rest;
use serde_json::{Value, json};

use crate::support::{Fixture, answer_of};

/// All places in a JSON value, as pointers.
pub(crate) fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{path}/{name}"), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places(value, &format!("{path}/{index}"), found))
        }
        _ => {}
    }
}

pub(crate) fn odd_value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(18_446_744_073_709_551_615_u64),
        json!(""),
        json!("text"),
        json!("{broken"),
        json!([]),
        json!([null, 1, "x", {}]),
        json!({}),
        json!({"results": 3}),
        json!([[[]]]),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_stream_with_any_member_replaced_is_still_read(
        which in any::<prop::sample::Index>(), line in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), odd in odd_value(),
    ) {
        let fixtures = Fixture::all();
        let fixture = which.get(&fixtures);
        let lines = fixture.lines();
        prop_assume!(!lines.is_empty());
        let changed = line.index(lines.len());
        let Ok(mut frame) = serde_json::from_str::<Value>(lines[changed]) else { return Ok(()) };
        let mut found = Vec::new();
        places(&frame, "", &mut found);
        *frame.pointer_mut(&found[place.index(found.len())]).unwrap() = odd;
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            text.push_str(&if index == changed { frame.to_string() } else { (*line).to_owned() });
            text.push('\n');
        }
        answer_of([text.as_bytes()]);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        answer_of([bytes.as_slice()]);
        let _ = read_chat_request(&bytes);
        let _ = read_turn_request(&bytes);
        let _ = rest::read_clone(&bytes);
        let _ = rest::read_share(&bytes);
        let _ = rest::read_rate_limits(&bytes);
        let _ = rest::read_response_nodes(&bytes);
        classify_http(403, None, &bytes);
    }

    #[test]
    fn any_object_is_survived(text in "[{}\\[\\]\":,a-z0-9\\\\ ]{0,80}") {
        rest::decode(&text, |_| {});
        answer_of([format!("{{{text}}}").as_bytes()]);
        let _ = read_chat_request(text.as_bytes());
    }

    /// Words may vanish only when the frame that held them was damaged, so every other frame's words are there.
    #[test]
    fn an_odd_member_beside_the_text_does_not_cost_the_text(odd in odd_value(), name in prop::sample::select(vec![
        "messageStepId", "rolloutId", "toolUsageCardId", "webSearchResults", "cardAttachment", "uiLayout", "llmInfo", "streamingMetadata", "somethingNew",
        "toolUsageCard", "queryAction", "modelResponse", "userResponse", "streamingImageGenerationResponse", "keepAlive",
    ])) {
        let mut chunk = json!({"token": "the words", "isThinking": false, "isSoftStop": false, "messageTag": "final", "responseId": "answer"});
        chunk[name] = odd;
        for frame in [json!({"result": {"response": chunk}}), json!({"result": chunk})] {
            let answer = answer_of([frame.to_string().as_bytes()]);
            prop_assert!(answer.text().starts_with("the words"), "{name}: {frame}");
        }
    }
}

#[test]
fn deep_nesting_is_refused_or_passed_over_without_a_crash() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let frame = format!("{{\"result\":{{\"response\":{{\"token\":\"x\",\"new\":{deep}}}}}}}");
    rest::decode(&frame, |_| {});
    let objects = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    rest::decode(&objects, |_| {});
    for content in [&deep, &objects] {
        let body = format!(
            "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":{content}}}],\"extra\":{content}}}"
        );
        read_chat_request(body.as_bytes()).expect_err("content is neither text nor parts");
    }
}

#[test]
fn a_frame_beyond_the_limit_is_an_error_and_the_next_line_is_read() {
    let mut splitter = protocol::frame::FrameSplitter::new(64);
    let long = format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}\n", "x".repeat(100));
    let mut frames = Vec::new();
    assert_eq!(
        splitter.push(&long.as_bytes()[..80], |frame| frames.push(frame.to_owned())).unwrap_err().limit_bytes,
        64
    );
    splitter.push(&long.as_bytes()[80..], |frame| frames.push(frame.to_owned())).unwrap();
    assert_eq!(frames, ["{\"b\":1}"]);
}
