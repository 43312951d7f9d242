//! What a key may do, at the front door: its time, its limits, its models, its secrets.

use grok2api_simulator::Reply as Upstream;
use serde_json::{Value, json};

use crate::harness::{KEY, Reply, Rig};
use crate::probes::question;

/// A key with these members; its id and secret.
async fn key(rig: &Rig, mut body: Value) -> (String, String) {
    body["name"] = json!("limited");
    let (status, made) = rig.admin("POST", "/keys", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let key = &made["keys"][0];
    (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
}

async fn ask(rig: &Rig, key: &str) -> Reply {
    rig.chat_as(key, question("hello there", false), &[]).await
}

fn refusal(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.error()["code"].as_str().unwrap_or_default())
}

fn limits(reply: &Reply) -> [&str; 3] {
    ["limit", "remaining", "reset"].map(|what| {
        let name = format!("x-ratelimit-{what}-requests");
        reply.headers.get(&name).map_or("", |value| value.to_str().unwrap())
    })
}

#[tokio::test]
async fn requests_per_minute_are_exact_for_64_clients_at_once() {
    let rig = Rig::new(&["anna", "bert"]).await;
    let (_, secret) = key(&rig, json!({ "requests_per_minute": 50 })).await;
    let client = async || {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(ask(&rig, &secret).await.status);
        }
        statuses
    };
    let all: Vec<u16> = futures_util::future::join_all((0..64).map(|_| client())).await.concat();
    let count = |status: u16| all.iter().filter(|other| **other == status).count();
    assert_eq!((count(200), count(429)), (50, 142));

    let refused = ask(&rig, &secret).await;
    assert_eq!(refusal(&refused), (429, "rate_limit_exceeded"));
    assert_eq!(refused.error()["type"], "rate_limit_error");
    assert_eq!((refused.header("retry-after"), limits(&refused)), ("60", ["50", "0", "1m0s"]));
    ask(&rig, KEY).await.ok();

    rig.advance(60);
    let again = ask(&rig, &secret).await.ok();
    assert_eq!(limits(&again), ["50", "49", "1m0s"]);
}

