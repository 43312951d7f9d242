//! What clients send that cannot be answered: refused with one shape of error, a status that fits, and no trace upstream.

use serde_json::{Value, json};

use crate::harness::{KEY, Rig};
use crate::probes::{Refusal, no_trace, question, read_refusal};

async fn post_bytes(rig: &Rig, path: &str, body: Vec<u8>) -> reqwest::Response {
    let request = rig.http().post(rig.url(path)).bearer_auth(KEY).header("content-type", "application/json");
    request.body(body).send().await.unwrap()
}

/// Sends what is refused.
async fn refused(rig: &Rig, body: impl Into<Vec<u8>>) -> Refusal {
    read_refusal(post_bytes(rig, "/v1/chat/completions", body.into()).await).await
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_named_as_such() {
    let rig = Rig::new(&["anna"]).await;
    let invalid: [&[u8]; 13] = [
        b"",
        b"   \n",
        b"hello",
        b"{",
        b"{\"model\":}",
        b"{\"model\":\"x\"} trailing",
        b"[]",
        b"null",
        b"42",
        b"\"text\"",
        b"{'model':'x'}",
        b"\xff\xfe{}",
        b"{\"model\":\"\xc3\x28\",\"messages\":[]}",
    ];
    for body in invalid {
        let refusal = refused(&rig, body).await;
        assert_eq!(refusal.told(), (400, "invalid_json", None), "{}", String::from_utf8_lossy(body));
    }
    no_trace(&rig).await;
}

#[tokio::test]
async fn members_of_the_wrong_kind_are_named() {
    let rig = Rig::new(&["anna"]).await;
    let message = json!([{ "role": "user", "content": "hello" }]);
    let with = |members: Value| {
        let mut body = json!({ "model": "grok-4.2", "messages": message });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    let one = |message: Value| with(json!({ "messages": [message] }));
    let rows = [
        (json!({}), "missing_required_parameter", "model"),
        (json!({ "messages": message }), "missing_required_parameter", "model"),
        (json!({ "model": "grok-4.2" }), "missing_required_parameter", "messages"),
        (with(json!({ "model": null })), "missing_required_parameter", "model"),
        (with(json!({ "model": 4 })), "invalid_type", "model"),
        (with(json!({ "model": ["grok"] })), "invalid_type", "model"),
        (with(json!({ "model": " " })), "invalid_value", "model"),
        (with(json!({ "model": "m".repeat(129) })), "invalid_value", "model"),
        (with(json!({ "model": "ä".repeat(1_000_000) })), "invalid_value", "model"),
        (with(json!({ "model": "grok\n2026-01-01 INFO forged" })), "invalid_value", "model"),
        (with(json!({ "model": "grok\u{1b}[31m" })), "invalid_value", "model"),
        (with(json!({ "model": "grok\u{202e}4" })), "invalid_value", "model"),
        (with(json!({ "messages": null })), "missing_required_parameter", "messages"),
        (with(json!({ "messages": "hello" })), "invalid_type", "messages"),
        (with(json!({ "messages": {} })), "invalid_type", "messages"),
        (with(json!({ "messages": [] })), "invalid_value", "messages"),
        (with(json!({ "messages": ["hello"] })), "invalid_type", "messages[0]"),
        (with(json!({ "messages": [null] })), "invalid_type", "messages[0]"),
        (one(json!({ "content": "x" })), "missing_required_parameter", "messages[0].role"),
        (one(json!({ "role": 1, "content": "x" })), "invalid_type", "messages[0].role"),
        (one(json!({ "role": "robot", "content": "x" })), "invalid_value", "messages[0].role"),
        (one(json!({ "role": "user", "content": 5 })), "invalid_type", "messages[0].content"),
        (one(json!({ "role": "user", "content": { "text": "x" } })), "invalid_type", "messages[0].content"),
        (one(json!({ "role": "user", "content": [5] })), "invalid_type", "messages[0].content[0]"),
        (
            one(json!({ "role": "user", "content": [{ "type": "text" }] })),
            "missing_required_parameter",
            "messages[0].content[0].text",
        ),
        (with(json!({ "stream": "yes" })), "invalid_type", "stream"),
        (with(json!({ "stream": 1 })), "invalid_type", "stream"),
        (with(json!({ "stream_options": true })), "invalid_type", "stream_options"),
        (with(json!({ "stream_options": { "include_usage": 1 } })), "invalid_type", "stream_options.include_usage"),
        (with(json!({ "conversation_id": 7 })), "invalid_type", "conversation_id"),
        (with(json!({ "previous_response_id": {} })), "invalid_type", "previous_response_id"),
        (with(json!({ "n": 2 })), "unsupported_value", "n"),
        (with(json!({ "n": 0 })), "unsupported_value", "n"),
        (with(json!({ "n": "two" })), "invalid_type", "n"),
    ];
    for (body, code, param) in rows {
        let refusal = refused(&rig, body.to_string()).await;
        assert_eq!(refusal.told(), (400, code, Some(param)), "{body}");
    }
    no_trace(&rig).await;
}

#[tokio::test]
async fn content_that_is_not_text_is_named_with_its_place() {
    let rig = Rig::new(&["anna"]).await;
    for (kind, place, part) in [
        (
            "image_url",
            ".image_url.url",
            json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }),
        ),
        ("input_audio", "", json!({ "type": "input_audio", "input_audio": { "data": "", "format": "wav" } })),
        ("file", "", json!({ "type": "file", "file": { "file_id": "file-1" } })),
    ] {
        let parts = json!([{ "type": "text", "text": "what is this?" }, part]);
        let messages = json!([{ "role": "system", "content": "" }, { "role": "user", "content": parts }]);
        let body = json!({ "model": "grok-4.2", "messages": messages });
        let refusal = refused(&rig, body.to_string()).await;
        let place = format!("messages[1].content[1]{place}");
        assert_eq!(refusal.told(), (400, "unsupported_content", Some(place.as_str())), "{kind}");
    }
    no_trace(&rig).await;
}

