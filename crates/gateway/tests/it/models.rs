//! `GET /v1/models`.

use serde_json::Value;

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
