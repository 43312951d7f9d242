//! The console's own chats: the same way as every other, under a name of their own, with more to tell.

use grok2api_simulator::Reply as Scripted;
use serde_json::{Value, json};

use crate::harness::{Reply, Rig, assistant, user};

const PATH: &str = "/admin/api/v1/playground/chat";

async fn post(rig: &Rig, body: Value) -> reqwest::Response {
    let request = rig.http().post(rig.url(PATH)).header("cookie", rig.sign_in().await);
    request.header("x-requested-with", "console").json(&body).send().await.unwrap()
}

async fn ask(rig: &Rig, body: Value) -> Value {
    let response = post(rig, body).await;
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn question(messages: &[Value]) -> Value {
    json!({ "model": "grok-4.2", "messages": messages })
}

/// The events of a stream: name and data.
fn events(text: &str) -> Vec<(String, String)> {
    let event = |block: &str| {
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        (line("event: "), line("data: "))
    };
    text.split("\n\n").filter(|block| !block.trim().is_empty()).map(event).collect()
}

#[tokio::test]
async fn a_stream_tells_at_its_beginning_and_its_end_how_it_came_about() {
    let rig = Rig::new(&["anna", "bert"]).await;
    rig.simulator.account("anna").push(Scripted::rate_limited(true));
    let mut body = question(&[user("hello there")]);
    body["stream"] = true.into();
    let response = post(&rig, body).await;
    assert_eq!(response.headers()["x-grok2api-turn"], "new");
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let told = events(&response.text().await.unwrap());
    let metas: Vec<Value> =
        told.iter().filter(|(name, _)| name == "meta").map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    assert_eq!((told[0].0.as_str(), told[told.len() - 1].1.as_str()), ("meta", "[DONE]"));
    assert_eq!((metas.len(), told[told.len() - 2].0.as_str()), (2, "meta"));
    let (start, end) = (&metas[0], &metas[1]);
    for (member, expected) in [
        ("request_id", json!(request_id)),
        ("receipt", json!("new")),
        ("recognised", json!("none")),
        ("attempts", json!(2)),
        ("transport", json!("websocket")),
        ("parent_turn_id", Value::Null),
    ] {
        assert_eq!((&start[member], &end[member]), (&expected, &expected), "{member}: {start}");
    }
    assert_eq!((&start["phase"], &end["phase"]), (&json!("start"), &json!("end")));
    assert_eq!(start["account"]["label"], "bert");
    assert!(end["upstream"]["conversation_id"].is_string() && end["upstream"]["response_id"].is_string(), "{end}");
    assert!(end["timing"]["first_token_ms"].is_u64() && end["usage"]["completion_tokens"].as_u64() > Some(0), "{end}");
    let chunks = told.iter().filter(|(name, data)| name.is_empty() && data.starts_with('{'));
    let text: String = chunks
        .map(|(_, data)| serde_json::from_str::<Value>(data).unwrap())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert!(text.contains("hello there"), "{text}");

    rig.requests(1).await;
    let (_, request) = rig.admin("GET", &format!("/requests/{request_id}"), None).await;
    assert_eq!((&request["route"], &request["key"]["name"]), (&json!(PATH), &json!("console")), "{request}");
    assert_eq!((&request["conversation_id"], &request["id"]), (&end["conversation_id"], &end["request"]));
    let (_, list) = rig.admin("GET", "/conversations?key=console", None).await;
    assert_eq!(
        (&list["items"][0]["id"], &list["items"][0]["key"]["name"]),
        (&end["conversation_id"], &json!("console"))
    );
    assert_eq!(list["items"][0]["last_turn"]["id"], end["turn_id"]);
    rig.no_violations();
}

#[tokio::test]
async fn conversations_of_the_console_and_of_keys_never_mix() {
    let rig = Rig::new(&["anna"]).await;
    let mut talk = rig.talk(false);
    let own = talk.say("question one").await.conversation_id();
    let resent = talk.asking("question two");
    let answer = ask(&rig, question(&resent)).await;
    assert_eq!(answer["meta"]["receipt"], "replayed", "the console does not find the key's");
    let named = json!({ "model": "grok-4.2", "messages": [user("and now?")], "conversation_id": own });
    assert_eq!(post(&rig, named).await.status(), 404);
    let key = rig.admin("GET", "/keys", None).await.1["items"][0]["id"].clone();
    let mut as_key = question(&resent);
    as_key["as_key_id"] = key;
    assert_eq!(ask(&rig, as_key).await["meta"]["recognised"], "none", "nor with the key's limits");

    // It goes on with its own, and branches.
    let first = ask(&rig, question(&[user("of the console")])).await;
    let words = first["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let next = question(&[user("of the console"), assistant(&words), user("and on")]);
    let second = ask(&rig, next.clone()).await;
    assert_eq!(
        (&second["meta"]["receipt"], &second["meta"]["conversation_id"]),
        (&json!("native"), &first["meta"]["conversation_id"])
    );
    assert_eq!(second["meta"]["parent_turn_id"], first["meta"]["turn_id"]);
    assert_eq!(ask(&rig, next).await["meta"]["receipt"], "branched");
    let foreign =
        talk.send(json!({ "conversation_id": first["meta"]["conversation_id"], "messages": [user("x")] })).await;
    assert_eq!(foreign.status, 404, "keys do not find the console's");
    rig.no_violations();
}

#[tokio::test]
async fn an_account_can_be_asked_for_and_a_key_s_limits_hold() {
    let rig = Rig::new(&["anna", "bert"]).await;
    let bert = rig.account("bert").await["id"].clone();
    let mut pinned = question(&[user("hello there")]);
    pinned["account_id"] = bert;
    for _ in 0..3 {
        assert_eq!(ask(&rig, pinned.clone()).await["meta"]["account"]["label"], "bert");
    }
    rig.simulator.account("bert").push(Scripted::rate_limited(true));
    let refused = post(&rig, pinned.clone()).await;
    assert_eq!(refused.status(), 429);
    let error = refused.json::<Value>().await.unwrap()["error"].clone();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("no_account_available"), &json!(true)), "{error}");
    let resting = post(&rig, pinned).await;
    assert_eq!((resting.status().as_u16(), rig.callers().last().map(String::as_str)), (429, Some("bert")));

    let (_, keys) = rig
        .admin("POST", "/keys", Some(json!({ "name": "small", "models": ["grok-3"], "requests_per_minute": 1 })))
        .await;
    let key = keys["keys"][0]["id"].as_str().unwrap().to_owned();
    let as_key = |model: &str| json!({ "model": model, "messages": [user("hello")], "as_key_id": key });
    let answer = ask(&rig, as_key("grok-3")).await;
    assert_eq!(answer["meta"]["account"]["label"], "anna");
    let code = async |response: reqwest::Response| response.json::<Value>().await.unwrap()["error"]["code"].clone();
    assert_eq!(code(post(&rig, as_key("grok-3")).await).await, "rate_limit_exceeded");
    rig.advance(61);
    assert_eq!(code(post(&rig, as_key("grok-expert")).await).await, "model_not_allowed");
    rig.admin("PATCH", &format!("/keys/{key}"), Some(json!({ "enabled": false }))).await;
    rig.advance(61);
    assert_eq!(code(post(&rig, as_key("grok-3")).await).await, "api_key_disabled");
    for wrong in [
        json!({ "model": "grok-4.2", "messages": [user("a")], "account_id": "acc_none" }),
        json!({ "model": "grok-4.2", "messages": [user("a")], "as_key_id": "key_none" }),
    ] {
        assert_eq!(post(&rig, wrong).await.status(), 422);
    }
    let bad = post(&rig, json!({ "model": "grok-4.2", "messages": [] })).await;
    assert_eq!((bad.status().as_u16(), code(bad).await.is_string()), (400, true));
}

