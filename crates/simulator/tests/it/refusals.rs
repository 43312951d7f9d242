//! Answers that are not a stream, and errors inside one.

use grok2api_simulator::{Reply, Severity, When};
use serde_json::json;

use crate::client::{NEW, World, body_json};

#[tokio::test]
async fn every_status_of_the_table_can_be_had() {
    let table = [
        (Reply::unauthorized(), 401, "invalid-credentials"),
        (Reply::blocked(), 403, "blocked-user"),
        (Reply::challenge(), 403, "Just a moment..."),
        (Reply::challenge_200(), 200, "Just a moment..."),
        (Reply::anti_bot(), 403, "anti-bot"),
        (Reply::empty_403(), 403, ""),
        (Reply::unknown_403(), 403, "flux capacitor"),
        (Reply::model_not_found(), 403, "Model is not found"),
        (Reply::region(), 403, "not available in your region"),
        (Reply::moderated_prompt(), 403, "content-moderated"),
        (Reply::rate_limited(true), 429, "Too many requests"),
        (Reply::server_error(), 500, "Internal error"),
        (Reply::html_502(), 502, "502 Bad Gateway"),
    ];
    let world = World::new().await;
    for (reply, status, words) in table {
        world.simulator.account("a").push(reply);
        let response = world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await;
        assert_eq!(response.status(), status, "{words}");
        let html = response.headers().get("content-type").is_some_and(|kind| kind.to_str().unwrap().contains("html"));
        let body = response.text().await.unwrap();
        assert!(body.contains(words), "{body}");
        assert_eq!(html, body.starts_with('<'));
        assert_eq!(body.is_empty(), words.is_empty());
    }
    assert_eq!(world.simulator.report().streams_opened, 0);
}

#[tokio::test]
async fn a_route_that_streams_wraps_its_errors() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::server_error());
    let response = world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await;
    assert_eq!(body_json(response).await, json!({"error": {"code": 13, "message": "Internal error", "details": []}}));
}

#[tokio::test]
async fn in_band_errors_come_alone_or_after_text() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::in_band_error(8, "Too many requests", When::BeforeText));
    let alone = world.new_chat("a", "hi").await;
    assert_eq!(alone.objects, [json!({"error": {"code": 8, "message": "Too many requests", "details": []}})]);

    world.simulator.account("a").push(Reply::in_band_error(13, "Internal error", When::AfterText));
    let after = world.new_chat("a", "hi").await;
    assert!(!after.text().is_empty());
    assert_eq!(after.objects.last().unwrap()["error"]["code"], 13);
}

#[tokio::test]
async fn error_chunks_carry_kind_and_severity() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::stream_error("usageLimitReached", Severity::Fatal, When::BeforeText));
    let turn = world.new_chat("a", "hi").await;
    let error = turn.chunks().into_iter().find_map(|chunk| chunk.get("error")).unwrap();
    assert_eq!(error["severity"], "STREAM_ERROR_SEVERITY_FATAL");
    assert_eq!(error["usageLimitReached"], json!({"midTurn": false}));
    assert_eq!(turn.text(), "");

    world.simulator.account("a").push(Reply::stream_error("toolCallFailed", Severity::Normal, When::BeforeText));
    let turn = world.new_chat("a", "hi").await;
    assert_eq!(turn.text(), grok2api_simulator::SCENARIO_TEXT, "a normal error does not end the answer");
}

#[tokio::test]
async fn a_stored_answer_can_hold_the_error() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::usage_limit());
    let turn = world.new_chat("a", "hi").await;
    assert_eq!(turn.stored()["message"], "");
    assert_eq!(turn.stored()["streamErrors"][0]["usageLimitReached"]["midTurn"], false);

    world.simulator.account("a").push(Reply::named("metadata-error").unwrap());
    let turn = world.new_chat("a", "hi").await;
    let metadata = &turn.stored()["metadata"];
    assert_eq!(metadata["request_metadata"]["stream_errors"][0]["message"], "Model failed");
    assert!(metadata["llm_info"].is_object(), "the usual members stay");
}
