//! Chat requests as clients really write them, and those that are refused.

use protocol::openai::{ChatRequest, ReasoningFormat, RequestError, Role, read_chat_request, read_turn_request};
use serde_json::{Value, json};

fn read(body: &Value) -> ChatRequest {
    read_chat_request(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{body}: {error:?}"))
}

fn refused(body: &Value) -> RequestError {
    read_chat_request(body.to_string().as_bytes()).expect_err(&body.to_string())
}

/// A request with one user message and these members besides.
fn with(members: Value) -> Value {
    let mut body = json!({"model": "grok-4.2", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn texts(request: &ChatRequest) -> Vec<(Role, &str)> {
    request.messages.iter().map(|message| (message.role, message.text.as_str())).collect()
}

#[test]
fn every_role_and_every_form_of_content_is_read() {
    let request = read(&json!({"model": " grok-4.2 ", "messages": [
        {"role": "system", "content": ""},
        {"role": "developer", "content": [{"type": "text", "text": "rules"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "not json"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "so"}, {"type": "refusal", "refusal": "no"}]},
        {"role": "function", "name": "look", "content": "old form"},
        {"role": "assistant", "content": " "},
        {"role": "user", "content": "go on"},
    ]}));
    assert_eq!(request.model, "grok-4.2");
    let texts = texts(&request);
    assert_eq!(texts[0], (Role::System, "rules"), "the empty system message is dropped");
    assert_eq!(texts[1], (Role::User, "one\ntwo"));
    assert_eq!(texts[2].0, Role::Assistant);
    assert!(request.messages[2].tool_calls.is_some());
    assert_eq!(texts[3], (Role::Tool, "found"));
    assert_eq!(texts[4], (Role::Assistant, "so\nno"));
    assert_eq!(texts[5], (Role::Tool, "old form"));
    assert_eq!(texts[7], (Role::User, "go on"));
}

#[test]
fn missing_content_counts_as_empty() {
    let request = read(&json!({"model": "m", "messages": [{"role": "user", "content": "q"}, {"role": "assistant"}]}));
    assert_eq!(texts(&request), [(Role::User, "q"), (Role::Assistant, "")]);
}

#[test]
fn streaming_and_usage_are_read() {
    let request = read(&with(json!({"stream": true, "stream_options": {"include_usage": true}})));
    assert!(request.stream && request.include_usage);
    let request = read(&with(json!({"stream": null, "stream_options": null})));
    assert!(!request.stream && !request.include_usage);
}

#[test]
fn ids_are_read_and_empty_ones_are_none() {
    let request = read(&with(json!({"conversation_id": "conv-1", "previous_response_id": "resp-1", "user": "u"})));
    assert_eq!(
        (request.conversation_id.as_deref(), request.previous_response_id.as_deref(), request.user.as_deref()),
        (Some("conv-1"), Some("resp-1"), Some("u"))
    );
    let request = read(&with(json!({"conversation_id": "", "previous_response_id": null})));
    assert_eq!((request.conversation_id, request.previous_response_id), (None, None));
}

#[test]
fn every_spelling_of_hiding_and_showing_reasoning_is_understood() {
    for (members, show) in [
        (json!({}), None),
        (json!({"thinking": false}), Some(false)),
        (json!({"thinking": true}), Some(true)),
        (json!({"show_thinking": false}), Some(false)),
        (json!({"reasoning_effort": "none"}), Some(false)),
        (json!({"reasoning_effort": "high"}), None),
        (json!({"include_reasoning": false}), Some(false)),
    ] {
        assert_eq!(read(&with(members.clone())).reasoning.show, show, "{members}");
    }
    let format = |name: &str| read(&with(json!({"reasoning_format": name}))).reasoning.format;
    assert_eq!(format("think_tags"), Some(ReasoningFormat::ThinkTags));
    assert_eq!(format("reasoning_content"), Some(ReasoningFormat::ReasoningContent));
}

#[test]
fn every_spelling_of_searching_is_understood() {
    for (members, search) in [
        (json!({}), None),
        (json!({"web_search_options": {}}), Some(true)),
        (json!({"search": false}), Some(false)),
        (json!({"disable_search": true}), Some(false)),
    ] {
        assert_eq!(read(&with(members.clone())).search, search, "{members}");
    }
}

#[test]
fn unknown_and_unused_members_are_accepted_and_named() {
    let request = read(&with(json!({
        "temperature": 0.7, "max_tokens": 100, "n": 1, "tools": [{"type": "function", "function": {"name": "f"}}], "seed": null,
        "some_new_thing": {"deep": [1, 2, {"a": null}]},
    })));
    for name in ["max_tokens", "some_new_thing", "temperature", "tools"] {
        assert!(request.ignored.iter().any(|ignored| ignored == name), "{name} is missing in {:?}", request.ignored);
    }
    assert!(
        !request.ignored.iter().any(|name| matches!(name.as_str(), "model" | "messages" | "n" | "seed")),
        "{:?}",
        request.ignored
    );
    assert!(request.ignored.is_sorted());
}

#[test]
fn wrong_requests_are_refused_with_the_member_at_fault() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    for (body, param, code) in [
        (json!({"messages": [{"role": "user", "content": "x"}]}), "model", None),
        (with(json!({"model": " "})), "model", None),
        (with(json!({"model": 4})), "model", None),
        (json!({"model": "m"}), "messages", None),
        (with(json!({"messages": []})), "messages", None),
        (with(json!({"messages": "hi"})), "messages", None),
        (with(json!({"messages": [{"role": "assistant", "content": "only me"}]})), "messages", None),
        (with(json!({"messages": [5]})), "messages[0]", None),
        (with(json!({"messages": [{"role": "user", "content": "a"}, {"content": "b"}]})), "messages[1].role", None),
        (with(json!({"messages": [{"role": "wizard", "content": "b"}]})), "messages[0].role", None),
        (with(json!({"messages": [{"role": "user", "content": 5}]})), "messages[0].content", None),
        (
            with(
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}, image]}]}),
            ),
            "messages[1].content[1].image_url.url",
            Some("unsupported_content"),
        ),
        (with(json!({"stream": "yes"})), "stream", None),
        (with(json!({"n": 2})), "n", None),
        (with(json!({"conversation_id": 7})), "conversation_id", None),
    ] {
        let error = refused(&body);
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error:?}");
        assert!(code.is_none_or(|code| error.code == code), "{body}: {error:?}");
        assert!(!error.message.is_empty() && error.message.ends_with('.'), "{error:?}");
    }
}

