//! The routes under `/__simulator`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{NEW, World, body_json};

async fn control(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let mut request = world.bare(method, &format!("/__simulator{path}"));
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), body_json(response).await)
}

#[tokio::test]
async fn accounts_are_added_changed_and_listed() {
    let world = World::new().await;
    let (status, account) = control(
        &world,
        Method::POST,
        "/accounts",
        json!({"sso": "c", "quota": {"fast": {"remaining": 1}}, "subscriptions": ["GROK_PRO", {"tier": "X_BASIC", "active": false}]}),
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(account["user_id"], world.simulator.account("c").user_id());
    assert_eq!(world.simulator.account("c").remaining("fast"), 1);
    let (_, all) = control(&world, Method::GET, "/accounts", Value::Null).await;
    assert_eq!(
        all.as_array().unwrap().iter().map(|row| row["sso"].as_str().unwrap()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );

    control(&world, Method::POST, "/accounts", json!({"sso": "c", "credential": "blocked"})).await;
    assert_eq!(world.get("c", "/rest/subscriptions").await.status(), 403);
    let (status, mistake) = control(&world, Method::POST, "/accounts", json!({"sso": "c", "credential": "odd"})).await;
    assert_eq!(status, 400);
    assert!(mistake["error"].as_str().unwrap().contains("odd"));
}

#[tokio::test]
async fn replies_are_queued_and_stick() {
    let world = World::new().await;
    for (body, expected) in [
        (json!({"text": "from outside"}), "from outside"),
        (json!({"name": "text"}), grok2api_simulator::SCENARIO_TEXT),
        (json!({"tokens": 3}), "the sea was"),
    ] {
        let (status, answer) = control(&world, Method::POST, "/accounts/a/reply", body).await;
        assert_eq!((status, &answer["queued"]), (200, &json!(1)));
        assert_eq!(world.new_chat("a", "hi").await.text(), expected);
    }
    control(&world, Method::POST, "/accounts/a/reply", json!({"status": 418, "body": "teapot", "sticky": true})).await;
    for _ in 0..2 {
        assert_eq!(world.post("a", NEW, json!({"message": "hi", "modeId": "fast"})).await.status(), 418);
    }
    control(&world, Method::DELETE, "/accounts/a/reply", Value::Null).await;
    assert_eq!(world.new_chat("a", "hi").await.text(), "Answer 1: you said \"hi\".");

    assert_eq!(control(&world, Method::POST, "/accounts/a/reply", json!({"name": "nothing"})).await.0, 400);
    assert_eq!(control(&world, Method::POST, "/accounts/nobody/reply", json!({"name": "cut"})).await.0, 404);
    let (_, names) = control(&world, Method::GET, "/replies", Value::Null).await;
    assert!(names.as_array().unwrap().contains(&json!("cut")));
}

#[tokio::test]
async fn report_and_calls_can_be_read_and_reset() {
    let world = World::new().await;
    world.post("a", NEW, json!({"message": "", "modeId": "fast"})).await;
    let (_, report) = control(&world, Method::GET, "/report", Value::Null).await;
    assert_eq!(report["violations"][0]["kind"], "empty_message");
    assert_eq!(report["calls"]["new"], 1);
    let (_, calls) = control(&world, Method::GET, "/calls", Value::Null).await;
    assert_eq!(calls[0]["route"], "new");
    assert_eq!(calls[0]["headers"]["origin"], "https://grok.com");

    let chat = world.new_chat("a", "hi").await;
    control(&world, Method::POST, "/reset", Value::Null).await;
    let (_, report) = control(&world, Method::GET, "/report", Value::Null).await;
    assert_eq!((&report["violations"], &report["calls"]), (&json!([]), &json!({})));
    assert_eq!(world.get("a", &chat.path("response-node")).await.status(), 404, "the account stays, its chats go");
    assert_eq!(world.simulator.account("a").remaining("fast"), 1000);
}
