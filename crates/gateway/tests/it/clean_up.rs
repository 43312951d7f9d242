//! Clean-up of what is dead or not wanted any more, many at once: accounts, conversations, images.

use std::collections::BTreeMap;

use grok2api_simulator::{CredentialState, Reply as Scripted};
use serde_json::{Value, json};

use crate::harness::Rig;
use crate::images_admin::rig_with_images;
use crate::images_out::get;

async fn ended(rig: &Rig, job: &Value) -> Value {
    let (status, job) = rig.admin("GET", &format!("/jobs/{}?wait=60", job["id"].as_str().unwrap()), None).await;
    assert_eq!(status, 200, "{job}");
    job
}

async fn run(rig: &Rig, body: Value) -> Value {
    let (status, job) = rig.admin("POST", "/jobs", Some(body)).await;
    assert_eq!(status, 202, "{job}");
    ended(rig, &job).await
}

/// A destroying job in its two steps: counted, then done.
async fn run_confirmed(rig: &Rig, mut body: Value) -> (Value, Value) {
    body["dry_run"] = json!(true);
    let (status, counted) = rig.admin("POST", "/jobs", Some(body.clone())).await;
    assert_eq!(status, 200, "{counted}");
    body["dry_run"] = json!(false);
    body["confirm_token"] = counted["confirm_token"].clone();
    (counted, run(rig, body).await)
}

