//! What clients send that cannot be answered: refused with one shape of error, a status that fits, and no trace upstream.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{KEY, Rig};
use crate::probes::question;

/// A refusal, as read from the wire.
struct Refusal {
    status: u16,
    code: String,
    param: Option<String>,
    headers: reqwest::header::HeaderMap,
}

impl Refusal {
    fn told(&self) -> (u16, &str, Option<&str>) {
        (self.status, &self.code, self.param.as_deref())
    }
}

/// Reads an error answer and checks its shape.
async fn refusal(response: reqwest::Response) -> Refusal {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let request_id = headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(headers["content-type"], "application/json");
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    let error = &body["error"];
    assert_eq!(error, &body["detail"]["error"], "{text}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{text}");
    let mut members: Vec<&String> = error.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["code", "message", "param", "request_id", "type"], "{text}");
    assert_eq!(error["request_id"], request_id.as_str());
    assert!(error["message"].as_str().unwrap().len() > 10, "{text}");
    let kinds = ["invalid_request_error", "authentication_error", "permission_error"];
    assert!(kinds.contains(&error["type"].as_str().unwrap()), "{text}");
    let code = error["code"].as_str().unwrap().to_owned();
    Refusal { status, code, param: error["param"].as_str().map(str::to_owned), headers }
}

async fn post_bytes(rig: &Rig, path: &str, body: Vec<u8>) -> reqwest::Response {
    let request = rig.http().post(rig.url(path)).bearer_auth(KEY).header("content-type", "application/json");
    request.body(body).send().await.unwrap()
}

/// Sends what is refused and checks that it left no trace and did no harm.
async fn refused(rig: &Rig, body: impl Into<Vec<u8>>) -> Refusal {
    refusal(post_bytes(rig, "/v1/chat/completions", body.into()).await).await
}

async fn no_trace(rig: &Rig) {
    assert!(rig.simulator.calls().is_empty(), "{:?}", rig.simulator.calls());
    assert_eq!(rig.turn_count().await, 0);
    assert_eq!(rig.http().get(rig.url("/readyz")).send().await.unwrap().status(), 200);
    rig.chat(question("still there", false)).await.ok();
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
    for (kind, part) in [
        ("image_url", json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } })),
        ("input_audio", json!({ "type": "input_audio", "input_audio": { "data": "", "format": "wav" } })),
        ("file", json!({ "type": "file", "file": { "file_id": "file-1" } })),
    ] {
        let parts = json!([{ "type": "text", "text": "what is this?" }, part]);
        let messages = json!([{ "role": "system", "content": "" }, { "role": "user", "content": parts }]);
        let body = json!({ "model": "grok-4.2", "messages": messages });
        let refusal = refused(&rig, body.to_string()).await;
        assert_eq!(refusal.told(), (400, "unsupported_content", Some("messages[1].content[1]")), "{kind}");
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
async fn keys_are_asked_for_and_checked() {
    let rig = Rig::new(&["anna"]).await;
    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "phone" }))).await;
    let (id, key) = (made["keys"][0]["id"].as_str().unwrap(), made["keys"][0]["key"].as_str().unwrap());
    rig.admin("PATCH", &format!("/keys/{id}"), Some(json!({ "enabled": false }))).await;
    let send = async |headers: &[(&str, &str)]| {
        let mut request = rig.http().post(rig.url("/v1/chat/completions")).json(&question("hello there", false));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let bearer = |key: &str| format!("Bearer {key}");
    let (wrong, disabled, good) = (bearer("sk-wrong"), bearer(key), bearer(KEY));
    for (headers, told) in [
        (vec![], (401, "missing_api_key")),
        (vec![("authorization", "Bearer ")], (401, "missing_api_key")),
        (vec![("x-api-key", "")], (401, "missing_api_key")),
        (vec![("authorization", wrong.as_str())], (401, "invalid_api_key")),
        (vec![("x-api-key", "sk-wrong")], (401, "invalid_api_key")),
        (vec![("authorization", disabled.as_str())], (403, "api_key_disabled")),
        (vec![("authorization", disabled.as_str()), ("x-api-key", "sk-wrong")], (403, "api_key_disabled")),
    ] {
        let refusal = refusal(send(&headers).await).await;
        assert_eq!((refusal.status, refusal.code.as_str()), told, "{headers:?}");
    }
    assert!(rig.simulator.calls().is_empty());
    for headers in [
        vec![("authorization", good.as_str())],
        vec![("authorization", KEY)],
        vec![("x-api-key", KEY)],
        vec![("api-key", KEY)],
        vec![("authorization", "Bearer none"), ("x-api-key", KEY)],
    ] {
        assert_eq!(send(&headers).await.status(), 200, "{headers:?}");
    }
    let lower = format!("bearer   {KEY}");
    assert_eq!(send(&[("authorization", &lower)]).await.status(), 200);
}