#[tokio::test]
async fn nothing_to_answer_is_refused() {
    let rig = Rig::new(&["anna"]).await;
    for content in [Value::Null, json!(""), json!("  \n"), json!([]), json!([{ "type": "text", "text": " " }])] {
        let body = json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": content }] });
        let refusal = refused(&rig, body.to_string()).await;
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("messages")), "{body}");
    }
    let (asked, answered) = (json!({ "role": "user", "content": "a" }), json!({ "role": "assistant", "content": "b" }));
    for (messages, code) in [
        (json!([answered]), "invalid_value"),
        (json!([asked, answered, { "role": "user", "content": " " }]), "empty_message"),
        (json!([asked, answered, { "role": "user", "content": null }]), "empty_message"),
    ] {
        let body = json!({ "model": "grok-4.2", "messages": messages });
        assert_eq!(refused(&rig, body.to_string()).await.told(), (400, code, Some("messages")), "{body}");
    }
    no_trace(&rig).await;
}

#[tokio::test]
async fn odd_but_sensible_requests_are_answered() {
    let rig = Rig::new(&["anna"]).await;
    let user = json!({ "role": "user", "content": "hello there" });
    for messages in [
        json!([{ "role": "developer", "content": "Be brief." }, user]),
        // Some clients send their only instruction as a system message.
        json!([{ "role": "system", "content": "Write a title." }]),
        json!([{ "role": "system", "content": "" }, user]),
        json!([{ "role": "system", "content": null }, user]),
        json!([{ "role": "system", "content": "  " }, user]),
        json!([{ "role": "user", "content": [{ "type": "text", "text": "hello there" }] }]),
        json!([user, { "role": "assistant", "content": null, "tool_calls": [] }, { "role": "tool", "tool_call_id": "1", "content": "42" }]),
        json!([user, { "role": "assistant", "content": "x" }, { "role": "function", "name": "f", "content": "42" }]),
    ] {
        let body = json!({ "model": "grok-4.2", "messages": messages });
        assert!(!rig.chat(body.clone()).await.ok().text().is_empty(), "{body}");
    }
    // Members nobody needs may hold anything, and a number of any size.
    let body = r#"{"model":"grok-4.2","messages":[{"role":"user","content":"hello there"}],"n":1.0,"temperature":1e999999,
        "max_tokens":99999999999999999999999999999999,"seed":-0.0,"tools":{"not":["a","list"]},"stop":[1,2],"user":7}"#;
    assert_eq!(post_bytes(&rig, "/v1/chat/completions", body.into()).await.status(), 200);
    let violations = rig.simulator.report().violations;
    assert!(violations.is_empty(), "{violations:?}");
}

