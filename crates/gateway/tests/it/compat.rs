//! The admin routes of the Python Grok2API that scripts use, as such scripts call them.

use serde_json::{Value, json};

use crate::harness::{KEY, PASSWORD, Rig};
use crate::probes::question;

/// A script that is signed in.
struct Script<'a> {
    rig: &'a Rig,
    bearer: String,
}

impl<'a> Script<'a> {
    async fn new(rig: &'a Rig) -> Self {
        let (status, answer) =
            call(rig, None, "POST", "/login", Some(json!({ "username": "admin", "password": PASSWORD }))).await;
        assert_eq!((status, &answer["success"]), (200, &json!(true)));
        Self { rig, bearer: answer["token"].as_str().unwrap().to_owned() }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        call(self.rig, Some(&self.bearer), method, path, body).await
    }
}

async fn call(rig: &Rig, bearer: Option<&str>, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = rig.http().request(method.parse().unwrap(), rig.url(&format!("/admin/api{path}")));
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    let request = if let Some(body) = &body { request.json(body) } else { request };
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["deprecation"], "@1788220800");
    assert!(response.headers()["link"].to_str().unwrap().contains("rel=\"successor-version\""));
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

#[tokio::test]
async fn scripts_sign_in_and_out() {
    let rig = Rig::new(&[]).await;
    let wrong = json!({ "username": "admin", "password": "wrong" });
    let (status, answer) = call(&rig, None, "POST", "/login", Some(wrong)).await;
    assert_eq!((status, &answer["success"], &answer["token"]), (200, &json!(false), &Value::Null));
    let script = Script::new(&rig).await;
    assert_eq!(script.call("GET", "/tokens", None).await.0, 200);
    assert_eq!(script.call("POST", "/logout", None).await.0, 200);
    assert_eq!(script.call("GET", "/tokens", None).await.0, 401);
    for bearer in [None, Some(KEY), Some("adm_nonsense")] {
        assert_eq!(call(&rig, bearer, "GET", "/tokens", None).await.0, 401);
    }
    assert_eq!(call(&rig, None, "GET", "/nowhere", None).await.0, 404);
    // The cookie of a browser opens nothing here: a foreign page could make it send one.
    let cookie = rig.sign_in().await;
    let request = rig.http().get(rig.url("/admin/api/tokens")).header("cookie", cookie);
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn tokens_go_in_raw_and_come_out_as_fingerprints() {
    let rig = Rig::new(&[]).await;
    let script = Script::new(&rig).await;
    for name in ["anna", "bert", "cleo"] {
        rig.simulator.add_account(name);
    }
    let (status, added) =
        script.call("POST", "/tokens", Some(json!({ "token": "anna", "name": "first", "enabled": true }))).await;
    assert_eq!((status, &added["success"]), (200, &json!(true)));
    assert_eq!(script.call("POST", "/tokens", Some(json!({ "token": "sso=anna" }))).await.0, 409);
    rig.chat(question("hello there", false)).await.ok();

    let batch = json!({ "tokens": ["bert", "", "anna", "cleo", "two words"], "enabled": false });
    let (_, counts) = script.call("POST", "/tokens/batch", Some(batch)).await;
    assert_eq!(counts, json!({ "added": 2, "duplicates": 1, "empty": 1, "invalid": 1 }));

    let (_, list) = script.call("GET", "/tokens", None).await;
    assert_eq!(list["stats"], json!({ "total": 3, "active": 1, "cooldown": 0, "invalid": 0, "disabled": 2 }));
    let first = &list["tokens"][0];
    assert_eq!(
        (&first["name"], &first["status"], &first["enabled"]),
        (&json!("first"), &json!("available"), &json!(true))
    );
    assert_eq!(first["token"], added["token"]);
    assert!(!["\"anna\"", "bert", "cleo"].iter().any(|token| list.to_string().contains(token)), "{list}");

    // Named by what came out, or by what went in.
    let off = json!({ "token": first["token"], "enabled": false, "name": "renamed" });
    assert_eq!(script.call("PATCH", "/tokens", Some(off)).await.0, 200);
    assert_eq!(rig.account("renamed").await["enabled"], false);
    assert_eq!(script.call("PATCH", "/tokens", Some(json!({ "token": "anna", "enabled": true }))).await.0, 200);
    assert_eq!(script.call("DELETE", "/tokens", Some(json!({ "token": "anna" }))).await.0, 200);
    assert_eq!(script.call("DELETE", "/tokens", Some(json!({ "token": "anna" }))).await.0, 404);
    let (_, gone) = script.call("DELETE", "/tokens/batch", Some(json!({ "tokens": ["bert", "cleo", "dora"] }))).await;
    assert_eq!(gone, json!({ "removed": 2, "not_found": 1 }));
    assert_eq!(rig.admin("GET", "/accounts", None).await.1["total"], 0);
    let (_, trail) = rig.admin("GET", "/audit?action=account&limit=500", None).await;
    assert_eq!(trail["items"].as_array().unwrap().len(), 8, "three came, two edits, three went");
}

#[tokio::test]
async fn config_is_read_and_written_setting_by_setting() {
    let rig = Rig::new(&[]).await;
    let script = Script::new(&rig).await;
    let change = json!({ "config": { "stream_timeout": 900, "request_timeout": 0, "admin_username": "x",
        "proxy_url": "http://me:pa55word@127.0.0.1:9" } });
    let (status, answer) = script.call("POST", "/config", Some(change)).await;
    assert_eq!(status, 200);
    let success = |name: &str| answer["results"][name]["success"].as_bool().unwrap();
    assert_eq!(
        ["stream_timeout", "request_timeout", "admin_username", "proxy_url"].map(success),
        [true, false, false, true]
    );
    assert!(answer["results"]["request_timeout"]["error"].as_str().unwrap().contains("≥ 1"));
    let (_, config) = script.call("GET", "/config", None).await;
    assert_eq!(
        (&config["values"]["stream_timeout"], &config["values"]["proxy_url"]),
        (&json!(900), &json!("http://***@127.0.0.1:9"))
    );
    assert_eq!(
        (&config["schema"]["stream_timeout"]["type"], &config["groups"]["general"]["title"]["en"]),
        (&json!("integer"), &json!("General"))
    );
    // A form that sends everything back changes nothing.
    let (_, again) = script.call("POST", "/config", Some(json!({ "config": config["values"] }))).await;
    assert!(again["results"].as_object().unwrap().values().all(|result| result["success"] == true), "{again}");
    assert_eq!(script.call("POST", "/config/reset?key=stream_timeout", None).await.0, 200);
    assert_eq!(script.call("POST", "/config/reset?key=colour", None).await.0, 422);
    assert_eq!(script.call("GET", "/config", None).await.1["values"]["stream_timeout"], 600);
    assert_eq!(script.call("POST", "/config/reset", None).await.0, 200);
    assert_eq!(script.call("GET", "/config", None).await.1["values"]["proxy_url"], "");
}

#[tokio::test]
async fn tokens_of_the_admin_api_open_these_routes_within_their_scopes() {
    let rig = Rig::new(&[]).await;
    let (_, accounts) = rig.add_token(&["accounts"]).await;
    let new = json!({ "token": "anna" });
    let config = json!({ "config": { "max_attempts": 1 } });
    assert_eq!(call(&rig, Some(&accounts), "POST", "/tokens", Some(new)).await.0, 200);
    assert_eq!(call(&rig, Some(&accounts), "POST", "/config", Some(config.clone())).await.0, 403);
    assert_eq!(call(&rig, Some(&accounts), "GET", "/config", None).await.0, 200);
    let (_, settings) = rig.add_token(&["settings"]).await;
    assert_eq!(call(&rig, Some(&settings), "POST", "/config", Some(config)).await.0, 200);
}
