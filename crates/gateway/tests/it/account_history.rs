//! What became of an account: every rest and every end of one, why, and by whom.

use grok2api_simulator::{Reply as Upstream, Step};
use serde_json::{Value, json};

use crate::harness::Rig;

const HOUR: u64 = 3_600;

async fn window(rig: &Rig, id: &str, query: &str) -> Value {
    let (status, history) = rig.admin("GET", &format!("/accounts/{id}/history{query}"), None).await;
    assert_eq!(status, 200, "{history}");
    history
}

/// What happened, oldest first: kind, cause, mode, reason, and who.
async fn told(rig: &Rig, id: &str) -> Vec<String> {
    let history = window(rig, id, "").await;
    let line = |line: &Value| {
        let words = ["kind", "cause", "mode", "reason", "actor", "action"];
        let words: Vec<&str> = words.iter().filter_map(|name| line[name].as_str()).collect();
        words.join(" ")
    };
    history["items"].as_array().unwrap().iter().rev().map(line).collect()
}

async fn id_of(rig: &Rig, label: &str) -> String {
    rig.account(label).await["id"].as_str().unwrap().to_owned()
}

async fn ask(rig: &Rig) -> Value {
    let reply = rig.chat(json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "hi" }] })).await;
    json!(reply.header("x-request-id"))
}

#[tokio::test]
async fn a_rest_tells_when_it_began_who_caused_it_and_what_ended_it() {
    let mut rig = Rig::new(&["anna"]).await;
    let id = id_of(&rig, "anna").await;
    let created = told(&rig, &id).await;
    rig.simulator.account("anna").push(Upstream::rate_limited(true));
    let request = ask(&rig).await;
    let began = "rest_began request rate_limited_quota_left";
    rig.until("the rest is written down", async |rig| told(rig, &id).await.contains(&began.to_owned())).await;
    let history = window(&rig, &id, "").await;
    let line = history["items"].as_array().unwrap().iter().find(|line| line["kind"] == "rest_began").unwrap().clone();
    assert_eq!(line["request_id"], request);
    assert_eq!(line["until"], rig.account("anna").await["state"]["until"]);

    // Its time comes, and nobody looks; a restart forgets nothing.
    rig.advance(5 * HOUR + 1);
    rig.restart().await;
    let ended = "rest_ended time rate_limited_quota_left";
    assert_eq!(told(&rig, &id).await[created.len()..], [began, ended]);
    let history = window(&rig, &id, "").await;
    assert_eq!(history["items"][0]["at"], line["until"], "it ended by its time, not when somebody looked");
    assert_eq!(history["items"][0]["request_id"], request);
    assert_eq!(told(&rig, &id).await.len(), created.len() + 2, "looking writes nothing twice");

    // A person ends the next one.
    rig.simulator.account("anna").push(Upstream::rate_limited(true));
    ask(&rig).await;
    rig.clear_cooldown("anna").await;
    let cleared = "rest_ended person rate_limited_quota_left admin";
    assert_eq!(told(&rig, &id).await[created.len() + 2..], [began, cleared]);

    // Windows meet.
    let whole = window(&rig, &id, "").await["items"].as_array().unwrap().clone();
    let mut windows = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = window(&rig, &id, &query).await;
        windows.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&before={next}");
    }
    assert_eq!(windows, whole);
}

#[tokio::test]
async fn the_upstream_s_word_on_a_mode_is_the_same_rest_better_known() {
    let rig = Rig::new(&["anna"]).await;
    let id = id_of(&rig, "anna").await;
    let before = told(&rig, &id).await.len();
    rig.simulator.account("anna").set_quota("auto", 1, 20, Some(900));
    ask(&rig).await;
    ask(&rig).await;
    let narrowed = "rest_changed check auto rate_limited_no_quota";
    rig.until("the upstream has told", async |rig| told(rig, &id).await.contains(&narrowed.to_owned())).await;
    let lines = told(&rig, &id).await;
    assert_eq!(lines.len(), before + 2, "{lines:?}");
    assert!(lines[before].starts_with("rest_began request rate_limited_"), "{lines:?}");

    // The upstream gives more before the time is over.
    rig.simulator.account("anna").set_quota("auto", 20, 20, None);
    rig.admin("POST", &format!("/accounts/{id}/actions/check_quota"), None).await;
    let lines = told(&rig, &id).await;
    let ended = "rest_ended check auto rate_limited_no_quota";
    assert!(lines[before + 2..].contains(&ended.to_owned()), "{lines:?}");
}