#[tokio::test]
async fn deep_nesting_and_huge_numbers_do_no_harm() {
    const DEPTH: usize = 100_000;
    let rig = Rig::new(&["anna"]).await;
    let nests = [("[".repeat(DEPTH), "]".repeat(DEPTH)), ("{\"a\":".repeat(DEPTH) + "1", "}".repeat(DEPTH))];
    for (open, close) in &nests {
        for body in [
            format!("{open}{close}"),
            open.clone(),
            format!("{{\"model\":{open}{close},\"messages\":[]}}"),
            format!("{{\"model\":\"grok-4.2\",\"messages\":{open}{close}}}"),
            format!("{{\"model\":\"grok-4.2\",\"messages\":[{open}{close}]}}"),
            format!("{{\"model\":\"grok-4.2\",\"messages\":[{{\"role\":\"user\",\"content\":{open}{close}}}]}}"),
        ] {
            assert_eq!(refused(&rig, body).await.status, 400);
        }
    }
    for number in ["1e999", "-1e999", "123456789012345678901234567890", "0.1", "-1"] {
        let body =
            format!("{{\"model\":\"grok-4.2\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"n\":{number}}}");
        assert_eq!(refused(&rig, body).await.told(), (400, "unsupported_value", Some("n")), "{number}");
    }
    no_trace(&rig).await;
    // Where nobody looks, depth does not matter either.
    let (open, close) = &nests[0];
    let body = format!(
        "{{\"model\":\"grok-4.2\",\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"reasoning\":{open}{close},\"tools\":{open}{close}}}"
    );
    assert_eq!(post_bytes(&rig, "/v1/chat/completions", body.into()).await.status(), 200);
}

#[tokio::test]
async fn a_member_given_twice_has_no_meaning() {
    let rig = Rig::new(&["anna"]).await;
    for (body, param) in [
        (r#"{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}"#, "model"),
        (r#"{"model":"a","messages":[{"role":"user","role":"system","content":"x"}]}"#, "messages[0].role"),
        (r#"{"model":"a","messages":[{"role":"user","content":"x"}],"stream":true,"stream":true}"#, "stream"),
    ] {
        assert_eq!(refused(&rig, body).await.told(), (400, "duplicate_member", Some(param)));
    }
    no_trace(&rig).await;
}

#[tokio::test]
async fn an_unknown_model_passes_through() {
    let rig = Rig::new(&["anna"]).await;
    for stream in [false, true] {
        let mut body = question("hello there", stream);
        body["model"] = json!("gpt-4o-2026");
        let reply = rig.chat(body).await.ok();
        let first = if stream { &reply.chunks[0] } else { &reply.body };
        assert_eq!(first["model"], "gpt-4o-2026");
        assert_eq!(rig.simulator.calls().last().unwrap().mode.as_deref(), Some("gpt-4o-2026"));
    }
}

#[tokio::test]
async fn the_short_form_says_what_it_lacks() {
    let rig = Rig::new(&["anna"]).await;
    for (body, told) in [
        (json!({ "message": "x" }), (400, "missing_conversation_id", Some("conversation_id"))),
        (json!({ "conversation_id": "conv-1" }), (400, "missing_required_parameter", Some("message"))),
        (json!({ "conversation_id": "conv-1", "message": " " }), (400, "invalid_value", Some("message"))),
        (json!({ "conversation_id": "conv-1", "message": ["x"] }), (400, "invalid_type", Some("message"))),
        (
            json!({ "conversation_id": "conv-1", "message": "x" }),
            (404, "conversation_not_found", Some("conversation_id")),
        ),
    ] {
        let response = post_bytes(&rig, "/v1/responses", body.to_string().into_bytes()).await;
        assert_eq!(read_refusal(response).await.told(), told, "{body}");
    }
    no_trace(&rig).await;
}
