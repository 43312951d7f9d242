//! What runs here, what needs a person, and finding things.

use serde_json::{Value, json};

use crate::harness::Rig;
use crate::probes::question;

fn codes(attention: &Value) -> Vec<&str> {
    attention["items"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_system_says_what_it_is_and_how_its_parts_are() {
    let rig = Rig::new(&["anna"]).await;
    rig.advance(90);
    let (_, system) = rig.admin("GET", "/system", None).await;
    assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&system["uptime_s"], &system["started_at"]), (&json!(90), &json!("2026-09-01T00:00:00.000Z")));
    assert!(system["storage"]["database_bytes"].as_i64().unwrap() > 10_000);
    assert_eq!((&system["accounts"], &system["keys"], &system["public_url"]), (&json!(1), &json!(1), &Value::Null));

    let (_, health) = rig.admin("GET", "/system/health", None).await;
    assert_eq!(health["status"], "ok");
    std::fs::write(rig.directory.path().join("config.json"), "{ nonsense").unwrap();
    rig.gateway().poll_settings();
    let (_, health) = rig.admin("GET", "/system/health", None).await;
    assert_eq!(health["status"], "degraded");
    let part = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "settings_file").unwrap();
    assert!(part["status"] == "degraded" && part["message"].as_str().unwrap().contains("JSON"));
}

#[tokio::test]
async fn what_needs_a_person_is_listed_worst_first_and_nothing_else() {
    let rig = Rig::new(&["anna"]).await;
    let attention = async || rig.admin("GET", "/attention", None).await.1;
    assert_eq!(attention().await, json!({ "items": [] }));

    rig.admin("POST", "/keys", Some(json!({ "name": "guest", "expires_at": "2026-09-03T00:00:00Z" }))).await;
    rig.admin("POST", "/keys", Some(json!({ "name": "later", "expires_at": "2026-12-01T00:00:00Z" }))).await;
    std::fs::write(rig.directory.path().join("config.json"), "[]").unwrap();
    rig.gateway().poll_settings();
    let id = rig.account("anna").await["id"].as_str().unwrap().to_owned();
    rig.admin("PATCH", &format!("/accounts/{id}"), Some(json!({ "enabled": false }))).await;
    let list = attention().await;
    assert_eq!(codes(&list), ["no_account_available", "settings_file_refused", "keys_expiring"]);
    assert_eq!(
        (&list["items"][2]["count"], &list["items"][2]["params"]["first"]),
        (&json!(1), &json!("2026-09-03T00:00:00.000Z"))
    );

    rig.admin("DELETE", &format!("/accounts/{id}"), None).await;
    assert_eq!(codes(&attention().await)[0], "no_account");
}

#[tokio::test]
async fn one_box_finds_everything_that_has_a_name_or_an_id() {
    let rig = Rig::new(&["anna"]).await;
    rig.add_key("annas phone").await;
    let reply =
        rig.chat_as(crate::harness::KEY, question("hello there", false), &[("x-request-id", "mine-42")]).await.ok();
    rig.requests(1).await;
    let search = async |query: &str| rig.admin("GET", &format!("/search?{query}"), None).await;
    let kinds = |found: &Value| {
        let groups = found["groups"].as_array().unwrap();
        groups.iter().map(|group| group["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (_, found) = search("q=anna").await;
    assert_eq!(kinds(&found), ["account", "key"]);
    assert_eq!(found["groups"][1]["items"][0]["title"], "annas phone");
    assert_eq!(kinds(&search("q=anna&kinds=key,setting").await.1), ["key"]);
    let (_, request) = search("q=mine-42").await;
    assert_eq!(
        (kinds(&request), &request["groups"][0]["items"][0]["title"]),
        (vec!["request".to_owned()], &json!("mine-42"))
    );
    let (_, conversation) = search(&format!("q={}", &reply.conversation_id()[..12])).await;
    assert_eq!(conversation["groups"][0]["items"][0]["id"], reply.conversation_id());
    let (_, setting) = search("q=proxy").await;
    let group = setting["groups"].as_array().unwrap().iter().find(|group| group["kind"] == "setting").unwrap();
    assert!(group["items"].as_array().unwrap().iter().any(|hit| hit["id"] == "proxy_url"));
    for query in ["", "q=a", "q=anna&kinds=person", "q=anna&limit=0", "q=anna&x=1"] {
        assert_eq!(search(query).await.0, 422, "{query}");
    }
    assert_eq!(search("q=nothing-like-it").await.1, json!({ "groups": [] }));
}
