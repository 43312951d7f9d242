//! Each rule that a correct client keeps, broken once.

use grok2api_simulator::{Options, Reply, Severity, When};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{NEW, STATSIG, Turn, World, body_json};

fn hello() -> Value {
    json!({"message": "hello", "modeId": "fast"})
}

/// A request for a new conversation with one header changed, or left out.
async fn with_header(world: &World, name: &str, value: Option<&str>) -> reqwest::Response {
    let mut request = world
        .request(Method::POST, "a", NEW)
        .header("content-type", "application/json")
        .body(hello().to_string())
        .build()
        .unwrap();
    match value {
        Some(value) => {
            request.headers_mut().insert(reqwest::header::HeaderName::try_from(name).unwrap(), value.parse().unwrap())
        }
        None => request.headers_mut().remove(name),
    };
    world.http.execute(request).await.unwrap()
}

#[tokio::test]
async fn a_missing_or_undecodable_statsig_is_rejected_by_the_anti_bot_rules() {
    for (value, violation) in [(None, "missing_statsig"), (Some("not base64!"), "bad_statsig")] {
        let world = World::new().await;
        let response = with_header(&world, "x-statsig-id", value).await;
        assert_eq!(response.status(), 403);
        let body = body_json(response).await;
        assert_eq!(body["error"]["code"], 7);
        assert_eq!(body["error"]["message"], "Request rejected by anti-bot rules.");
        assert_eq!(world.violations(), [violation]);
    }
}

#[tokio::test]
async fn padding_of_the_statsig_is_free() {
    let world = World::new().await;
    for value in [STATSIG.to_owned(), format!("{STATSIG}=")] {
        assert_eq!(with_header(&world, "x-statsig-id", Some(&value)).await.status(), 200);
    }
    assert_eq!(world.violations(), [] as [&str; 0]);
}

#[tokio::test]
async fn missing_headers_are_reported_and_answered() {
    for name in ["origin", "referer", "user-agent", "x-xai-request-id", "content-type"] {
        let world = World::new().await;
        assert_eq!(with_header(&world, name, None).await.status(), 200, "{name}");
        let report = world.simulator.report();
        assert_eq!(report.violations.len(), 1, "{name}: {:?}", report.violations);
        assert_eq!(report.violations[0].kind, "missing_header");
        assert!(report.violations[0].detail.contains(name));
    }
}

#[tokio::test]
async fn odd_headers_are_reported() {
    for (name, value) in [
        ("user-agent", "curl/8"),
        ("x-xai-request-id", "1"),
        ("accept", "text/event-stream"),
        ("content-type", "text/html"),
        ("origin", "null"),
    ] {
        let world = World::new().await;
        assert_eq!(with_header(&world, name, Some(value)).await.status(), 200);
        assert_eq!(world.violations(), ["bad_header"], "{name}");
    }
}

#[tokio::test]
async fn an_unknown_cookie_is_401_wrapped_or_bare_by_kind_of_route() {
    let world = World::new().await;
    let wrapped = world.post("nobody", NEW, hello()).await;
    assert_eq!(wrapped.status(), 401);
    assert_eq!(body_json(wrapped).await["error"]["code"], 16);
    let bare = world.get("nobody", "/rest/subscriptions").await;
    assert_eq!(bare.status(), 401);
    let body = body_json(bare).await;
    assert_eq!(body["code"], 16);
    assert!(body["message"].as_str().unwrap().contains("invalid-credentials"));
    assert_eq!(world.violations(), ["unknown_cookie", "unknown_cookie"]);
}

#[tokio::test]
async fn a_missing_cookie_is_401() {
    let world = World::new().await;
    let response = with_header(&world, "cookie", None).await;
    assert_eq!(response.status(), 401);
    assert!(response.text().await.unwrap().contains("no-credentials"));
    assert_eq!(world.violations(), ["missing_cookie"]);
}

