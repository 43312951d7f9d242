//! An upstream that never stops and says nothing: the thread that reads it goes on with everybody else's work.

#![expect(clippy::print_stdout, reason = "the figures are for whoever compares them")]

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Rig;
use crate::probes::question;
use crate::raw_upstream::{Answer, RawUpstream};

/// Requests of others meanwhile.
const REQUESTS: usize = 5;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

fn chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n", body.len())
}

/// A frame of a WebSocket, not masked.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0x80 | opcode, length], payload].concat()
}

/// While one answer is flooded, others are served on the same thread, the settings can be changed, and the flood ends with its client.
async fn others_are_served(transport: &str, what: &str, answer: Answer) {
    let rig = Rig::with_settings(&["anna", "bert"], json!({ "upstream_transport": transport })).await;
    // The accounts' ids are known from here on.
    for _ in 0..2 {
        rig.chat(question("hello there", false)).await.ok();
    }
    let upstream = RawUpstream::start(answer);
    rig.change_settings(json!({ "proxy_url": upstream.url() })).await;
    for stream in [true, false] {
        let mut flooded = rig.connect().await;
        flooded.send_chat(&question("what never comes", stream)).await;
        rig.until("the flood has begun", async |_| upstream.open() > 0).await;
        let began = Instant::now();
        let others = async {
            for _ in 0..REQUESTS {
                let health = rig.http().get(rig.url("/health")).send().await.unwrap();
                assert_eq!(health.status(), 200);
            }
        };
        let served = tokio::time::timeout(Duration::from_secs(60), others).await;
        assert!(served.is_ok(), "{what}: nobody else is served");
        println!("{transport}, {what}: {REQUESTS} requests in {:?} meanwhile", began.elapsed());
        drop(flooded);
        let mut waited = 0;
        while upstream.open() > 0 {
            waited += 1;
            assert!(waited < 3_000, "{what}: the upstream is still read after the client has left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    // The account is answered for as before.
    rig.change_settings(json!({ "proxy_url": "" })).await;
    rig.chat(question("hello there", true)).await.ok();
}

#[tokio::test]
async fn informational_answers_do_not_hold_a_thread() {
    for (what, line) in [
        ("103", "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"),
        ("100", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let answer = Answer { once: Vec::new(), for_ever: line.repeat(2_000).into_bytes() };
        others_are_served("rest", what, answer.clone()).await;
    }
}

#[tokio::test]
async fn what_says_nothing_over_rest_does_not_hold_a_thread() {
    let silent = json!({ "result": { "response": { "token": "", "isThinking": true } } });
    for (what, body) in [
        ("blank lines", "\n".to_owned()),
        ("many blank lines", "\n".repeat(1_000)),
        ("comments", ": keep-alive\n\n".to_owned()),
        ("tokens without text", format!("{silent}\n")),
    ] {
        let answer = Answer { once: CHUNKED.into(), for_ever: chunk(&body).repeat(1_000).into_bytes() };
        others_are_served("rest", what, answer).await;
    }
}

#[tokio::test]
async fn what_says_nothing_over_the_websocket_does_not_hold_a_thread() {
    for (what, frame) in [
        ("pings", frame(0x9, b"")),
        ("pongs", frame(0xa, b"")),
        ("empty messages", frame(0x1, b"")),
        ("empty objects", frame(0x1, b"{}")),
        ("pongs in events", frame(0x1, br#"{"event":{"type":"pong"}}"#)),
    ] {
        let answer = Answer { once: Vec::new(), for_ever: frame.repeat(4_000) };
        others_are_served("websocket", what, answer).await;
    }
}

/// A server that a client names may be anybody's: it does not even share a thread with answers.
#[tokio::test]
async fn informational_answers_of_an_images_server_hold_nobody_up() {
    let rig = Rig::with_settings(&["anna"], json!({ "image_url_allow": ["127.0.0.1"] })).await;
    let line = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let web = RawUpstream::start(Answer { once: Vec::new(), for_ever: line.repeat(2_000).into_bytes() });
    let image = json!([{ "type": "image_url", "image_url": { "url": format!("{}/a.png", web.url()) } }]);
    let mut flooded = rig.connect().await;
    flooded.send_chat(&json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": image }] })).await;
    rig.until("the flood has begun", async |_| web.open() > 0).await;
    let began = Instant::now();
    for _ in 0..REQUESTS {
        rig.chat(question("hello there", true)).await.ok();
    }
    println!("image: {REQUESTS} chats in {:?} meanwhile", began.elapsed());
    assert!(web.open() > 0, "the flood goes on");
    drop(flooded);
    rig.until("the fetch has ended with its client", async |_| web.open() == 0).await;
}