#[tokio::test]
async fn only_a_signed_in_admin_of_this_page_may_ask() {
    let rig = Rig::new(&["anna"]).await;
    let body = question(&[user("hello there")]);
    let post = |headers: &[(&'static str, String)]| {
        let mut request = rig.http().post(rig.url(PATH)).json(&body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send()
    };
    let cookie = ("cookie", rig.sign_in().await);
    assert_eq!(post(&[]).await.unwrap().status(), 401);
    assert_eq!(post(&[("authorization", format!("Bearer {}", crate::harness::KEY))]).await.unwrap().status(), 401);
    assert_eq!(post(std::slice::from_ref(&cookie)).await.unwrap().status(), 403, "no header of the page's own");
    let foreign =
        [cookie.clone(), ("x-requested-with", "console".to_owned()), ("origin", "https://evil.example".to_owned())];
    assert_eq!(post(&foreign).await.unwrap().status(), 403);
    let (_, reader) = rig.add_token(&["read"]).await;
    assert_eq!(post(&[("authorization", format!("Bearer {reader}"))]).await.unwrap().status(), 403);
    let (_, all) = rig.add_token(&["all"]).await;
    let reply = Reply::read(post(&[("authorization", format!("Bearer {all}"))]).await.unwrap()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(rig.questions().len(), 1);
}
