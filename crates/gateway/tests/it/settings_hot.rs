//! Settings that change while the service runs: through the admin API and by an editor.

use std::time::Duration;

use grok2api_simulator::{Reply as Upstream, Step};
use serde_json::{Value, json};

use crate::harness::{Reply, Rig};
use crate::probes::{question, refusal};

const BIG: usize = 1_500_000;

async fn big(rig: &Rig) -> Reply {
    rig.chat(question(&"x".repeat(BIG), false)).await
}

async fn value(rig: &Rig, name: &str) -> Value {
    rig.admin("GET", "/settings", None).await.1["values"][name].clone()
}

/// Writes `config.json` as an editor does, and lets the gateway look at it.
fn edit(rig: &Rig, text: &str) {
    std::fs::write(rig.directory.path().join("config.json"), text).unwrap();
    rig.gateway().poll_settings();
}

#[tokio::test]
async fn a_change_through_the_admin_api_holds_for_the_next_request() {
    let mut rig = Rig::new(&["anna"]).await;
    big(&rig).await.ok();
    let (status, shown) = rig.change_settings(json!({ "max_body_mb": 1, "user_agent": "Mozilla/5.0 (test)" })).await;
    assert_eq!((status, &shown["values"]["max_body_mb"]), (200, &json!(1)));
    assert_eq!(refusal(&big(&rig).await), (413, "request_too_large"));
    rig.chat(question("hello there", true)).await.ok();
    assert_eq!(rig.simulator.calls().last().unwrap().headers["user-agent"], "Mozilla/5.0 (test)");

    // It stands in the file and outlasts a restart.
    let file: Value =
        serde_json::from_slice(&std::fs::read(rig.directory.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(file["max_body_mb"], 1);
    rig.restart().await;
    assert_eq!(refusal(&big(&rig).await), (413, "request_too_large"));
}

#[tokio::test]
async fn a_refused_change_changes_nothing() {
    let rig = Rig::new(&["anna"]).await;
    for (bad, path) in [
        (json!({ "max_body_mb": 1, "request_timeout": 0 }), "/request_timeout"),
        (json!({ "max_body_mb": 1, "no_such_setting": 1 }), "/no_such_setting"),
        (json!({ "max_body_mb": 1, "proxy_url": "nonsense" }), "/proxy_url"),
    ] {
        let (status, error) = rig.change_settings(bad).await;
        assert_eq!((status, &error["error"]["fields"][0]["path"]), (422, &json!(path)), "{error}");
        big(&rig).await.ok();
    }
}

#[tokio::test]
async fn an_edit_of_the_file_is_taken() {
    let rig = Rig::new(&["anna"]).await;
    edit(&rig, r#"{ "max_body_mb": 1, "from_another_version": true }"#);
    assert_eq!(value(&rig, "max_body_mb").await, 1);
    assert_eq!(refusal(&big(&rig).await), (413, "request_too_large"));
    // What is not in the file has its default again.
    edit(&rig, r#"{ "reasoning_format": "reasoning_content" }"#);
    big(&rig).await.ok();
    assert_eq!(value(&rig, "reasoning_format").await, "reasoning_content");
}

#[tokio::test]
async fn a_bad_edit_is_refused_and_the_old_values_stay() {
    let rig = Rig::with_settings(&["anna"], json!({ "max_body_mb": 1 })).await;
    for bad in [r#"{ "max_body_mb": 2, "#, r#"{ "max_body_mb": "many" }"#, r#"{ "max_body_mb": 0 }"#, "[]", ""] {
        edit(&rig, bad);
        assert_eq!(value(&rig, "max_body_mb").await, 1, "{bad}");
        assert_eq!(refusal(&big(&rig).await), (413, "request_too_large"), "{bad}");
        assert_eq!(std::fs::read_to_string(rig.directory.path().join("config.json")).unwrap(), bad, "left as it is");
    }
    edit(&rig, r#"{ "max_body_mb": 3 }"#);
    big(&rig).await.ok();
}

#[tokio::test]
async fn a_running_request_keeps_the_settings_it_began_with() {
    let rig = Rig::new(&["anna"]).await;
    let word = |word: &str| Step::Text(word.to_owned());
    let silence = Step::Wait(Duration::from_millis(1_600));
    rig.simulator.account("anna").push(Upstream::answer(vec![word("one"), silence.clone(), word(" two")]));
    let running = rig.chat(question("hello there", true));
    let change = async {
        rig.until("it is being answered", async |rig| rig.chat_calls() == 1).await;
        rig.change_settings(json!({ "stream_idle_timeout": 1 })).await
    };
    let (reply, (status, _)) = tokio::join!(running, change);
    assert_eq!((reply.ok().text().as_str(), status), ("one two", 200));
    rig.simulator.account("anna").push(Upstream::answer(vec![word("one"), silence, word(" two")]));
    assert_eq!(rig.chat(question("hello there", true)).await.error()["code"], "upstream_timeout");
}