#[test]
fn broken_json_is_refused_with_line_and_column() {
    let error = read_chat_request(b"{\"model\": \"m\",\n  \"messages\": [}").unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), ("invalid_json", None));
    assert!(error.message.contains("line 2") && error.message.contains("column"), "{}", error.message);
    for body in [&b""[..], b"[]", b"\"text\"", b"{\"model\":\"\xff\"}", b"null"] {
        assert_eq!(read_chat_request(body).unwrap_err().code, "invalid_json", "{body:?}");
    }
}

#[test]
fn the_short_form_is_read() {
    let body = json!({"conversation_id": "conv-1", "message": "and in French?", "model": "grok-3", "stream": true, "extra": 1});
    let turn = read_turn_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(
        (turn.conversation_id.as_str(), turn.message.as_str(), turn.model.as_deref()),
        ("conv-1", "and in French?", Some("grok-3"))
    );
    assert!(turn.stream);
    assert_eq!(turn.ignored, ["extra"]);
}

#[test]
fn the_short_form_without_a_conversation_says_where_to_get_one() {
    for body in [
        json!({"message": "hi"}),
        json!({"message": "hi", "conversation_id": ""}),
        json!({"message": "hi", "conversation_id": null}),
    ] {
        let error = read_turn_request(body.to_string().as_bytes()).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), ("missing_conversation_id", Some("conversation_id")));
        assert!(error.message.contains("first chunk of the previous answer"), "{}", error.message);
    }
    let error = read_turn_request(br#"{"conversation_id":"c"}"#).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("message"));
}