#[tokio::test]
async fn a_parent_must_be_an_answer_of_the_conversation() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    let other = world.new_chat("a", "Other").await;
    let user = first.chunks()[0]["userResponse"]["responseId"].as_str().unwrap().to_owned();
    for parent in [user.as_str(), other.response.as_str(), "00000000-0000-4000-8000-000000000000"] {
        let body = json!({"message": "Two", "modeId": "fast", "parentResponseId": parent});
        let response = world.post("a", &first.path("responses"), body).await;
        assert_eq!(response.status(), 404);
        assert_eq!(body_json(response).await["error"]["code"], 5);
    }
    assert_eq!(world.violations(), ["wrong_parent"; 3]);
}

#[tokio::test]
async fn without_a_parent_the_newest_answer_is_continued() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    world.next_chat("a", &first, "Two").await;
    let body = json!({"message": "Three", "modeId": "fast"});
    let third = Turn::read(world.post("a", &first.path("responses"), body).await).await;
    assert_eq!(third.text(), "Answer 3: you said \"Three\".");
}

#[tokio::test]
async fn an_incomplete_answer_is_no_good_parent() {
    let world = World::new().await;
    world.simulator.account("a").push(Reply::stream_error("internalError", Severity::Fatal, When::AfterText));
    let broken = world.new_chat("a", "One").await;
    world.next_chat("a", &broken, "Two").await;
    assert_eq!(world.violations(), ["partial_parent"]);
}

#[tokio::test]
async fn conversations_of_others_are_not_found() {
    let world = World::new().await;
    let first = world.new_chat("a", "One").await;
    let body = json!({"message": "Two", "modeId": "fast", "parentResponseId": first.response});
    assert_eq!(world.post("b", &first.path("responses"), body.clone()).await.status(), 404);
    assert_eq!(world.get("b", &first.path("response-node")).await.status(), 404);
    let unknown = "/rest/app-chat/conversations/00000000-0000-4000-8000-000000000000/responses";
    assert_eq!(world.post("a", unknown, body).await.status(), 404);
    assert_eq!(world.violations(), ["foreign_conversation", "foreign_conversation", "unknown_conversation"]);
}

#[tokio::test]
async fn history_in_a_message_is_noticed() {
    let world = World::new().await;
    let first = world.new_chat("a", "Tell me about mountains").await;
    world.next_chat("a", &first, "Again: Tell me about mountains").await;
    assert_eq!(world.violations(), [] as [&str; 0], "one earlier message may be quoted");
    let resent = format!("user: Tell me about mountains\nassistant: {}\nuser: go on", first.text());
    world.next_chat("a", &first, &resent).await;
    assert_eq!(world.violations(), ["history_resent"]);
}

#[tokio::test]
async fn an_empty_message_is_400() {
    let world = World::new().await;
    for body in [json!({"message": "  ", "modeId": "fast"}), json!({"modeId": "fast"})] {
        let response = world.post("a", NEW, body).await;
        assert_eq!(response.status(), 400);
        assert_eq!(body_json(response).await["error"]["code"], 3);
    }
    assert_eq!(world.violations(), ["empty_message", "empty_message"]);
    assert_eq!(world.simulator.account("a").remaining("fast"), 1000, "nothing was counted");
}

#[tokio::test]
async fn a_call_without_mode_is_reported_and_a_broken_body_refused() {
    let world = World::new().await;
    assert_eq!(world.post("a", NEW, json!({"message": "hi"})).await.status(), 200);
    let request = world.request(Method::POST, "a", NEW).header("content-type", "application/json");
    assert_eq!(request.body("{broken").send().await.unwrap().status(), 400);
    assert_eq!(world.violations(), ["missing_mode", "bad_json"]);
}

#[tokio::test]
async fn unknown_routes_are_reported() {
    let world = World::new().await;
    assert_eq!(world.get("a", "/rest/app-chat/nonsense").await.status(), 404);
    assert_eq!(world.violations(), ["unknown_route"]);
}

#[tokio::test]
async fn without_a_socket_trying_it_first_is_no_violation() {
    let world = World::with(Options { socket: false, ..Options::default() }).await;
    assert_eq!(world.get("a", "/ws/mgw/?uid=1").await.status(), 404);
    assert_eq!(world.violations(), [] as [&str; 0]);
    assert_eq!(world.simulator.report().count("socket"), 1);
}