#[tokio::test]
async fn concurrent_requests_are_exact_and_a_place_is_free_when_its_client_leaves() {
    let rig = Rig::new(&["anna"]).await;
    let (id, secret) = key(&rig, json!({ "concurrent_requests": 5 })).await;
    for _ in 0..5 {
        rig.simulator.account("anna").push(Upstream::named("hang-after-tokens").unwrap());
    }
    let open = async || {
        let request = rig.http().post(rig.url("/v1/chat/completions")).bearer_auth(&secret);
        request.json(&question("hello there", true)).send().await.unwrap()
    };
    let opened = futures_util::future::join_all((0..64).map(|_| open())).await;
    let (mut running, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(|response| response.status() == 200);
    assert_eq!((running.len(), refused.len()), (5, 59));
    let refused = Reply::read(refused.into_iter().next().unwrap()).await;
    assert_eq!(refusal(&refused), (429, "concurrency_limit_exceeded"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(rig.admin("GET", &format!("/keys/{id}"), None).await.1["in_flight"], 5);

    running.pop();
    rig.until("the place is free", async |rig| ask(rig, &secret).await.status == 200).await;
    drop(running);
    let free = async |rig: &Rig| rig.admin("GET", &format!("/keys/{id}"), None).await.1["in_flight"] == 0;
    rig.until("all places are free", free).await;
}

#[tokio::test]
async fn who_has_read_the_end_of_an_answer_may_ask_again_at_once() {
    let rig = Rig::new(&["anna"]).await;
    let (_, secret) = key(&rig, json!({ "concurrent_requests": 1 })).await;
    for round in 0..40 {
        rig.chat_as(&secret, question("hello there", round % 2 == 0), &[]).await.ok();
    }
}

#[tokio::test]
async fn requests_per_day_survive_a_restart_and_begin_anew_at_midnight() {
    let mut rig = Rig::new(&["anna"]).await;
    let (id, secret) = key(&rig, json!({ "requests_per_day": 3, "requests_per_minute": 10 })).await;
    assert_eq!(limits(&ask(&rig, &secret).await.ok()), ["3", "2", "24h0m0s"], "the limit that is met first");
    ask(&rig, &secret).await.ok();
    rig.restart().await;
    rig.advance(23 * 3_600);
    ask(&rig, &secret).await.ok();

    let refused = ask(&rig, &secret).await;
    assert_eq!(refusal(&refused), (429, "daily_limit_exceeded"));
    assert_eq!((refused.header("retry-after"), limits(&refused)), ("3600", ["3", "0", "1h0m0s"]));
    assert_eq!(refused.header("x-should-retry"), "false", "SDKs would come back too early");
    let path = format!("/keys/{id}");
    let (_, shown) = rig.admin("GET", &path, None).await;
    assert_eq!(
        (&shown["state"], &shown["requests_today"], &shown["requests_total"]),
        (&json!("exhausted"), &json!(3), &json!(3))
    );

    rig.advance(3_600);
    ask(&rig, &secret).await.ok();
    assert_eq!(rig.admin("GET", &path, None).await.1["requests_today"], 1);
}

#[tokio::test]
async fn a_key_ends_with_its_time_and_says_so() {
    let rig = Rig::new(&["anna"]).await;
    let (id, secret) = key(&rig, json!({ "expires_at": "2026-09-01T02:00:00+01:00" })).await;
    ask(&rig, &secret).await.ok();
    rig.advance(3_600);
    assert_eq!(refusal(&ask(&rig, &secret).await), (401, "api_key_expired"));
    let models = rig.http().get(rig.url("/v1/models")).bearer_auth(&secret).send().await.unwrap();
    assert_eq!(models.status(), 401);
    let (_, shown) = rig.admin("GET", &format!("/keys/{id}"), None).await;
    assert_eq!((&shown["state"], &shown["expires_at"]), (&json!("expired"), &json!("2026-09-01T01:00:00.000Z")));

    rig.admin("PATCH", &format!("/keys/{id}"), Some(json!({ "expires_at": null }))).await;
    ask(&rig, &secret).await.ok();
}

#[tokio::test]
async fn a_key_sees_and_uses_its_models_only() {
    let rig = Rig::new(&["anna"]).await;
    let (id, secret) = key(&rig, json!({ "models": ["grok-4.2-fast", "grok-3"] })).await;
    let get = async |path: &str| {
        let response = rig.http().get(rig.url(path)).bearer_auth(&secret).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (_, list) = get("/v1/models").await;
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["grok-3", "grok-4.2-fast"]);
    assert_eq!((get("/v1/models/grok-3").await.0, get("/v1/models/grok-heavy").await.0), (200, 404));

    let refused = ask(&rig, &secret).await;
    assert_eq!((refusal(&refused), &refused.error()["param"]), ((403, "model_not_allowed"), &json!("model")));
    let mut allowed = question("hello there", false);
    allowed["model"] = json!("GROK-3");
    rig.chat_as(&secret, allowed, &[]).await.ok();
    // Neither by the short form, whose model is the default one.
    let short = json!({ "conversation_id": "conv-1", "message": "hello" });
    assert_eq!(refusal(&rig.post("/v1/responses", &secret, short, &[]).await), (403, "model_not_allowed"));

    rig.admin("PATCH", &format!("/keys/{id}"), Some(json!({ "models": null }))).await;
    ask(&rig, &secret).await.ok();
}

#[tokio::test]
async fn a_rotated_key_keeps_its_conversations_and_its_old_secret_for_a_while() {
    let rig = Rig::new(&["anna"]).await;
    let (id, old) = key(&rig, json!({})).await;
    let first = ask(&rig, &old).await.ok();
    let path = format!("/keys/{id}/actions/rotate");
    let (status, rotated) = rig.admin("POST", &path, Some(json!({ "grace_s": 600 }))).await;
    assert_eq!((status, &rotated["previous_secret_until"]), (200, &json!("2026-09-01T00:10:00.000Z")));
    let new = rotated["key"].as_str().unwrap();
    ask(&rig, &old).await.ok();
    let next = json!({ "conversation_id": first.conversation_id(), "message": "and then?" });
    let continued = rig.post("/v1/responses", new, next, &[]).await.ok();
    assert_eq!(continued.header("x-grok2api-turn"), "native", "the key is the same");

    rig.advance(600);
    assert_eq!(refusal(&ask(&rig, &old).await), (401, "api_key_expired"));
    ask(&rig, new).await.ok();
    assert_eq!(rig.admin("POST", &path, Some(json!({ "grace_s": -1 }))).await.0, 422);
    assert_eq!(rig.admin("POST", "/keys/key_0/actions/rotate", Some(json!({}))).await.0, 404);
}

#[tokio::test]
async fn a_request_that_is_refused_takes_no_place() {
    let rig = Rig::new(&["anna"]).await;
    let (_, secret) = key(&rig, json!({ "concurrent_requests": 1, "models": ["grok-4.2"] })).await;
    for body in [json!({}), json!({ "model": "grok-heavy", "messages": [{ "role": "user", "content": "a" }] })] {
        let reply = rig.chat_as(&secret, body, &[]).await;
        assert!(matches!(reply.status, 400 | 403));
    }
    ask(&rig, &secret).await.ok();
}
