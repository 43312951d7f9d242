//! Settings.

use super::*;

#[tokio::test]
async fn settings_are_read_changed_and_reset() {
    let fixture = Fixture::signed_in().await;
    let before = fixture.get("/settings").await;
    let version = before.body["version"].as_str().unwrap().to_owned();
    assert_eq!(before.header(header::ETAG), format!("\"{version}\""));
    assert_eq!(
        (&before.body["values"]["request_timeout"], &before.body["defaults"]["request_timeout"]),
        (&json!(120), &json!(120))
    );

    let unconditional =
        fixture.send(fixture.request(Method::PATCH, "/settings"), Some(&json!({ "max_attempts": 1 }))).await;
    assert_eq!(unconditional.error(), (428, "precondition_required"));
    let changed = fixture.patch("/settings", &version, json!({ "max_attempts": 1 })).await;
    assert_eq!((changed.status, &changed.body["values"]["max_attempts"]), (200, &json!(1)));
    assert_eq!(fixture.state.settings.current().max_attempts, 1);

    let stale = fixture.patch("/settings", &version, json!({ "max_attempts": 2 })).await;
    assert_eq!((stale.error(), &stale.body["error"]["current"]), ((412, "version_mismatch"), &changed.body["version"]));
    let version = changed.body["version"].as_str().unwrap();
    let wrong = fixture.patch("/settings", version, json!({ "max_attempts": 9, "max_atempts": 1 })).await;
    assert_eq!((wrong.error(), wrong.paths()), ((422, "validation_failed"), vec!["/max_atempts"]));
    let wrong = fixture.patch("/settings", version, json!({ "max_attempts": 9 })).await;
    assert_eq!(
        wrong.body["error"]["fields"][0],
        json!({ "path": "/max_attempts", "code": "max", "params": { "max": 3 }, "message": "must be ≤ 3" })
    );

    assert_eq!(fixture.post("/settings/reset", json!({})).await.paths(), ["/keys"]);
    let reset = fixture.post("/settings/reset", json!({ "keys": ["max_attempts"] })).await;
    assert_eq!((reset.status, &reset.body["values"]["max_attempts"]), (200, &json!(3)));
}

#[tokio::test]
async fn settings_never_show_a_secret() {
    let fixture = Fixture::signed_in().await;
    let version = fixture.state.settings.version();
    let secrets = json!({ "proxy_url": "http://me:hunter2@proxy:3128", "clearance_cookies": "cf_clearance=hunter3" });
    let changed = fixture.patch("/settings", &version, secrets).await;
    let shown = fixture.get("/settings").await;
    for answer in [&changed, &shown] {
        assert!(!answer.text.contains("hunter"), "{}", answer.text);
        assert_eq!(answer.body["values"]["clearance_cookies"], "***");
    }
}

#[tokio::test]
async fn a_broken_settings_file_is_told_and_not_overwritten() {
    let fixture = Fixture::signed_in().await;
    let file = fixture._directory.path().join("config.json");
    std::fs::write(&file, "{ \"max_attempts\": 7 }").unwrap();
    let answer = fixture.patch("/settings", "any", json!({ "max_attempts": 1 })).await;
    assert_eq!(answer.error(), (409, "conflict"));
    assert!(answer.body["error"]["message"].as_str().unwrap().contains("/max_attempts"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ \"max_attempts\": 7 }");
}

#[tokio::test]
async fn settings_are_described() {
    let fixture = Fixture::signed_in().await;
    let schema = fixture.get("/settings/schema").await;
    let values = fixture.get("/settings").await;
    let mut names: Vec<&str> =
        schema.body["settings"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let mut shown: Vec<&str> = values.body["values"].as_object().unwrap().keys().map(String::as_str).collect();
    shown.sort_unstable();
    assert_eq!(names, shown);
}
