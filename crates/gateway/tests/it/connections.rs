//! One connection, several requests: long answers leave the server connection's hands and give the socket back afterwards.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::harness::{KEY, Rig};
use crate::probes::{Connection, question};

/// Reads one chunked answer to its end; its head and what its chunks hold.
async fn read_chunked(connection: &mut Connection) -> (String, String) {
    connection.read_until("\r\n\r\n").await;
    let text = connection.text();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_owned();
    connection.read.drain(..head.len() + 4);
    let mut body = String::new();
    loop {
        connection.read_until("\r\n").await;
        let text = connection.text();
        let (size, rest) = text.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no chunk size: {text}"));
        let taken = size.len() + 2 + length + 2;
        while connection.read.len() < taken {
            connection.read_more().await;
        }
        let chunk: Vec<u8> = connection.read.drain(..taken).collect();
        assert!(chunk.ends_with(b"\r\n"), "{rest}");
        if length == 0 {
            return (head, body);
        }
        body.push_str(std::str::from_utf8(&chunk[size.len() + 2..taken - 2]).unwrap());
    }
}

fn has_header(head: &str, name: &str, value: &str) -> bool {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).collect::<Vec<_>>() == [(name, value)]
}

#[tokio::test]
async fn a_connection_serves_on_after_a_streamed_answer() {
    let rig = Rig::new(&["anna"]).await;
    let mut connection = rig.connect().await;
    for round in 0..3 {
        connection.send_chat(&question(&format!("round {round}"), true)).await;
        let (head, body) = read_chunked(&mut connection).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(has_header(&head, "transfer-encoding", "chunked"), "{head}");
        assert!(has_header(&head, "content-type", "text/event-stream; charset=utf-8"), "{head}");
        assert!(head.contains("\r\nx-request-id: ") && head.contains("\r\nx-grok2api-turn: new"), "{head}");
        let date = head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
        assert!(!head.contains("content-length") && !head.contains("connection: close"), "{head}");
        assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
        // A whole answer in between goes the ordinary way.
        connection.send_chat(&question(&format!("whole {round}"), false)).await;
        connection.read_until("\"usage\"").await;
        while !connection.text().ends_with('}') {
            connection.read_more().await;
        }
        assert!(connection.text().starts_with("HTTP/1.1 200 OK\r\n"), "{}", connection.text());
        connection.read.clear();
    }
    assert_eq!(rig.questions().len(), 6);
}

#[tokio::test]
async fn requests_that_are_sent_ahead_wait_for_the_answer_before_them() {
    let rig = Rig::new(&["anna"]).await;
    let mut connection = rig.connect().await;
    // Sent in one go, and larger than what is kept of a request sent ahead.
    connection.send_chat(&question("the first", true)).await;
    connection.send_chat(&question(&format!("the second {}", "x".repeat(40_000)), true)).await;
    connection.send_chat(&question("the third", true)).await;
    for name in ["the first", "the second", "the third"] {
        let (head, body) = read_chunked(&mut connection).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {head}");
        assert!(body.ends_with("data: [DONE]\n\n"), "{name}: {body}");
    }
    let asked = rig.questions();
    assert_eq!(asked.len(), 3, "each was asked once");
    assert_eq!(rig.metric("grok2api_open_streams").await, 0);
}

#[tokio::test]
async fn a_connection_is_closed_when_the_client_asks_for_it() {
    let rig = Rig::new(&["anna"]).await;
    for version in ["1.1", "1.0"] {
        let mut connection = rig.connect().await;
        let body = question("the last", true).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/{version}\r\nHost: rig\r\nAuthorization: Bearer {KEY}\r\n\
             Connection: keep-this, Close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let answer = connection.read_to_end().await;
        assert!(answer.contains("data: [DONE]\n\n"), "HTTP/{version}: {answer}");
        // Chunks are for those who know them, and HTTP/1.0 closes without a word.
        assert_eq!(answer.contains("transfer-encoding: chunked"), version == "1.1", "{answer}");
        assert_eq!(answer.contains("connection: close"), version == "1.1", "{answer}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_understood_after_a_long_answer_is_refused() {
    let rig = Rig::new(&["anna"]).await;
    let mut connection = rig.connect().await;
    connection.send_chat(&question("the first", true)).await;
    read_chunked(&mut connection).await;
    connection.stream.write_all(b"no request at all\r\n\r\n").await.unwrap();
    let answer = connection.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let reply =
        rig.chat(json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "still there" }] })).await;
    assert_eq!(reply.status, 200);
}
