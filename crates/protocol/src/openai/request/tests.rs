use proptest::prelude::*;
use serde_json::json;

use super::{ChatRequest, Role, read_chat_request};
use crate::openai::{ReasoningFormat, RequestError, read_turn_request};

fn read(body: serde_json::Value) -> Result<ChatRequest, RequestError> {
    read_chat_request(body.to_string().as_bytes())
}

fn asking(messages: serde_json::Value) -> Result<ChatRequest, RequestError> {
    read(json!({"model": "grok-3", "messages": messages}))
}

/// A request with one more member.
fn with(name: &str, value: serde_json::Value) -> Result<ChatRequest, RequestError> {
    let mut body = json!({"model": "grok-3", "messages": [{"role": "user", "content": "hi"}]});
    body[name] = value;
    read(body)
}

/// What a complaint is about: code and member.
fn blame<T>(result: Result<T, RequestError>) -> (&'static str, Option<String>) {
    let error = result.err().expect("the request is wrong");
    assert!(!error.message.is_empty());
    (error.code, error.param)
}

fn at(code: &'static str, param: &str) -> (&'static str, Option<String>) {
    (code, Some(param.to_owned()))
}

#[test]
fn a_plain_request_is_read() {
    let request = read(json!({
        "model": " grok-3 ", "stream": true, "stream_options": {"include_usage": true}, "user": "u",
        "conversation_id": "conv-1", "previous_response_id": "",
        "messages": [
            {"role": "developer", "content": ""},
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}, "c"]},
            {"role": "assistant", "content": null, "refusal": "no", "tool_calls": [{"id": "t1"}]},
            {"role": "assistant", "tool_calls": []},
            {"role": "tool", "content": "4", "tool_call_id": "t1"},
            {"role": "function", "content": " ", "name": "f"},
        ],
    }))
    .expect("a good request");
    assert_eq!(request.model, "grok-3");
    assert!(request.stream && request.include_usage);
    assert_eq!(request.conversation_id.as_deref(), Some("conv-1"));
    assert_eq!(request.previous_response_id, None);
    assert_eq!(request.user.as_deref(), Some("u"));
    assert!(request.ignored.is_empty());
    let messages: Vec<_> = request.messages.iter().map(|message| (message.role, message.text.as_str())).collect();
    assert_eq!(
        messages,
        [
            (Role::System, "be brief"),
            (Role::User, "a\nb\nc"),
            (Role::Assistant, "no"),
            (Role::Assistant, ""),
            (Role::Tool, "4"),
            (Role::Tool, " "),
        ]
    );
    assert_eq!(request.messages[2].tool_calls.as_deref(), Some(r#"[{"id":"t1"}]"#));
    assert_eq!(request.messages[4].tool_call_id.as_deref(), Some("t1"));
    assert_eq!(request.messages[5].name.as_deref(), Some("f"));
}

#[test]
fn unknown_members_are_named_and_never_refused() {
    let request = read(json!({
        "model": "m", "messages": [{"role": "user", "content": "hi", "cache_control": {}}],
        "tools": [{"type": "function"}], "temperature": 0.2, "seed": 1e300, "stop": null, "n": 1,
        "reasoning_effort": "high", "thinking": "maybe", "user": 7,
    }))
    .expect("nothing in it is wrong");
    assert_eq!(request.ignored, ["reasoning_effort", "seed", "temperature", "thinking", "tools", "user"]);
}

#[test]
fn complaints_name_the_member() {
    let part = |part: serde_json::Value| {
        asking(json!([{"role": "system", "content": "x"}, {"role": "user", "content": ["a", part]}]))
    };
    let user = json!([{"role": "user", "content": "hi"}]);
    for (result, expected) in [
        (read(json!({"messages": user})), at("missing_required_parameter", "model")),
        (read(json!({"messages": user, "model": " "})), at("invalid_value", "model")),
        (read(json!({"messages": user, "model": 3})), at("invalid_type", "model")),
        (read(json!({"model": "m"})), at("missing_required_parameter", "messages")),
        (read(json!({"model": "m", "messages": null})), at("missing_required_parameter", "messages")),
        (asking(json!({})), at("invalid_type", "messages")),
        (asking(json!([])), at("invalid_value", "messages")),
        (asking(json!([{"role": "assistant", "content": "x"}])), at("invalid_value", "messages")),
        (asking(json!([{"role": "user", "content": " "}])), at("invalid_value", "messages")),
        (asking(json!(["hi"])), at("invalid_type", "messages[0]")),
        (asking(json!([{"content": "x"}])), at("missing_required_parameter", "messages[0].role")),
        (asking(json!([{"role": "robot", "content": "x"}])), at("invalid_value", "messages[0].role")),
        (asking(json!([{"role": 1, "content": "x"}])), at("invalid_type", "messages[0].role")),
        (asking(json!([{"role": "user", "content": 1}])), at("invalid_type", "messages[0].content")),
        (
            part(json!({"type": "image_url", "image_url": {"url": "x"}})),
            at("unsupported_content", "messages[1].content[1].image_url.url"),
        ),
        (
            part(json!({"type": "input_image", "image_url": "x"})),
            at("unsupported_content", "messages[1].content[1].image_url"),
        ),
        (part(json!({"type": "input_audio"})), at("unsupported_content", "messages[1].content[1]")),
        (part(json!({"type": "text"})), at("missing_required_parameter", "messages[1].content[1].text")),
        (part(json!({"type": "text", "text": 5})), at("invalid_type", "messages[1].content[1].text")),
        (part(json!(5)), at("invalid_type", "messages[1].content[1]")),
        (with("stream", json!("yes")), at("invalid_type", "stream")),
        (with("stream_options", json!(true)), at("invalid_type", "stream_options")),
        (with("stream_options", json!({"include_usage": 1})), at("invalid_type", "stream_options.include_usage")),
        (with("conversation_id", json!(1)), at("invalid_type", "conversation_id")),
        (with("n", json!(2)), at("unsupported_value", "n")),
        (with("n", json!("1")), at("invalid_type", "n")),
    ] {
        assert_eq!(blame(result), expected);
    }
}

#[test]
fn syntax_is_blamed_with_its_place() {
    for (body, place) in [
        (&b"{\"model\": \"m\",\n  \"messages\": [}"[..], "line 2"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "line 1"),
        (b"{}{}", "trailing"),
        (b"[]", "object"),
        (b"null", "object"),
        (b"\"x\"", "object"),
        (b"{\"model\": \"\xff\"}", "UTF-8"),
    ] {
        let error = read_chat_request(body).expect_err("not a request");
        assert_eq!((error.code, error.param), ("invalid_json", None));
        assert!(error.message.contains(place), "{}", error.message);
    }
    let twice = br#"{"model":"a","model":"b","messages":[]}"#;
    assert_eq!(blame(read_chat_request(twice)), at("duplicate_member", "model"));
    let twice = br#"{"model":"a","messages":[{"role":"user","role":"user"}]}"#;
    assert_eq!(blame(read_chat_request(twice)), at("duplicate_member", "messages[0].role"));
    assert!(
        read_chat_request("\u{feff}{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}".as_bytes())
            .is_ok()
    );
}

#[test]
fn nesting_of_any_depth_is_no_danger() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"metadata":{deep}}}"#);
    assert_eq!(read_chat_request(body.as_bytes()).expect("nobody reads it").ignored, ["metadata"]);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"thinking":{deep}}}"#);
    assert_eq!(read_chat_request(body.as_bytes()).expect("it is not understood").ignored, ["thinking"]);
    let body = format!(r#"{{"model":"m","messages":{deep}}}"#);
    assert_eq!(blame(read_chat_request(body.as_bytes())), at("invalid_type", "messages[0]"));
    assert_eq!(blame(read_chat_request("[".repeat(200_000).as_bytes())).0, "invalid_json");
}

