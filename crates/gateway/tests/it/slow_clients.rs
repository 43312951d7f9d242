//! Clients that send or read at a drip, or not at all: what they hold is given back, whatever they hold, and nobody else pays for it.

use std::time::{Duration, Instant};

use grok2api_simulator::Reply as Upstream;
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{KEY, PASSWORD, Rig};
use crate::probes::{Connection, question};
use crate::transports::over_both_transports;

over_both_transports! {
    a_client_that_reads_nothing_gives_back_what_it_holds,
    a_client_that_reads_too_slowly_is_cut_by_the_clock,
}

/// Far more than the buffers between here and there hold.
const MANY_TOKENS: usize = 40_000;

/// Far beyond what any of this takes, so that a busy machine does not matter.
const GUARD: Duration = Duration::from_secs(60);

/// A connection whose own buffer is as small as the system allows.
async fn narrow(rig: &Rig) -> Connection {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    Connection { stream: socket.connect(rig.gateway().address()).await.unwrap(), read: Vec::new() }
}

/// What comes until the other side ends, in order or not.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match tokio::time::timeout(GUARD, stream.read(&mut piece)).await.expect("the connection stays open") {
            Ok(count) if count > 0 => read.extend_from_slice(&piece[..count]),
            _ => return String::from_utf8_lossy(&read).into_owned(),
        }
    }
}

/// Sends a head that announces 20 MB and then a byte now and then; what is answered before the connection ends.
async fn drip(rig: &Rig, head: &str) -> String {
    let (mut reader, mut writer) = rig.connect().await.stream.into_split();
    let head = format!("{head}Content-Length: {}\r\n\r\n", 20 << 20);
    writer.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        while writer.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut read = Vec::new();
        // The connection is broken off behind the answer, for the rest is not wanted.
        let _ = reader.read_to_end(&mut read).await;
        String::from_utf8(read).unwrap()
    };
    tokio::select! {
        () = dripping => unreachable!(),
        answer = tokio::time::timeout(GUARD, reading) => answer.expect("it is cut"),
    }
}

