//! What the settings were, the way back, and trying them out.

use serde_json::{Value, json};

use crate::harness::Rig;

async fn patch(rig: &Rig, patch: Value) {
    let (_, settings) = rig.admin("GET", "/settings", None).await;
    let version = format!("\"{}\"", settings["version"].as_str().unwrap());
    let (status, answer) = rig.admin_with("PATCH", "/settings", Some(patch), &[("if-match", &version)]).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn settings_have_a_history_and_a_way_back() {
    let mut rig = Rig::new(&[]).await;
    let secret = "http://me:pa55word@proxy.test:3128";
    patch(&rig, json!({ "max_attempts": 2, "proxy_url": secret })).await;
    patch(&rig, json!({ "max_attempts": 1, "proxy_url": "" })).await;
    std::fs::write(rig.directory.path().join("config.json"), r#"{ "max_attempts": 3 }"#).unwrap();
    rig.gateway().poll_settings();
    let history = async |rig: &Rig| rig.admin("GET", "/settings/history", None).await.1;
    let actors = |history: &Value| {
        let items = history["items"].as_array().unwrap();
        items.iter().map(|entry| entry["actor"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let noticed = async |rig: &Rig| actors(&history(rig).await)[0] == "file";
    rig.until("the hand edit is written down", noticed).await;
    let shown = history(&rig).await;
    assert_eq!(actors(&shown), ["file", "admin", "admin", "start"]);
    assert_eq!(
        shown["items"][1]["changes"],
        json!([
            { "name": "max_attempts", "before": 2, "after": 1, "secret": false },
            { "name": "proxy_url", "before": "http://***@proxy.test:3128", "after": "", "secret": true },
        ])
    );
    assert!(!shown.to_string().contains("pa55word"));

    rig.restart().await;
    let id = shown["items"][2]["id"].as_str().unwrap();
    let path = format!("/settings/history/{id}/actions/revert");
    assert_eq!(rig.admin_with("POST", &path, None, &[("if-match", "\"0\"")]).await.0, 412);
    let (status, settings) = rig.admin("POST", &path, None).await;
    assert_eq!((status, &settings["values"]["max_attempts"]), (200, &json!(2)));
    assert_eq!(settings["values"]["proxy_url"], "http://***@proxy.test:3128");
    let file = std::fs::read_to_string(rig.directory.path().join("config.json")).unwrap();
    assert!(file.contains(secret), "the secret is back, too");
    assert_eq!(rig.admin("POST", "/settings/history/set_0/actions/revert", None).await.0, 404);

    let (_, trail) = rig.admin("GET", "/audit?action=settings", None).await;
    let entries = trail["items"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| (entry["action"].as_str().unwrap(), &entry["actor"])).collect();
    let admin = json!("admin");
    assert_eq!(
        actions,
        [
            ("settings.revert", &admin),
            ("settings.update", &json!("file")),
            ("settings.update", &admin),
            ("settings.update", &admin)
        ]
    );
    assert!(!trail.to_string().contains("pa55word"));
}

#[tokio::test]
async fn settings_can_be_checked_before_they_are_saved() {
    let rig = Rig::new(&[]).await;
    let validate = async |patch: Value| rig.admin("POST", "/settings/validate", Some(patch)).await;
    assert_eq!(validate(json!({ "max_attempts": 1 })).await.0, 204);
    for (patch, path) in [
        (json!({ "max_attempts": 0 }), "/max_attempts"),
        (json!({ "stream_timeout": 1 }), "/stream_timeout"),
        (json!({ "colour": 1 }), "/colour"),
    ] {
        let (status, answer) = validate(patch).await;
        assert_eq!((status, &answer["error"]["fields"][0]["path"]), (422, &json!(path)));
    }
    let (_, settings) = rig.admin("GET", "/settings", None).await;
    assert_eq!(settings["values"]["max_attempts"], 3, "nothing was changed");

    let (_, schema) = rig.admin("GET", "/settings/schema", None).await;
    assert_eq!(schema["groups"][0], json!({ "name": "general", "title": { "en": "General", "zh": "常规" } }));
    let setting = schema["settings"].as_array().unwrap().iter().find(|setting| setting["name"] == "log_level").unwrap();
    assert_eq!((&setting["effect"], &setting["default"]), (&json!("immediately"), &json!("info")));
}

#[tokio::test]
async fn a_way_out_is_tried_before_it_is_saved() {
    let rig = Rig::new(&[]).await;
    let test = async |patch: Value| rig.admin("POST", "/settings/test/proxy", Some(patch)).await;
    let (status, straight) = test(json!({})).await;
    assert_eq!((status, &straight["ok"], &straight["outcome"]), (200, &json!(true), &json!("reachable")), "{straight}");
    assert!(straight["latency_ms"].is_u64() && straight["exit_address"].is_null());

    let (_, dead) = test(json!({ "proxy_url": "http://me:pa55word@127.0.0.1:9" })).await;
    assert_eq!((&dead["ok"], &dead["outcome"]), (&json!(false), &json!("exit_unreachable")), "{dead}");
    assert!(!dead.to_string().contains("pa55word"));
    assert_eq!(test(json!({ "proxy_url": "nonsense" })).await.0, 422);
    let (_, settings) = rig.admin("GET", "/settings", None).await;
    assert_eq!(settings["values"]["proxy_url"], "", "nothing was saved");
}

#[tokio::test]
async fn the_public_address_is_followed_back_to_this_gateway() {
    let rig = Rig::new(&[]).await;
    let test = async |base_url: &str| {
        rig.admin("POST", "/settings/test/public_url", Some(json!({ "base_url": base_url }))).await
    };
    let (status, own) = test(&rig.url("")).await;
    assert_eq!(
        (status, &own["outcome"], &own["warnings"]),
        (200, &json!("this_gateway"), &json!(["loopback"])),
        "{own}"
    );
    let (_, other) = test(&rig.simulator.url()).await;
    assert_eq!((&other["ok"], &other["outcome"]), (&json!(false), &json!("something_else")));
    let (_, nowhere) = test("http://127.0.0.1:9").await;
    assert_eq!(nowhere["outcome"], "unreachable");
    assert_eq!(test("").await.0, 422);
    assert_eq!(test("ftp://host").await.0, 422);
}