#[test]
fn reasoning_is_chosen_in_many_spellings() {
    let choice = |name: &str, value| {
        let reasoning = with(name, value).expect("a good request").reasoning;
        (reasoning.show, reasoning.format)
    };
    for (name, value, expected) in [
        ("thinking", json!(true), (Some(true), None)),
        ("thinking", json!({"type": "disabled"}), (Some(false), None)),
        ("show_thinking", json!(false), (Some(false), None)),
        ("include_reasoning", json!(false), (Some(false), None)),
        ("reasoning_effort", json!("none"), (Some(false), None)),
        ("reasoning_effort", json!("low"), (None, None)),
        ("reasoning", json!({"exclude": true}), (Some(false), None)),
        ("reasoning", json!({"effort": "none"}), (Some(false), None)),
        ("reasoning_format", json!("think_tags"), (None, Some(ReasoningFormat::ThinkTags))),
        ("reasoning_format", json!("parsed"), (None, Some(ReasoningFormat::ReasoningContent))),
        ("reasoning_format", json!("hidden"), (Some(false), None)),
        ("reasoning_format", json!("mirrored"), (None, None)),
        ("temperature", json!(1), (None, None)),
    ] {
        assert_eq!(choice(name, value.clone()), expected, "{name}: {value}");
    }
}

#[test]
fn search_is_chosen_in_many_spellings() {
    for (name, value, expected) in [
        ("web_search_options", json!({}), Some(true)),
        ("search", json!(false), Some(false)),
        ("disable_search", json!(true), Some(false)),
        ("search_parameters", json!({"mode": "off"}), Some(false)),
        ("search_parameters", json!({"mode": "on"}), Some(true)),
        ("temperature", json!(1), None),
    ] {
        assert_eq!(with(name, value).expect("a good request").search, expected, "{name}");
    }
}

#[test]
fn a_turn_needs_its_conversation() {
    let read = |body: serde_json::Value| read_turn_request(body.to_string().as_bytes());
    let error = read(json!({"message": "hi"})).expect_err("no conversation");
    assert_eq!((error.code, error.param.as_deref()), ("missing_conversation_id", Some("conversation_id")));
    assert!(error.message.contains("first chunk of the previous answer"));
    assert_eq!(blame(read(json!({"conversation_id": "c"}))), at("missing_required_parameter", "message"));
    assert_eq!(blame(read(json!({"conversation_id": "c", "message": " "}))), at("invalid_value", "message"));
    assert_eq!(blame(read(json!({"conversation_id": "c", "input": [1]}))), at("invalid_type", "input"));
    let turn = read(json!({"conversation_id": "c", "message": "hi", "stream": true, "temperature": 1})).expect("good");
    assert_eq!((turn.conversation_id.as_str(), turn.message.as_str(), turn.stream), ("c", "hi", true));
    assert_eq!((turn.model, turn.ignored), (None, vec!["temperature".to_owned()]));
    assert_eq!(read(json!({"conversation_id": "c", "input": "hi"})).expect("good").message, "hi");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read_chat_request(&body);
        let _ = read_turn_request(&body);
    }

    #[test]
    fn no_json_makes_it_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"model\"", "\"messages\"", "\"role\"", "\"user\"", "\"content\"", "\"n\"", "1", "1e999", "-",
        "null", "true", "\"\\ud800\"", "\"stream\"", " ",
    ]), 0..24)) {
        let _ = read_chat_request(parts.concat().as_bytes());
    }
}
