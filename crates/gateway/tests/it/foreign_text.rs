//! Texts of clients and of the upstream that were made to take long, and characters that were cut in two.

use std::time::Duration;

use grok2api_simulator::Reply as Upstream;
use serde_json::{Value, json};

use crate::harness::{KEY, Rig};
use crate::transports::{self, over_both_transports};

over_both_transports! {
    texts_made_to_take_long_are_answered_and_go_on,
    a_character_that_two_tokens_share_arrives_whole,
}

/// Guards against hanging only: before, one of these texts held its worker for minutes.
const PATIENCE: Duration = Duration::from_secs(120);

const TEXTS: [&str; 6] = ["![a](b)", "[[1]](http://a)", "<think>a</think>", "![](", "/images/![", "> a\n\n"];

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn assistant(text: &str) -> Value {
    json!({ "role": "assistant", "content": text })
}

async fn texts_made_to_take_long_are_answered_and_go_on() {
    let rig = Rig::new(&["anna"]).await;
    tokio::time::timeout(PATIENCE, async {
        for (number, short) in TEXTS.into_iter().enumerate() {
            let stream = number % 2 == 0;
            let long = format!("an answer {number} {}", short.repeat(300_000 / short.len()));
            // From the client, in a history that is replayed.
            let messages = json!([user("q"), assistant(&long), user("and now?")]);
            let reply = rig.chat(json!({ "model": "grok-4.2", "stream": stream, "messages": messages })).await.ok();
            assert_eq!(reply.turn(), "replayed");
            // From the upstream, stored and recognised again as the client has it.
            rig.simulator.account("anna").push(Upstream::Text(long.clone()));
            let messages = vec![user(&format!("say it {number}"))];
            let reply = rig.chat(json!({ "model": "grok-4.2", "stream": stream, "messages": messages })).await.ok();
            let said = reply.content();
            assert!(said.len() > 200_000, "{short}: {}", said.len());
            let messages = json!([messages[0], assistant(&said), user("more")]);
            let reply = rig.chat(json!({ "model": "grok-4.2", "stream": stream, "messages": messages })).await.ok();
            assert_eq!(reply.turn(), "native", "{short}");
        }
    })
    .await
    .expect("nothing hangs");
}

#[tokio::test]
async fn a_match_preview_reads_long_texts_too() {
    let rig = Rig::new(&["anna"]).await;
    let first = rig.chat(json!({ "model": "grok-4.2", "messages": [user("one\ntwo")] })).await.ok();
    tokio::time::timeout(PATIENCE, async {
        for short in TEXTS {
            let long = short.repeat(300_000 / short.len());
            for messages in [
                json!([user("q"), assistant(&long), user("x")]),
                json!([user(&long), assistant(&first.content()), user("x")]),
            ] {
                let key = rig.admin("GET", "/keys", None).await.1["items"][0]["id"].clone();
                let body = json!({ "key_id": key, "messages": messages });
                let (status, view) = rig.admin("POST", "/conversations/match", Some(body)).await;
                assert_eq!((status, &view["receipt"]), (200, &json!("replayed")), "{short}: {view}");
            }
        }
        // As many short messages as fit: each pair is looked at once.
        let pairs: Vec<Value> = (0..20_000).flat_map(|_| [user("a"), assistant("b")]).chain([user("x")]).collect();
        let key = rig.admin("GET", "/keys", None).await.1["items"][0]["id"].clone();
        let (status, view) =
            rig.admin("POST", "/conversations/match", Some(json!({ "key_id": key, "messages": pairs }))).await;
        assert_eq!(status, 200, "{view}");
    })
    .await
    .expect("nothing hangs");
}

/// A client that leaves while its text is read leaves nothing behind, and others are served.
#[tokio::test]
async fn clients_that_leave_while_their_text_is_read_keep_nobody_waiting() {
    let rig = Rig::new(&["anna"]).await;
    let long = "![](".repeat(1_000_000);
    let body = json!({ "model": "grok-4.2", "messages": [user("q"), assistant(&long), user("x")] }).to_string();
    for _ in 0..6 {
        let request = rig.http().post(rig.url("/v1/chat/completions")).bearer_auth(KEY);
        let request = request.header("content-type", "application/json").body(body.clone()).send();
        let _ = tokio::time::timeout(Duration::from_millis(50), request).await;
    }
    let reply = tokio::time::timeout(PATIENCE, rig.chat(json!({ "model": "grok-4.2", "messages": [user("hello")] })));
    reply.await.expect("nothing hangs").ok();
}

async fn a_character_that_two_tokens_share_arrives_whole() {
    let rig = Rig::new(&["anna"]).await;
    let over_rest = transports::over() == Some("rest");
    for (pieces, expected) in [
        (&[r"a\ud83d", r"\ude00b"][..], "a😀b"),
        (&[r"a\ud83d"], "a\u{fffd}"),
        (&[r"\ude00a"], "\u{fffd}a"),
        (&[r"\ud83d", r"\ud83d", r"\ude00"], "\u{fffd}😀"),
        (&[r"a\ud83d", "b"], "a\u{fffd}b"),
    ] {
        for stream in [true, false] {
            let frames = if over_rest { of_rest(pieces) } else { of_socket(pieces) };
            rig.simulator.account("anna").push(Upstream::Frames(frames));
            let reply = rig.chat(json!({ "model": "grok-4.2", "stream": stream, "messages": [user("q")] })).await.ok();
            assert_eq!(reply.text(), expected, "{pieces:?}");
        }
    }
}

fn of_rest(pieces: &[&str]) -> Vec<String> {
    let mut frames = vec![
        r#"{"result":{"conversation":{"conversationId":"$conversation"}}}"#.to_owned(),
        r#"{"result":{"response":{"userResponse":{"responseId":"$user"},"responseId":"$response"}}}"#.to_owned(),
    ];
    frames.extend(
        pieces
            .iter()
            .map(|text| format!(r#"{{"result":{{"response":{{"token":"{text}","responseId":"$response"}}}}}}"#)),
    );
    frames.push(
        r#"{"result":{"response":{"token":"","isThinking":false,"isSoftStop":true,"responseId":"$response"}}}"#
            .to_owned(),
    );
    frames
}

fn of_socket(pieces: &[&str]) -> Vec<String> {
    let event = |event: &str| format!(r#"{{"session_id":"$conversation","event":{event}}}"#);
    let mut frames = vec![
        event(r#"{"type":"conversation.item.added","item":{"id":"$user","role":"user"}}"#),
        event(r#"{"type":"response.created","response":{"id":"$response"}}"#),
    ];
    frames.extend(pieces.iter().map(|text| {
        event(&format!(
            r#"{{"type":"response.chunk","response_id":"$response","chunk":{{"text":{{"text":"{text}","channel":"CHANNEL_ASSISTANT_RESPONSE"}}}}}}"#
        ))
    }));
    frames.push(event(r#"{"type":"response.done","response":{"id":"$response","status":"completed"}}"#));
    frames
}