#[tokio::test]
async fn paths_and_methods_are_told_apart() {
    let rig = Rig::new(&["anna"]).await;
    let call = async |method: &str, path: &str| {
        let request = rig.http().request(method.parse().unwrap(), rig.url(path)).bearer_auth(KEY);
        request.json(&question("hello there", false)).send().await.unwrap()
    };
    for path in ["/v1/chat/completions", "/chat/completions", "/v1/v1/chat/completions"] {
        assert_eq!(call("POST", path).await.status(), 200, "{path}");
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let refusal = refusal(call(method, path).await).await;
            assert_eq!(refusal.told(), (405, "method_not_allowed", None), "{method} {path}");
            assert_eq!(refusal.headers["allow"], "POST", "{method} {path}");
        }
    }
    for path in ["/v1/nothing", "/v1/chat", "/v1/chat/completions/x", "/v2/chat/completions", "/v1//chat/completions"] {
        assert_eq!(refusal(call("POST", path).await).await.told(), (404, "not_found", None), "{path}");
    }
    assert_eq!(refusal(call("POST", "/v1/models").await).await.status, 405);
}

#[tokio::test]
async fn browsers_may_read_answers_and_errors_but_never_the_admin_api() {
    let rig = Rig::new(&["anna"]).await;
    let origin = "https://chat.example.org";
    let preflight = async |path: &str| {
        let request = rig.http().request(reqwest::Method::OPTIONS, rig.url(path)).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization, content-type, x-custom").send().await.unwrap()
    };
    let allowed = preflight("/v1/chat/completions").await;
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "*");
    assert_eq!(allowed.headers()["access-control-allow-headers"], "authorization, content-type, x-custom");
    assert!(allowed.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));

    let send = async |key: &str, body: Value| {
        let request = rig.http().post(rig.url("/v1/chat/completions")).header("origin", origin).bearer_auth(key);
        request.json(&body).send().await.unwrap()
    };
    for response in [send(KEY, question("hello there", false)).await, send(KEY, question("hello there", true)).await] {
        assert_eq!(
            (response.status().as_u16(), &response.headers()["access-control-allow-origin"]),
            (200, &"*".parse().unwrap())
        );
        let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap().to_owned();
        assert!(exposed.contains("x-grok2api-turn") && exposed.contains("retry-after"), "{exposed}");
    }
    let refused = refusal(send("sk-wrong", question("hello there", false)).await).await;
    assert_eq!((refused.status, &refused.headers["access-control-allow-origin"]), (401, &"*".parse().unwrap()));
    let refused = refusal(send(KEY, json!({ "model": 1 })).await).await;
    assert_eq!((refused.status, &refused.headers["access-control-allow-origin"]), (400, &"*".parse().unwrap()));

    for path in ["/admin/api/v1/session", "/admin/api/v1/accounts", "/admin/api/v1/nothing"] {
        for response in
            [preflight(path).await, rig.http().get(rig.url(path)).header("origin", origin).send().await.unwrap()]
        {
            let named = response.headers().keys().find(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(named, None, "{path}");
            assert_ne!(response.status(), 200, "{path}");
        }
    }

    // Only the origins that are listed.
    rig.change_settings(json!({ "cors_allowed_origins": ["https://other.example.org"] })).await;
    let response = send(KEY, question("hello there", false)).await;
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    rig.change_settings(json!({ "cors_allowed_origins": [origin] })).await;
    let response = send(KEY, question("hello there", false)).await;
    assert_eq!(response.headers()["access-control-allow-origin"], origin);
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_not_read() {
    const MEGABYTE: usize = 1024 * 1024;
    let rig = Rig::new(&["anna"]).await;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: rig\r\nAuthorization: Bearer {KEY}\r\n");

    // Announced: refused before the first byte of it.
    let mut announced = rig.connect().await;
    let request = format!("{head}Content-Length: {}\r\n\r\n", 100 * MEGABYTE);
    announced.stream.write_all(request.as_bytes()).await.unwrap();
    announced.read_until("request_too_large").await;
    assert!(announced.text().starts_with("HTTP/1.1 413 "), "{}", announced.text());

    // In chunks: read up to the limit of 20 MB.
    let mut chunked = rig.connect().await;
    let (mut reader, mut writer) = chunked.stream.split();
    let sending = async {
        writer.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
        let chunk = [format!("{MEGABYTE:x}\r\n").as_bytes(), &vec![b' '; MEGABYTE], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 100 && writer.write_all(&chunk).await.is_ok() {
            sent += 1;
        }
        sent
    };
    let receiving = async {
        let mut answer = Vec::new();
        // The connection is broken off behind the answer, for the rest of the body is not wanted.
        let _ = reader.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    let (sent, answer) = tokio::join!(sending, receiving);
    assert!((20..40).contains(&sent), "{sent} MB were sent");
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("request_too_large"), "{answer}");

    // A stranger's body is not read at all.
    let mut stranger = rig.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: rig\r\nContent-Length: 1000\r\n\r\n";
    stranger.stream.write_all(head.as_bytes()).await.unwrap();
    stranger.read_until("missing_api_key").await;
    no_trace(&rig).await;
}

#[tokio::test]
async fn bytes_that_are_no_request_end_their_connection_alone() {
    let rig = Rig::new(&["anna"]).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
    ] {
        let mut connection = rig.connect().await;
        connection.stream.write_all(garbage).await.unwrap();
        connection.stream.shutdown().await.unwrap();
        let answer = connection.read_to_end().await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 505"),
            "{answer}"
        );
    }
    // A body that never comes whole.
    let mut half = rig.connect().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: rig\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 100\r\n\r\n{{"
    );
    half.stream.write_all(head.as_bytes()).await.unwrap();
    half.stream.shutdown().await.unwrap();
    half.read_to_end().await;
    no_trace(&rig).await;
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
        assert_eq!(refusal(response).await.told(), told, "{body}");
    }
    no_trace(&rig).await;
}
