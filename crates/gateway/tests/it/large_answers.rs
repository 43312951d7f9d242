//! Answers without an end: each one alone and all together stay within what the settings allow, whatever they are made of.

use std::io::Write as _;

use grok2api_simulator::{Reply as Upstream, Step, Thinking, ToolCall};
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::harness::{Reply, Rig};
use crate::probes::{question, refusal};
use crate::raw_upstream::{Answer, RawUpstream};
use crate::transports::{self, over_both_transports};

over_both_transports! {
    an_answer_that_is_too_large_ends_with_what_came_and_an_error,
    an_answer_of_the_permitted_size_is_whole,
    the_limit_holds_for_new_requests_when_it_is_changed,
    all_open_answers_together_stay_within_their_memory,
    one_piece_without_an_end_ends_the_answer,
}

const MEGABYTE: usize = 1024 * 1024;

fn text(bytes: usize) -> Vec<Step> {
    vec![Step::Text(format!("{}\n", "long ".repeat(1_000))); bytes.div_ceil(5_001)]
}

fn thoughts(bytes: usize) -> Vec<Step> {
    vec![Thinking::raw(&format!("{}\n", "hmm. ".repeat(1_000))); bytes.div_ceil(5_001)]
}

fn whole(steps: Vec<Step>) -> Upstream {
    Upstream::answer([vec![Step::Text("It begins.".to_owned())], steps].concat())
}

/// Nothing is stored, nobody is charged, and nothing goes on upstream.
async fn nothing_is_left(rig: &Rig) {
    rig.quiet().await;
    assert_eq!(rig.turn_count().await, 0);
    let account = rig.account("anna").await;
    assert_eq!((&account["state"]["name"], &account["consecutive_failures"]), (&json!("available"), &json!(0)));
}

fn is_too_large(reply: &Reply, stream: bool, what: &str) {
    let expected = if stream && reply.status == 200 { 200 } else { 502 };
    assert_eq!(refusal(reply), (expected, "answer_too_large"), "{what}");
    assert!(!reply.done, "{what}: a broken answer must not look whole");
    assert!(reply.error()["message"].as_str().unwrap().contains("max_answer_mb"), "{what}");
}

async fn an_answer_that_is_too_large_ends_with_what_came_and_an_error() {
    let search = |number: usize| {
        Step::ToolCall(ToolCall {
            id: format!("call-{number}"),
            name: "web_search".to_owned(),
            arguments: json!({ "query": "q".repeat(40_000) }),
            step: 0,
            rollout: String::new(),
        })
    };
    let citation = |number: usize| {
        let url = format!("https://example.org/{number}/{}", "p".repeat(2_000));
        Step::Citation(grok2api_simulator::Citation::web(&format!("card{number}"), &url, 0))
    };
    let half = MEGABYTE * 6 / 10;
    let cases = [
        ("text", true, whole(text(2 * MEGABYTE))),
        ("reasoning", true, Upstream::answer([thoughts(2 * MEGABYTE), text(10)].concat())),
        ("both together", true, Upstream::answer([thoughts(half), text(half)].concat())),
        ("one piece", true, whole(vec![Step::Text("x".repeat(2 * MEGABYTE))])),
        ("words", true, whole(vec![Step::Text("some words ".repeat(12)); MEGABYTE / 100])),
        ("citations", true, whole((0..1_500).map(citation).collect())),
        ("searches", false, Upstream::answer([(0..60).map(search).collect(), text(10)].concat())),
        (
            "stored only",
            false,
            Upstream::steps(vec![
                Step::Opening,
                Step::SoftStop,
                Step::StoredWith(json!({ "message": "y".repeat(2 * MEGABYTE) })),
            ]),
        ),
    ];
    for stream in [true, false] {
        for (what, has_begun, reply) in &cases {
            let rig = Rig::with_settings(&["anna"], json!({ "max_answer_mb": 1 })).await;
            rig.simulator.account("anna").push(reply.clone());
            let reply = rig.chat(question("hello there", stream)).await;
            is_too_large(&reply, stream, what);
            if stream && *has_begun {
                assert_eq!(reply.status, 200, "{what}");
                let size = reply.content().len();
                assert!(size > 0 && size <= MEGABYTE + 100, "{what}: {size}");
            }
            nothing_is_left(&rig).await;
            let rows = rig.requests(1).await;
            assert_eq!(rows[0].get::<Option<String>, _>("error_code").as_deref(), Some("answer_too_large"), "{what}");
            // The next question is answered as ever.
            rig.chat(question("hello again", stream)).await.ok();
        }
    }
}

async fn an_answer_of_the_permitted_size_is_whole() {
    let rig = Rig::with_settings(&["anna"], json!({ "max_answer_mb": 1 })).await;
    for stream in [true, false] {
        // Streamed and told again as stored: it counts once.
        rig.simulator.account("anna").push(whole(text(MEGABYTE * 9 / 10)));
        let reply = rig.chat(question("hello there", stream)).await.ok();
        assert!(reply.content().len() > MEGABYTE * 9 / 10);
    }
    assert_eq!(rig.turn_count().await, 2);
}

async fn the_limit_holds_for_new_requests_when_it_is_changed() {
    let rig = Rig::new(&["anna"]).await;
    for (limit, is_whole) in [(8, true), (1, false), (2, false), (3, true)] {
        rig.change_settings(json!({ "max_answer_mb": limit })).await;
        rig.simulator.account("anna").push(whole(text(MEGABYTE * 5 / 2)));
        let reply = rig.chat(question("hello there", true)).await;
        assert_eq!(reply.done, is_whole, "{limit}");
    }
}

