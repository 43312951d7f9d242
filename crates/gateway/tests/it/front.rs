//! The front door itself: keys, paths, methods, browsers of other origins, bodies without end, and bytes that are no request.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{KEY, PASSWORD, Rig};
use crate::probes::{no_trace, question, read_refusal};

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
        let refusal = read_refusal(send(&headers).await).await;
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
            let refusal = read_refusal(call(method, path).await).await;
            assert_eq!(refusal.told(), (405, "method_not_allowed", None), "{method} {path}");
            assert_eq!(refusal.headers["allow"], "POST", "{method} {path}");
        }
    }
    for path in ["/v1/nothing", "/v1/chat", "/v1/chat/completions/x", "/v2/chat/completions", "/v1//chat/completions"] {
        assert_eq!(read_refusal(call("POST", path).await).await.told(), (404, "not_found", None), "{path}");
    }
    assert_eq!(read_refusal(call("POST", "/v1/models").await).await.status, 405);
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
    let refused = read_refusal(send("sk-wrong", question("hello there", false)).await).await;
    assert_eq!((refused.status, &refused.headers["access-control-allow-origin"]), (401, &"*".parse().unwrap()));
    let refused = read_refusal(send(KEY, json!({ "model": 1 })).await).await;
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
async fn a_client_that_is_refused_while_it_sends_reads_why() {
    let rig = Rig::with_settings(&["anna"], json!({ "max_body_mb": 1 })).await;
    let large = question(&"x".repeat(6 << 20), false);
    for round in 0..20 {
        let refusal = rig.chat(large.clone()).await;
        assert_eq!((refusal.status, refusal.error()["code"].as_str()), (413, Some("request_too_large")), "{round}");
        let refusal = rig.chat_as("sk-wrong", large.clone(), &[]).await;
        assert_eq!((refusal.status, refusal.error()["code"].as_str()), (401, Some("invalid_api_key")), "{round}");
    }
    no_trace(&rig).await;
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let rig = Rig::new(&["anna"]).await;
    let send = async |head: &str| {
        let mut connection = rig.connect().await;
        let request = format!("{head}Authorization: Bearer {KEY}\r\nConnection: close\r\n\r\n");
        connection.stream.write_all(request.as_bytes()).await.unwrap();
        connection.read_to_end().await
    };
    for target in ["/v1/models", "/healthz", "/admin/api/v1/session", "/admin", "http://rig/v1/models"] {
        for hosts in [
            "",
            "Host: rig\r\nHost: rig\r\n",
            "Host: rig\r\nhost: other\r\n",
            "Host:\r\n",
            "Host: a b\r\n",
            "Host: a/b\r\n",
        ] {
            let answer = send(&format!("GET {target} HTTP/1.1\r\n{hosts}")).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{target} {hosts:?}: {answer}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("x-request-id: req-"), "{head}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"]["code"], "invalid_host", "{target} {hosts:?}");
            // Each API in its own form.
            assert_eq!(body["error"]["retryable"].is_boolean(), target.starts_with("/admin"), "{body}");
        }
    }
    for target in ["/v1/models", "http://rig/v1/models", "http://elsewhere:81/v1/models", "HTTP://rig/v1/models"] {
        let answer = send(&format!("GET {target} HTTP/1.1\r\nHost: rig\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
    }
    for (head, status) in [
        ("GET /v1/models HTTP/1.0\r\n", "200"),
        ("GET ftp://rig/v1/models HTTP/1.1\r\nHost: rig\r\n", "400"),
        ("GET http://me@rig/v1/models HTTP/1.1\r\nHost: rig\r\n", "400"),
        ("OPTIONS * HTTP/1.1\r\nHost: rig\r\n", "404"),
        ("CONNECT rig:443 HTTP/1.1\r\nHost: rig:443\r\n", "404"),
    ] {
        let answer = send(head).await;
        assert!(answer.split_once(' ').is_some_and(|(_, rest)| rest.starts_with(status)), "{head}: {answer}");
    }
    // The name in the address counts: a page elsewhere gains nothing by another in the header.
    let body = json!({ "username": "admin", "password": PASSWORD }).to_string();
    let sign_in = |target: &str, host: &str, origin: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let path = "/admin/api/v1/session";
    for (target, host, origin, status) in [
        (path.to_owned(), "rig", "http://rig", "204"),
        (format!("http://rig{path}"), "evil.example", "http://evil.example", "403"),
        (format!("http://rig{path}"), "evil.example", "http://rig", "204"),
    ] {
        let mut connection = rig.connect().await;
        connection.stream.write_all(sign_in(&target, host, origin).as_bytes()).await.unwrap();
        let answer = connection.read_to_end().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {host} {origin}: {answer}");
    }
}
