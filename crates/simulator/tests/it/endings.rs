//! Answers that end badly, late or never, and coming back to them.

use std::time::Duration;

use grok2api_simulator::Reply;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::client::{NEW, Turn, World, body_json};

/// Waits for what happens on another task; the test fails if it does not.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("it happens within ten seconds");
}

fn hello() -> serde_json::Value {
    json!({"message": "hello", "modeId": "fast"})
}

fn reconnect_path(turn: &Turn) -> String {
    format!("/rest/app-chat/conversations/reconnect-response-v2/{}", turn.response)
}

#[tokio::test]
async fn a_cut_answer_is_replayed_from_its_beginning() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::cut(4, true));
    let cut = world.new_chat("a", "hello").await;
    assert!(!cut.kinds().contains(&"softStop".to_owned()));
    assert!(grok2api_simulator::SCENARIO_TEXT.starts_with(&cut.text()) && !cut.text().is_empty());

    let tree = body_json(world.get("a", &cut.path("response-node")).await).await;
    assert_eq!(tree["inflightResponses"][0]["responseId"], cut.response.as_str());
    let again = Turn::read(world.get("a", &reconnect_path(&cut)).await).await;
    assert_eq!(again.kinds()[0], "modelResponse");
    assert_eq!(again.chunks()[0]["modelResponse"]["message"], "");
    assert_eq!(again.text(), grok2api_simulator::SCENARIO_TEXT);
    assert_eq!(again.response, cut.response);
    assert!(again.objects.last().unwrap()["result"]["title"].is_object());

    let tree = body_json(world.get("a", &cut.path("response-node")).await).await;
    assert_eq!(tree["inflightResponses"], json!([]), "it is complete now");
    let loaded = world.post("a", &cut.path("load-responses"), json!({"responseIds": [cut.response]})).await;
    let loaded = body_json(loaded).await;
    assert_eq!(loaded["responses"][0]["message"], grok2api_simulator::SCENARIO_TEXT);
    assert_eq!(loaded["responses"][0]["partial"], false);
    world.next_chat("a", &cut, "go on").await;
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_cut_answer_completes_without_a_reader() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::cut(0, true));
    let cut = world.new_chat("a", "hello").await;
    assert_eq!(cut.text(), "");
    let complete = async || {
        let tree = body_json(world.get("a", &cut.path("response-node")).await).await;
        tree["inflightResponses"] == json!([])
    };
    assert!(!complete().await);
    let waiting = async {
        while !complete().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap();
    let loaded = body_json(world.get("a", &cut.path("responses")).await).await;
    assert_eq!(loaded["responses"][1]["message"], grok2api_simulator::SCENARIO_TEXT);
}

#[tokio::test]
async fn stopping_ends_what_goes_on_in_the_background() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::cut(4, true));
    let cut = world.new_chat("a", "hello").await;
    assert_eq!(world.post("a", &cut.path("stop-inflight-responses"), json!({})).await.status(), 200);
    assert_eq!(world.get("a", &reconnect_path(&cut)).await.status(), 404);
}

#[tokio::test]
async fn what_was_cut_for_good_cannot_be_reconnected() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::cut(4, false));
    let cut = world.new_chat("a", "hello").await;
    let response = world.get("a", &reconnect_path(&cut)).await;
    assert_eq!(response.status(), 404);
    assert_eq!(body_json(response).await["error"]["code"], 5, "wrapped: the route streams");
    let tree = body_json(world.get("a", &cut.path("response-node")).await).await;
    assert_eq!(tree["inflightResponses"], json!([]));
    world.next_chat("a", &cut, "go on").await;
    assert_eq!(world.violations(), ["partial_parent"]);
}

#[tokio::test]
async fn reconnecting_can_be_made_to_fail_and_is_for_the_owner_only() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::cut(4, true));
    let cut = world.new_chat("a", "hello").await;
    world.simulator.account("a").fail_reconnect(true);
    assert_eq!(world.get("a", &reconnect_path(&cut)).await.status(), 500);
    assert_eq!(world.get("b", &reconnect_path(&cut)).await.status(), 404);
    assert_eq!(world.violations(), ["foreign_conversation"]);
}

#[tokio::test]
async fn a_complete_answer_is_replayed_too() {
    let world = World::new().await;
    let turn = world.new_chat("a", "hello").await;
    let again = Turn::read(world.get("a", &reconnect_path(&turn)).await).await;
    assert_eq!(again.text(), turn.text());
}

#[tokio::test]
async fn a_reset_breaks_the_body_after_what_was_sent() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::reset(2));
    let mut response = world.post("a", NEW, hello()).await;
    let mut raw = Vec::new();
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => raw.extend_from_slice(&chunk),
            Ok(None) => panic!("the body ended well"),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    let turn = Turn::from_raw(String::from_utf8(raw).unwrap());
    assert_eq!(turn.kinds().iter().filter(|kind| *kind == "token").count(), 2);
    let report = world.simulator.report();
    assert_eq!((report.streams_finished, report.streams_aborted), (1, 0));
}

#[tokio::test]
async fn a_hang_never_sends_headers_and_leaving_is_counted() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::hang());
    let mut call = Box::pin(world.post("a", NEW, hello()));
    tokio::select! {
        _ = &mut call => panic!("headers came"),
        () = until(|| world.simulator.report().open_streams == 1) => {}
    }
    assert_eq!(world.simulator.report().streams_opened, 1);
    drop(call);
    until(|| world.simulator.report().streams_aborted == 1).await;
    assert_eq!(world.simulator.report().open_streams, 0);
}

#[tokio::test]
async fn silence_after_headers_and_after_tokens() {
    for (reply, tokens) in [(Reply::hang_after_headers(), 0), (Reply::hang_after(3), 3), (Reply::Stall, 1)] {
        let world = World::new().await;
        world.simulator.account("a").push(reply);
        let mut response = world.post("a", NEW, hello()).await;
        let mut raw = Vec::new();
        let silent = loop {
            match timeout(Duration::from_millis(200), response.chunk()).await {
                Ok(chunk) => raw.extend_from_slice(&chunk.unwrap().expect("the body does not end")),
                Err(_) => break true,
            }
        };
        assert!(silent);
        assert_eq!(String::from_utf8(raw).unwrap().matches("\"messageTag\":\"final\"").count(), tokens);
        assert_eq!(world.simulator.report().open_streams, 1);
    }
}

#[tokio::test]
async fn a_slow_answer_sends_its_headers_late() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::slow_first_byte(Duration::from_millis(120)));
    let begun = Instant::now();
    let response = world.post("a", NEW, hello()).await;
    assert!(begun.elapsed() >= Duration::from_millis(120));
    assert_eq!(Turn::read(response).await.text(), grok2api_simulator::SCENARIO_TEXT);
}

#[tokio::test]
async fn tokens_come_at_their_pace() {
    let world = World::new().await;
    let reply = Reply::Tokens { tokens: 20, interval: Duration::from_millis(10), thinking: 2 };
    world.simulator.account("a").push(reply);
    let begun = Instant::now();
    let turn = world.new_chat("a", "hello").await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "21 pauses of 10 ms");
    assert_eq!(turn.text().split(' ').count(), 20);
    assert_eq!(turn.chunks().iter().filter(|chunk| chunk["isThinking"] == true).count(), 2);
}

#[tokio::test]
async fn finished_answers_are_counted() {
    let world = World::new().await;
    world.new_chat("a", "hello").await;
    let report = world.simulator.report();
    assert_eq!((report.streams_opened, report.streams_finished, report.open_streams), (1, 1, 0));
}