/// Outcome and code by subject.
async fn results(rig: &Rig, job: &Value) -> BTreeMap<String, (String, Value)> {
    let (_, items) = rig.admin("GET", &format!("/jobs/{}/items", job["id"].as_str().unwrap()), None).await;
    let item =
        |item: &Value| (item["subject"].as_str().unwrap().to_owned(), (text(&item["outcome"]), item["code"].clone()));
    items["items"].as_array().unwrap().iter().map(item).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn dead_accounts_are_found_and_nothing_else_is_called_dead() {
    let labels = ["alive", "dead", "banned", "limited", "challenged", "forbidden"];
    let rig = Rig::new(&labels).await;
    rig.simulator.account("dead").set_credential(CredentialState::Unknown);
    rig.simulator.account("banned").set_credential(CredentialState::Blocked);
    rig.simulator.account("limited").rate_limits_throttled(true);
    rig.simulator.account("challenged").rate_limits_challenged(true);
    rig.simulator.account("forbidden").rate_limits_forbidden(true);
    // Without asking, nothing is known yet.
    let everyone = json!({ "filter": {} });
    let quiet = json!({ "kind": "accounts.cleanup_scan", "scope": everyone, "options": { "check": false } });
    assert_eq!(run(&rig, quiet.clone()).await["progress"]["skipped"], labels.len());
    assert_eq!(rig.simulator.report().count("rate_limits"), 0);
    let scan = run(&rig, json!({ "kind": "accounts.cleanup_scan", "scope": everyone })).await;
    let found = results(&rig, &scan).await;
    let mut by_label = BTreeMap::new();
    for label in labels {
        by_label.insert(label, found[rig.account(label).await["id"].as_str().unwrap()].0.clone());
    }
    let expected = [
        ("alive", "skipped"),
        ("banned", "succeeded"),
        ("challenged", "failed"),
        ("dead", "succeeded"),
        ("forbidden", "failed"),
        ("limited", "failed"),
    ];
    assert_eq!(by_label, expected.map(|(label, outcome)| (label, outcome.to_owned())).into());
    // What is known to be dead needs no second question.
    rig.simulator.clear_calls();
    assert_eq!(run(&rig, quiet).await["progress"]["succeeded"], 2);
    // What was found is deleted, and nothing else.
    let found = json!({ "job": scan["id"], "outcome": "succeeded" });
    let (counted, deleted) = run_confirmed(&rig, json!({ "kind": "accounts.delete", "scope": found })).await;
    assert_eq!((&counted["total"], &counted["by_state"]), (&json!(2), &json!({ "invalid": 2 })));
    assert_eq!(deleted["progress"]["succeeded"], 2);
    let (_, left) = rig.admin("GET", "/accounts?sort=label", None).await;
    let left: Vec<&str> = left["items"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!(left, ["alive", "challenged", "forbidden", "limited"]);
}

#[tokio::test]
async fn conversations_are_deleted_by_filter_here_and_at_the_upstream() {
    let rig = Rig::new(&["anna"]).await;
    let key = rig.add_key("other").await;
    let ask = |words: &str| json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": words }] });
    for number in 0..5 {
        rig.chat(ask(&format!("question {number}"))).await.ok();
    }
    rig.chat_as(&key, ask("another key's"), &[]).await.ok();
    assert_eq!(rig.simulator.account("anna").conversations().len(), 6);
    let (_, all) = rig.admin("GET", "/conversations", None).await;
    let other = &all["items"][0]["key"]["id"];
    let of_key = |key: &Value| json!({ "filter": { "key": key } });
    let mine = all["items"][1]["key"]["id"].clone();
    // First here alone, of one key.
    let body = json!({ "kind": "conversations.delete", "scope": of_key(other) });
    let (status, refused) = rig.admin("POST", "/jobs", Some(body.clone())).await;
    assert_eq!((status, &refused["error"]["fields"][0]["path"]), (422, &json!("/confirm_token")));
    let (counted, done) = run_confirmed(&rig, body).await;
    assert_eq!((&counted["total"], &counted["side_effects"]["conversations"]), (&json!(1), &json!(1)));
    assert_eq!((&done["state"], &done["progress"]["succeeded"]), (&json!("succeeded"), &json!(1)));
    assert_eq!(rig.simulator.account("anna").conversations().len(), 6, "the upstream keeps its copy");
    // Then with the copies, while the upstream does not let the account in: nothing is lost.
    let body = json!({ "kind": "conversations.delete", "scope": of_key(&mine), "options": { "upstream": true } });
    rig.simulator.account("anna").set_credential(CredentialState::Unknown);
    let (_, failed) = run_confirmed(&rig, body).await;
    assert_eq!((&failed["state"], &failed["progress"]["failed"]), (&json!("failed"), &json!(5)), "{failed}");
    assert_eq!(rig.admin("GET", "/conversations", None).await.1["total"], 5);
    // The same job tries them again.
    rig.simulator.account("anna").set_credential(CredentialState::Valid);
    let path = format!("/jobs/{}/actions/retry_failed", failed["id"].as_str().unwrap());
    assert_eq!(rig.admin("POST", &path, None).await.0, 200);
    let done = ended(&rig, &failed).await;
    assert_eq!((&done["state"], &done["progress"]["succeeded"]), (&json!("succeeded"), &json!(5)), "{done}");
    assert_eq!(rig.simulator.account("anna").conversations().len(), 1);
    assert_eq!(rig.admin("GET", "/conversations", None).await.1["total"], 0);
    // What is gone is skipped, by its id.
    let id = all["items"][1]["id"].clone();
    let (counted, done) =
        run_confirmed(&rig, json!({ "kind": "conversations.delete", "scope": { "ids": [id] } })).await;
    assert_eq!((&counted["total"], &counted["missing"]), (&json!(0), &json!(1)));
    assert_eq!(done["progress"]["skipped"], 1);
    rig.no_violations();
}

#[tokio::test]
async fn images_are_deleted_by_filter() {
    let (rig, links) = rig_with_images().await;
    let (_, list) = rig.admin("GET", "/images", None).await;
    let newest = list["items"][0]["created_at"].clone();
    let body = json!({ "kind": "images.delete", "scope": { "filter": { "until": newest } } });
    let (counted, done) = run_confirmed(&rig, body).await;
    assert_eq!(counted["total"], 2);
    assert!(counted["side_effects"]["bytes"].as_i64().unwrap() > 200, "{counted}");
    assert_eq!(done["progress"]["succeeded"], 2);
    let (_, list) = rig.admin("GET", "/images", None).await;
    assert_eq!(list["total"], 1);
    assert_eq!(get(&rig, &links[2]).await.status, 200);
    assert_eq!(get(&rig, &links[0]).await.status, 404);
}

#[tokio::test]
async fn a_scope_must_fit_what_the_job_works_on() {
    let rig = Rig::new(&["anna"]).await;
    let refused = async |body: Value| {
        let (status, error) = rig.admin("POST", "/jobs", Some(body)).await;
        assert_eq!(status, 422, "{error}");
        text(&error["error"]["fields"][0]["path"])
    };
    let kind = "conversations.delete";
    let view = rig.admin("GET", "/accounts", None).await.1["view"].clone();
    assert_eq!(refused(json!({ "kind": kind, "scope": { "view": view } })).await, "/scope/view");
    assert_eq!(
        refused(json!({ "kind": kind, "scope": { "filter": { "state": "invalid" } } })).await,
        "/scope/filter/state"
    );
    let tagged =
        run(&rig, json!({ "kind": "accounts.tag", "scope": { "filter": {} }, "options": { "add": ["x"] } })).await;
    let scope = json!({ "job": tagged["id"] });
    assert_eq!(refused(json!({ "kind": kind, "scope": scope, "dry_run": true })).await, "/scope/job");
    assert_eq!(refused(json!({ "kind": "images.delete", "options": { "purge": true } })).await, "/options");
}

#[tokio::test]
async fn accounts_are_tested_by_a_line_of_chat_that_leaves_nothing() {
    let labels = ["answers", "limited", "off"];
    let rig = Rig::new(&labels).await;
    rig.simulator.account("limited").push(Scripted::named("rate-limited").unwrap());
    let off = rig.account("off").await["id"].clone();
    rig.admin("PATCH", &format!("/accounts/{}", text(&off)), Some(json!({ "enabled": false }))).await;
    let job = run(&rig, json!({ "kind": "accounts.test", "scope": { "filter": {} } })).await;
    let found = results(&rig, &job).await;
    let mut outcomes = Vec::new();
    for label in labels {
        let (outcome, code) = &found[rig.account(label).await["id"].as_str().unwrap()];
        outcomes.push((label, outcome.clone(), code.clone()));
    }
    let expected = [
        ("answers", "succeeded", Value::Null),
        ("limited", "failed", json!("rate_limited")),
        ("off", "failed", json!("disabled")),
    ];
    assert_eq!(outcomes, expected.map(|(label, outcome, code)| (label, outcome.to_owned(), code)));
    assert_eq!(rig.simulator.account("answers").conversations(), Vec::<String>::new(), "nothing stays at the upstream");
    assert_eq!(rig.admin("GET", "/conversations", None).await.1["total"], 0);
    // They are in the request log, like every chat.
    let (_, log) = rig.admin("GET", "/requests", None).await;
    assert!(log["items"].as_array().unwrap().len() >= 2, "{log}");
    let wrong = json!({ "kind": "accounts.test", "scope": { "filter": {} }, "options": { "model": " " } });
    assert_eq!(rig.admin("POST", "/jobs", Some(wrong)).await.0, 422);
    rig.no_violations();
}

#[tokio::test]
async fn the_request_log_is_emptied_up_to_a_time_and_the_statistics_stay() {
    let rig = Rig::new(&["anna"]).await;
    let ask = async |id: &str| {
        let body = json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "hi" }] });
        let key = rig.add_key(id).await;
        rig.chat_as(&key, body, &[("x-request-id", id)]).await.ok();
    };
    ask("req-old-1").await;
    rig.advance(600);
    ask("req-old-2").await;
    rig.advance(5 * 3_600);
    ask("req-old-3").await;
    rig.requests(3).await;
    let (_, newest) = rig.admin("GET", "/requests?limit=1", None).await;
    let before = text(&newest["items"][0]["at"]);
    rig.advance(600);
    ask("req-new").await;
    rig.requests(4).await;

    let scope = |filter: Value| json!({ "kind": "requests.purge", "scope": { "filter": filter } });
    let (status, refused) = rig.admin("POST", "/jobs", Some(scope(json!({ "before": "yesterday" })))).await;
    assert_eq!((status, &refused["error"]["fields"][0]["path"]), (422, &json!("/scope/filter/before")), "{refused}");
    let (status, _) = rig.admin("POST", "/jobs", Some(scope(json!({})))).await;
    assert_eq!(status, 422, "not without counting");
    // The third began at this very time, so it is not from before it.
    let (counted, purged) = run_confirmed(&rig, scope(json!({ "before": before }))).await;
    assert_eq!((&counted["total"], &counted["missing"]), (&json!(2), &json!(0)), "{counted}");
    assert_eq!((&purged["state"], &purged["progress"]["total"]), (&json!("succeeded"), &json!(1)), "{purged}");
    let (_, items) = rig.admin("GET", &format!("/jobs/{}/items", text(&purged["id"])), None).await;
    assert_eq!(items["items"][0]["message"], "2", "it tells how many went: {items}");
    let (_, left) = rig.admin("GET", "/requests", None).await;
    let ids: Vec<_> = left["items"].as_array().unwrap().iter().map(|one| text(&one["request_id"])).collect();
    assert_eq!(ids, ["req-new", "req-old-3"]);
    let (counted, _) = run_confirmed(&rig, scope(json!({}))).await;
    assert_eq!(counted["total"], 2);
    assert_eq!(rig.count("SELECT COUNT(*) FROM requests").await, 0);
    let (_, top) = rig.admin("GET", "/stats/top?by=model&range=24h", None).await;
    assert_eq!(top["items"][0]["requests"], 4, "{top}");
}

#[tokio::test]
async fn a_variable_that_was_not_set_does_not_mean_everything() {
    let rig = Rig::new(&["anna"]).await;
    for (kind, filter) in [
        ("accounts.delete", json!({ "tag": "" })),
        ("accounts.delete", json!({ "state": [] })),
        ("accounts.delete", json!({ "q": " " })),
        ("conversations.delete", json!({ "key": "" })),
        ("images.delete", json!({ "model": "" })),
        ("requests.purge", json!({ "before": "" })),
    ] {
        let body = json!({ "kind": kind, "scope": { "filter": filter }, "options": {}, "dry_run": true });
        let (status, refused) = rig.admin("POST", "/jobs", Some(body)).await;
        let path = format!("/scope/filter/{}", filter.as_object().unwrap().keys().next().unwrap());
        assert_eq!((status, &refused["error"]["fields"][0]["path"]), (422, &json!(path)), "{refused}");
    }
}