#[tokio::test]
async fn a_dead_credential_and_what_people_do_stand_there_with_their_names() {
    let rig = Rig::new(&["anna", "bert"]).await;
    let id = id_of(&rig, "anna").await;
    let before = told(&rig, &id).await.len();
    for _ in 0..2 {
        rig.simulator.account("anna").push(Upstream::unauthorized());
    }
    let path = format!("/accounts/{id}");
    while rig.account("anna").await["state"]["name"] != "invalid" {
        ask(&rig).await;
    }
    // A job and a person.
    let body =
        |enabled: bool| json!({ "kind": "accounts.set", "scope": { "ids": [id] }, "options": { "enabled": enabled } });
    let (status, job) = rig.admin("POST", "/jobs", Some(body(false))).await;
    assert_eq!(status, 202, "{job}");
    rig.admin("GET", &format!("/jobs/{}?wait=60", job["id"].as_str().unwrap()), None).await;
    let (status, edited) = rig.admin("PATCH", &path, Some(json!({ "enabled": true }))).await;
    assert_eq!((status, &edited["enabled"]), (200, &json!(true)), "{edited}");
    rig.admin("PATCH", &path, Some(json!({ "label": "the first" }))).await;
    let expected = [
        "invalid request credential_dead",
        "disabled person admin",
        "enabled person admin",
        "valid_again person credential_dead admin",
        "changed person admin account.update",
    ];
    assert_eq!(told(&rig, &id).await[before..], expected);

    // Deleted it can still be read; gone for good, nothing of it is left.
    rig.admin("DELETE", &path, None).await;
    assert_eq!(told(&rig, &id).await.last().unwrap(), "deleted person admin");
    let (status, _) = rig.admin("POST", &format!("{path}/actions/restore"), None).await;
    assert_eq!(status, 200);
    rig.admin("DELETE", &format!("{path}?purge=true"), None).await;
    assert_eq!(rig.count_of(format!("SELECT COUNT(*) FROM account_history WHERE account_id = '{id}'")).await, 0);
    let (status, _) = rig.admin("GET", "/accounts/acc_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b/history", None).await;
    assert_eq!(status, 404);
    let (status, refused) = rig.admin("GET", &format!("{path}/history?before=1"), None).await;
    assert_eq!((status, &refused["error"]["fields"][0]["path"]), (422, &json!("before")), "{refused}");
}

#[tokio::test]
async fn a_new_token_keeps_the_account_and_its_conversations() {
    let mut rig = Rig::new(&["anna", "bert"]).await;
    let talk = rig.talk(false);
    let opening = json!({ "role": "user", "content": "hi" });
    let reply = talk.send(json!({ "messages": [opening] })).await.ok();
    let owner = rig.last_question().account.unwrap();
    let other = if owner == "anna" { "bert" } else { "anna" };
    let (id, other_id) = (id_of(&rig, &owner).await, id_of(&rig, other).await);
    let path = format!("/accounts/{id}/actions/replace_token");

    // The login is renewed: the same user upstream, another token; the old one is dead.
    let renewed = rig.simulator.add_account("renewed");
    renewed.belong_to(&rig.simulator.account(&owner));
    rig.simulator.account(&owner).always(Some(Upstream::unauthorized()));
    let (status, refused) = rig.admin("POST", &path, Some(json!({ "token": other }))).await;
    assert_eq!((status, &refused["error"]["existing"]), (409, &json!(other_id)), "{refused}");
    let (status, refused) = rig.admin("POST", &path, Some(json!({ "token": "not a token" }))).await;
    assert_eq!((status, &refused["error"]["fields"][0]["path"]), (422, &json!("/token")), "{refused}");
    let before = rig.account(&owner).await;
    let (status, account) = rig.admin("POST", &path, Some(json!({ "token": "sso=renewed" }))).await;
    assert_eq!(status, 200, "{account}");
    assert_eq!(account["id"], before["id"]);
    assert_ne!(account["fingerprint"], before["fingerprint"]);

    // The old token may come again, as another account; the conversation goes on with the new one, also after a restart.
    rig.restart().await;
    let messages =
        json!([opening, { "role": "assistant", "content": reply.text() }, { "role": "user", "content": "and?" }]);
    let next = rig.talk(false).send(json!({ "messages": messages })).await.ok();
    assert_eq!(next.turn(), "native");
    assert_eq!(rig.last_question().account.as_deref(), Some("renewed"));
    assert_eq!(told(&rig, &id).await.last().unwrap(), "changed person admin account.replace_token");
    let (_, page) = rig.admin("GET", "/audit?limit=5", None).await;
    assert!(!page.to_string().contains("renewed"), "no token in the trail: {page}");
    let (status, added) = rig.admin("POST", "/accounts", Some(json!({ "token": owner }))).await;
    assert_eq!(status, 201, "{added}");

    // One that is in the bin keeps its token.
    rig.admin("DELETE", &format!("/accounts/{other_id}"), None).await;
    let (status, refused) = rig.admin("POST", &path, Some(json!({ "token": other }))).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("already_exists")), "{refused}");
}

#[tokio::test]
async fn what_the_old_token_did_is_not_charged_to_the_new_one() {
    let rig = Rig::new(&["anna"]).await;
    let id = id_of(&rig, "anna").await;
    rig.simulator.add_account("fresh");
    let late = vec![
        Step::Wait(std::time::Duration::from_millis(600)),
        Step::TopLevelError { code: 8.into(), message: "Too many requests".into() },
    ];
    rig.simulator.account("anna").push(Upstream::steps(late));
    // A chat is under way with the old one while it is replaced.
    let body = json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "hi" }] });
    let replace = async {
        rig.until("the chat is under way", async |rig| !rig.questions().is_empty()).await;
        rig.admin("POST", &format!("/accounts/{id}/actions/replace_token"), Some(json!({ "token": "fresh" }))).await
    };
    let (reply, (status, account)) = tokio::join!(rig.chat(body), replace);
    assert_eq!((status, reply.status == 200), (200, false), "{account}");
    let account = rig.account("anna").await;
    assert_eq!(account["state"]["name"], "available", "{account}");
}