#[tokio::test]
async fn a_body_that_drips_is_cut_wherever_it_goes() {
    let rig = Rig::with_settings(&["anna"], json!({ "client_timeout": 1 })).await;
    let cookie = rig.sign_in().await;
    let json = "Content-Type: application/json\r\n";
    let key = format!("Authorization: Bearer {KEY}\r\n");
    let session = format!("Cookie: {cookie}\r\nX-Requested-With: console\r\n");
    // With and without credentials, routes that read their body and routes that do not.
    let cases = [
        ("POST", "/v1/chat/completions", key.as_str(), "408"),
        ("POST", "/v1/responses", &key, "408"),
        ("POST", "/v1/chat/completions", "", "401"),
        ("GET", "/v1/models", &key, "200"),
        ("GET", "/healthz", "", "200"),
        ("POST", "/nothing/here", "", "404"),
        ("PUT", "/v1/chat/completions", "", "405"),
        ("POST", "/admin/api/v1/keys", &session, "413"),
        ("POST", "/admin/api/v1/imports/preview", &session, "408"),
        ("POST", "/admin/api/v1/imports/preview", &format!("{session}Idempotency-Key: once\r\n"), "408"),
        ("POST", "/admin/api/v1/keys", "", "401"),
        ("POST", "/admin/api/v1/session", "", "413"),
    ];
    for (method, path, headers, status) in cases {
        let answer = drip(&rig, &format!("{method} {path} HTTP/1.1\r\nHost: rig\r\n{json}{headers}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
    }
    let rows = rig.requests(2).await;
    for row in rows.iter().filter(|row| row.get::<Option<String>, _>("key_id").is_some()) {
        assert_eq!(row.get::<Option<String>, _>("error_code").as_deref(), Some("request_timeout"));
    }
    rig.quiet().await;
}

#[tokio::test]
async fn strangers_bodies_are_short_and_have_their_time() {
    let rig = Rig::with_settings(&[], json!({ "client_timeout": 1 })).await;
    let padded = |bytes: usize| {
        let body = json!({ "username": "admin", "password": PASSWORD, "code": "0000-0000" }).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    for path in ["/admin/api/v1/session", "/admin/api/v1/claim", "/admin/api/login"] {
        let send = async |body: reqwest::Body| {
            let request = rig.http().post(rig.url(path)).header("content-type", "application/json").body(body);
            request.send().await.unwrap().status().as_u16()
        };
        let read = send(padded(8 << 10).into()).await;
        assert!([410, 422].contains(&read), "{path}: 8 KB are read: {read}");
        for bytes in [(8 << 10) + 1, 100_000, 1_000_000, 6_000_000] {
            assert_eq!(send(padded(bytes).into()).await, 413, "{path}: {bytes}");
        }
        // A body whose length nobody tells, and one that stops.
        let head = format!("POST {path} HTTP/1.1\r\nHost: rig\r\nContent-Type: application/json\r\n");
        let chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\n2800\r\n{}\r\n", " ".repeat(0x2800));
        for (bytes, status) in [(chunk, "413"), (format!("{head}Content-Length: 100\r\n\r\n{{\"username\":"), "408")] {
            let mut connection = rig.connect().await;
            connection.stream.write_all(bytes.as_bytes()).await.unwrap();
            let answer = read_all(&mut connection.stream).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
    }
    rig.sign_in().await;
}

#[tokio::test]
async fn a_slow_line_may_take_its_time() {
    let rig = Rig::with_settings(&["anna"], json!({ "client_timeout": 1 })).await;
    let body = question(&"x".repeat(40_000), false).to_string();
    let mut connection = rig.connect().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: rig\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.stream.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    // 40 KB/s: slower than any line, faster than nothing.
    for piece in body.as_bytes().chunks(4_000) {
        connection.stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "longer than a pause may be");
    connection.read_until("\"usage\"").await;
    assert!(connection.text().starts_with("HTTP/1.1 200 "), "{}", connection.text());
}

#[tokio::test]
async fn heads_are_short_and_have_their_time() {
    let rig = Rig::with_settings(&[], json!({ "client_timeout": 1 })).await;
    let head = |bytes: usize| format!("GET /healthz HTTP/1.1\r\nHost: rig\r\nX-Long: {}", "x".repeat(bytes));
    let send = async |bytes: String| {
        let mut connection = rig.connect().await;
        // Whoever is closed on while it sends may be reset.
        let _ = connection.stream.write_all(bytes.as_bytes()).await;
        read_all(&mut connection.stream).await
    };
    assert!(send(format!("{}\r\n\r\n", head(60 << 10))).await.starts_with("HTTP/1.1 200 "), "60 KB are a head");
    for bytes in [66 << 10, 200 << 10, 1 << 20] {
        // Not finished, so that only its length can be why it ends at once.
        let answer = send(head(bytes)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{bytes}: {answer}");
    }
    // Nothing at all, a head that stops, one that drips, and a connection that asks for nothing more.
    for bytes in ["", "GET /healthz HTTP/1.1\r\nHost: rig\r\n"] {
        let answer = send(bytes.to_owned()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{bytes}: {answer}");
    }
    let answer = send("GET /healthz HTTP/1.1\r\nHost: rig\r\n\r\n".to_owned()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    let (mut reader, mut writer) = rig.connect().await.stream.into_split();
    let dripping = async {
        for letter in "GET /healthz HTTP/1.1\r\nHost: rig\r\nX-Long: ".bytes().chain(std::iter::repeat(b'x')) {
            if writer.write_all(&[letter]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reading = async {
        let _ = reader.read_to_end(&mut Vec::new()).await;
    };
    tokio::time::timeout(GUARD, async {
        tokio::select! { () = dripping => {}, () = reading => {} }
    })
    .await
    .unwrap();
}

/// Ending and error code of the request that was cut; nothing is held of it any more, here or upstream, and nobody is charged.
async fn was_cut(rig: &Rig) -> (String, Option<String>) {
    let begun = Instant::now();
    while rig.metric("grok2api_open_streams").await > 0 || rig.simulator.report().open_streams > 0 {
        assert!(begun.elapsed() < GUARD, "it is held for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.quiet().await;
    let account = rig.account("anna").await;
    let rows = rig.requests(1).await;
    assert_eq!(rows.len(), 1);
    let attempts: String = rows[0].get("attempts");
    assert_eq!((&account["in_flight"], &account["consecutive_failures"]), (&json!(0), &json!(0)), "{attempts}");
    (rows[0].get("ending"), rows[0].get("error_code"))
}

fn not_reading() -> (String, Option<String>) {
    ("client_gone".to_owned(), Some("client_not_reading".to_owned()))
}

async fn a_client_that_reads_nothing_gives_back_what_it_holds() {
    // With chunks by our own hand, without by the server connection's.
    for version in ["1.1", "1.0"] {
        let rig = Rig::with_settings(&["anna"], json!({ "client_timeout": 1 })).await;
        let (_, made) = rig.admin("GET", "/keys", None).await;
        let path = format!("/keys/{}", made["items"][0]["id"].as_str().unwrap());
        assert_eq!(rig.admin("PATCH", &path, Some(json!({ "concurrent_requests": 1 }))).await.0, 200);
        let tokens = Upstream::Tokens { tokens: MANY_TOKENS, interval: Duration::ZERO, thinking: 0 };
        rig.simulator.account("anna").push(tokens);
        let mut connection = narrow(&rig).await;
        connection.send_chat_over(version, &question("hello there", true)).await;
        connection.read_until("data: ").await;
        assert_eq!(was_cut(&rig).await, not_reading(), "HTTP/{version}");
        // The only place of the key and the only account are free again.
        rig.chat(question("hello there", false)).await.ok();
        let (_, page) = rig.admin("GET", "/requests?error_code=client_not_reading", None).await;
        let id = page["items"][0]["id"].as_str().unwrap();
        let (_, request) = rig.admin("GET", &format!("/requests/{id}"), None).await;
        assert_eq!(
            (&request["cause"]["code"], &request["outcome"]),
            (&json!("client_not_reading"), &json!("cancelled"))
        );
        assert_eq!(request["attempts"][0]["penalty"], Value::Null);
    }
}

async fn a_client_that_reads_too_slowly_is_cut_by_the_clock() {
    let settings = json!({ "client_timeout": 2, "stream_timeout": 6, "request_timeout": 6, "stream_idle_timeout": 60 });
    let rig = Rig::with_settings(&["anna"], settings).await;
    let tokens = Upstream::Tokens { tokens: MANY_TOKENS, interval: Duration::ZERO, thinking: 0 };
    rig.simulator.account("anna").push(tokens);
    let mut connection = narrow(&rig).await;
    connection.send_chat(&question("hello there", true)).await;
    connection.read_until("data: ").await;
    let reading = async {
        let mut piece = [0; 16 * 1024];
        // Something moves all the time, and it would take minutes.
        while let Ok(1..) = connection.stream.read(&mut piece).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (cut, ()) = tokio::join!(was_cut(&rig), reading);
    assert_eq!(cut, not_reading());
}

#[tokio::test]
async fn a_whole_answer_is_not_kept_for_a_client_that_does_not_read() {
    let rig = Rig::with_settings(&["anna"], json!({ "client_timeout": 1 })).await;
    let text = grok2api_simulator::Step::Text("words ".repeat(10_000));
    rig.simulator.account("anna").push(Upstream::answer(vec![text; 100]));
    let mut connection = narrow(&rig).await;
    connection.send_chat(&question("hello there", false)).await;
    rig.requests(1).await;
    // The system throws away what it has taken for a client that is cut, so that soon there is nothing more to read.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let answer = read_all(&mut connection.stream).await;
    assert!(answer.len() < 5_000_000, "{} bytes", answer.len());
    assert!(!answer.contains("\"usage\""));
    rig.chat(question("hello there", false)).await.ok();
}
