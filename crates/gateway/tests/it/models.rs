//! `GET /v1/models`.

use serde_json::{Value, json};

use crate::harness::{KEY, Rig};

async fn get(rig: &Rig, path: &str) -> (u16, Value) {
    let response = rig.http().get(rig.url(path)).bearer_auth(KEY).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn models_are_listed_and_shown_one_by_one() {
    let rig = Rig::new(&[]).await;
    for prefix in ["/v1", "", "/v1/v1"] {
        let (status, list) = get(&rig, &format!("{prefix}/models")).await;
        assert_eq!((status, &list["object"]), (200, &Value::from("list")));
        let models = list["data"].as_array().unwrap();
        let ids: Vec<&str> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert!(["grok-4.2", "grok-expert", "grok-3", "grok-heavy"].iter().all(|id| ids.contains(id)), "{ids:?}");
        for model in models {
            assert_eq!((&model["object"], &model["owned_by"]), (&Value::from("model"), &Value::from("xai")));
            assert!(model["created"].as_i64().unwrap() > 1_700_000_000);
            let (status, one) = get(&rig, &format!("{prefix}/models/{}", model["id"].as_str().unwrap())).await;
            assert_eq!((status, &one), (200, model));
        }
    }
}

#[tokio::test]
async fn an_unknown_model_is_not_in_the_list() {
    let rig = Rig::new(&[]).await;
    for name in ["gpt-4o", "xai/grok-4.2", "%F0%9F%A6%8A"] {
        let (status, body) = get(&rig, &format!("/v1/models/{name}")).await;
        assert_eq!(status, 404, "{name}");
        assert_eq!((&body["error"]["code"], &body["error"]["param"]), (&"model_not_found".into(), &"model".into()));
        assert_eq!(body["error"], body["detail"]["error"]);
    }
    let without_key = rig.http().get(rig.url("/v1/models")).send().await.unwrap();
    assert_eq!(without_key.status(), 401);
    assert!(rig.simulator.calls().is_empty(), "the list costs no upstream call");
}

async fn set(rig: &Rig, patch: Value) {
    let (status, settings) = rig.admin_with("PATCH", "/settings", Some(patch), &[("if-match", "*")]).await;
    assert_eq!(status, 200, "{settings}");
}

async fn names(rig: &Rig) -> Vec<String> {
    let (_, list) = get(rig, "/v1/models").await;
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

fn ask(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] })
}

#[tokio::test]
async fn clients_with_names_of_their_own_are_answered_by_the_model_behind_them() {
    let rig = Rig::new(&["anna"]).await;
    set(&rig, json!({ "model_aliases": ["gpt-4o=grok-expert", "gpt-*=grok-4.2"] })).await;
    for (name, mode) in [("gpt-4o", "expert"), ("GPT-5-mini", "auto"), ("grok-fast", "fast")] {
        let reply = rig.chat(ask(name)).await.ok();
        assert_eq!(reply.body["model"], name, "answers repeat what was asked for");
        let question = rig.last_question().body.to_string();
        assert!(question.contains(&format!("\"{mode}\"")), "{name}: {question}");
    }
    let listed = names(&rig).await;
    assert!(listed.contains(&"gpt-4o".to_owned()) && !listed.iter().any(|name| name.contains('*')), "{listed:?}");
    let (_, one) = get(&rig, "/v1/models/gpt-4o").await;
    assert_eq!((&one["alias_of"], &one["mode"]), (&json!("grok-expert"), &json!("expert")));

    // A key that may use the model may use its other names.
    let (_, made) = rig.admin("POST", "/keys", Some(json!({ "name": "narrow", "models": ["grok-expert"] }))).await;
    let key = made["keys"][0]["key"].as_str().unwrap().to_owned();
    rig.chat_as(&key, ask("gpt-4o"), &[]).await.ok();
    let refused = rig.chat_as(&key, ask("gpt-5"), &[]).await;
    assert_eq!((refused.status, &refused.error()["code"]), (403, &json!("model_not_allowed")), "{}", refused.body);

    rig.requests(5).await;
    let (status, list) = rig.admin("GET", "/models", None).await;
    assert_eq!(status, 200, "{list}");
    let shown = |name: &str| list["items"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    let alias = shown("gpt-4o");
    assert_eq!(
        (&alias["kind"], &alias["mode"], &alias["requests_24h"]),
        (&json!("alias"), &json!("expert"), &json!(2))
    );
    assert_eq!((&alias["ready_accounts"], &alias["enabled"]), (&json!(1), &json!(true)), "{alias}");
    assert_eq!(shown("gpt-*")["kind"], "pattern");
    let passed = &list["passed_through"];
    assert_eq!((&passed[0]["name"], &passed[0]["requests_24h"]), (&json!("GPT-5-mini"), &json!(1)), "{passed}");
    rig.no_violations();
}

#[tokio::test]
async fn a_model_that_is_switched_off_is_neither_listed_nor_answered_for() {
    let rig = Rig::new(&["anna"]).await;
    set(&rig, json!({ "model_aliases": ["best=grok-heavy"], "disabled_models": ["grok-heavy"] })).await;
    for name in ["grok-heavy", "heavy", "best"] {
        let refused = rig.chat(ask(name)).await;
        let error = refused.error();
        assert_eq!((refused.status, &error["code"], &error["param"]), (404, &json!("model_disabled"), &json!("model")));
    }
    assert!(rig.simulator.calls().is_empty(), "nobody was asked");
    let listed = names(&rig).await;
    assert!(listed.contains(&"grok-expert".to_owned()), "{listed:?}");
    assert!(!listed.iter().any(|name| name == "grok-heavy" || name == "best"), "{listed:?}");
    set(&rig, json!({ "disabled_models": [] })).await;
    rig.chat(ask("best")).await.ok();
    let (status, refused) =
        rig.admin_with("PATCH", "/settings", Some(json!({ "model_aliases": ["a b=c"] })), &[("if-match", "*")]).await;
    assert_eq!((status, &refused["error"]["fields"][0]["path"]), (422, &json!("/model_aliases/0")), "{refused}");
}