#[tokio::test]
async fn the_token_that_it_has_is_no_new_one() {
    let rig = Rig::new(&["anna"]).await;
    let id = id_of(&rig, "anna").await;
    let before = told(&rig, &id).await;
    let path = format!("/accounts/{id}/actions/replace_token");
    let (status, refused) = rig.admin("POST", &path, Some(json!({ "token": "anna" }))).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("conflict")), "{refused}");
    assert_eq!(told(&rig, &id).await, before);
}

#[tokio::test]
async fn jobs_stand_there_too_and_a_rest_outlives_the_bin() {
    let mut rig = Rig::new(&[]).await;
    let id = rig.add_account("anna").await;
    let run = async |rig: &Rig, mut body: Value| {
        body["scope"] = json!({ "ids": [id] });
        let (mut status, mut job) = rig.admin("POST", "/jobs", Some(body.clone())).await;
        if status == 422 {
            body["dry_run"] = json!(true);
            let (_, counted) = rig.admin("POST", "/jobs", Some(body.clone())).await;
            body["dry_run"] = json!(false);
            body["confirm_token"] = counted["confirm_token"].clone();
            (status, job) = rig.admin("POST", "/jobs", Some(body)).await;
        }
        assert_eq!(status, 202, "{job}");
        let (_, ended) = rig.admin("GET", &format!("/jobs/{}?wait=60", job["id"].as_str().unwrap()), None).await;
        ended
    };
    rig.simulator.account("anna").push(Upstream::rate_limited(true));
    ask(&rig).await;
    rig.until("it rests", async |rig| rig.account("anna").await["state"]["name"] == "cooling").await;
    let until = rig.account("anna").await["state"]["until"].clone();
    run(&rig, json!({ "kind": "accounts.tag", "options": { "add": ["x"] } })).await;
    run(&rig, json!({ "kind": "accounts.delete", "options": {} })).await;
    rig.restart().await;
    let restored = run(&rig, json!({ "kind": "accounts.restore", "options": {} })).await;
    assert_eq!(restored["progress"]["succeeded"], 1, "{restored}");
    let account = rig.account("anna").await;
    assert_eq!((&account["state"]["name"], &account["state"]["until"]), (&json!("cooling"), &until), "{account}");
    let again = run(&rig, json!({ "kind": "accounts.restore", "options": {} })).await;
    assert_eq!(again["progress"]["skipped"], 1, "it is not in the bin: {again}");
    // The same by its token, as a person would.
    rig.admin("DELETE", &format!("/accounts/{id}"), None).await;
    rig.add_account("anna").await;
    assert_eq!(rig.account("anna").await["state"]["until"], until);
    let lines = told(&rig, &id).await;
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = [
        "added person admin",
        "rest_began request rate_limited_quota_left",
        "edited person admin",
        "deleted person admin",
        "restored person admin",
        "deleted person admin",
        "restored person admin",
    ];
    assert_eq!(lines, expected);
    let (status, refused) = rig.admin("POST", &format!("/accounts/{id}/actions/restore"), None).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("conflict")), "{refused}");
    let everyone = json!({ "kind": "accounts.restore", "scope": { "filter": {} }, "options": {} });
    assert_eq!(rig.admin("POST", "/jobs", Some(everyone)).await.0, 422, "a list shows what is not in the bin");
}

#[tokio::test]
async fn edits_at_the_same_time_tell_what_each_has_changed() {
    let rig = Rig::new(&["anna"]).await;
    let id = id_of(&rig, "anna").await;
    let edit = |number: usize| {
        let (rig, path) = (&rig, format!("/accounts/{id}"));
        async move { rig.admin("PATCH", &path, Some(json!({ "label": format!("L{number}") }))).await }
    };
    futures_util::future::join_all((0..24).map(edit)).await;
    let history = window(&rig, &id, "?limit=100").await;
    let mut edits: Vec<&Value> = history["items"].as_array().unwrap().iter().collect();
    edits.retain(|line| line["action"] == "account.update");
    assert_eq!(edits.len(), 24);
    // Each begins where another ended, whatever the order in which they were written down.
    let mut ends: Vec<&Value> = edits.iter().map(|line| &line["after"]["label"]).collect();
    ends.push(&edits.iter().find(|line| line["before"]["label"] == "anna").unwrap()["before"]["label"]);
    for line in edits {
        let position = ends.iter().position(|end| **end == line["before"]["label"]);
        ends.remove(position.unwrap_or_else(|| panic!("{line} begins nowhere")));
    }
    assert_eq!(ends.len(), 1);
}