async fn all_open_answers_together_stay_within_their_memory() {
    let rig = Rig::with_settings(&["anna", "bert"], json!({ "max_answers_mb": 3 })).await;
    let standing = || Upstream::answer([text(MEGABYTE / 2), vec![Step::Hang]].concat());
    for account in ["anna", "bert"] {
        rig.simulator.account(account).push(standing());
    }
    let mut open = rig.connect().await;
    open.send_chat(&question("hello there", true)).await;
    while open.read.len() < MEGABYTE / 2 {
        open.read_more().await;
    }
    // The next large one finds no room and says so; the answer that stands goes on, and small ones are served as ever.
    let reply = rig.chat(question("hello there", true)).await;
    assert_eq!(refusal(&reply), (200, "answers_too_large"));
    assert!(!reply.done && !reply.content().is_empty());
    rig.simulator.account("anna").push(whole(text(MEGABYTE / 2)));
    rig.simulator.account("bert").push(whole(text(MEGABYTE / 2)));
    let reply = rig.chat(question("hello there", false)).await;
    assert_eq!(refusal(&reply), (503, "answers_too_large"));
    assert_eq!(reply.header("retry-after"), "5");
    rig.simulator.account("anna").clear();
    rig.simulator.account("bert").clear();
    for stream in [true, false] {
        rig.chat(question("hello there", stream)).await.ok();
    }
    // What an answer held is there again when it has ended.
    drop(open);
    rig.quiet().await;
    for stream in [true, false] {
        rig.simulator.account("anna").push(whole(text(MEGABYTE / 2)));
        rig.simulator.account("bert").push(whole(text(MEGABYTE / 2)));
        rig.chat(question("hello there", stream)).await.ok();
        rig.simulator.account("anna").clear();
        rig.simulator.account("bert").clear();
    }
    for account in ["anna", "bert"] {
        assert_eq!(rig.account(account).await["consecutive_failures"], 0);
    }
}

async fn one_piece_without_an_end_ends_the_answer() {
    for stream in [true, false] {
        let rig = Rig::with_settings(&["anna"], json!({ "max_answer_mb": 1, "max_body_mb": 1 })).await;
        let endless = match transports::over() {
            Some("rest") => Step::Raw(format!("{{\"result\":{{\"padding\":\"{}", "x".repeat(8 * MEGABYTE))),
            _ => Step::Oversized(8 * MEGABYTE as u64),
        };
        rig.simulator.account("anna").push(whole(vec![endless]));
        let reply = rig.chat(question("hello there", stream)).await;
        is_too_large(&reply, stream, "one piece");
        nothing_is_left(&rig).await;
    }
}

/// Small on the wire, large when it is read.
pub(crate) fn compressed(encoding: &str, body: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let level = flate2::Compression::best();
    let bytes = match encoding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            body.for_each(|piece| encoder.write_all(&piece).unwrap());
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            body.for_each(|piece| encoder.write_all(&piece).unwrap());
            encoder.finish().unwrap()
        }
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    [head.as_bytes(), &bytes].concat()
}

/// 250 MB of tokens, of blank lines, of one object, in a few hundred KB.
#[tokio::test]
async fn what_unpacks_to_hundreds_of_megabytes_is_read_no_further_than_an_answer_may_be_large() {
    let token =
        json!({ "result": { "response": { "token": "x".repeat(1_000), "isThinking": false, "messageTag": "final" } } });
    let token = format!("{token}\n").into_bytes();
    let bodies: [(&str, Vec<u8>, Vec<u8>); 3] = [
        ("tokens", Vec::new(), token.repeat(250)),
        ("blank lines", Vec::new(), vec![b'\n'; 256 * 1024]),
        ("one object", b"{\"result\":{\"padding\":\"".to_vec(), vec![b'x'; 256 * 1024]),
    ];
    for encoding in ["gzip", "deflate"] {
        for (what, start, piece) in &bodies {
            let pieces = std::iter::once(start.clone()).chain(std::iter::repeat_n(piece.clone(), 1_000));
            let answer = compressed(encoding, pieces);
            assert!(answer.len() < 1_500_000, "{what}: {}", answer.len());
            let upstream = RawUpstream::start(Answer { once: answer, for_ever: Vec::new() });
            let settings = json!({ "max_answer_mb": 1, "upstream_transport": "rest", "proxy_url": upstream.url() });
            let rig = Rig::with_settings(&["anna"], settings).await;
            for stream in [true, false] {
                let reply = rig.chat(question("hello there", stream)).await;
                is_too_large(&reply, stream, what);
            }
            nothing_is_left(&rig).await;
        }
    }
}

#[tokio::test]
async fn a_compressed_image_that_never_ends_is_given_up() {
    let image = compressed(
        "gzip",
        std::iter::once(b"\x89PNG\r\n\x1a\n".to_vec()).chain(std::iter::repeat_n(vec![0; MEGABYTE], 300)),
    );
    let web = crate::web_server::WebServer::start("127.0.0.2", move |_| image.clone()).await;
    let rig = Rig::with_settings(&["anna"], json!({ "image_url_allow": ["127.0.0.2"] })).await;
    let url = format!("http://127.0.0.2:{}/a.png", web.port());
    let content: Value = json!([{ "type": "image_url", "image_url": { "url": url } }]);
    let reply = rig.chat(json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": content }] })).await;
    assert_eq!(refusal(&reply), (400, "image_too_large"));
}
