//! What is left of each account, and its plan: asked for on demand, by a job, after an import, by schedule.

use std::time::{Duration, Instant};

use grok2api_simulator::{CredentialState, Reply, Subscription, SubscriptionStatus};
use serde_json::{Value, json};

use crate::harness::Rig;

/// The account after a check, or why it could not be read.
async fn check(rig: &Rig, label: &str) -> Result<Value, Value> {
    let id = rig.account(label).await["id"].as_str().unwrap().to_owned();
    let (status, checked) = rig.admin("POST", &format!("/accounts/{id}/actions/check_quota"), None).await;
    assert_eq!(status, 200, "{checked}");
    if checked["failure"].is_null() { Ok(checked["account"].clone()) } else { Err(checked["failure"].clone()) }
}

async fn job(rig: &Rig, body: Value) -> Value {
    let (status, job) = rig.admin("POST", "/jobs", Some(body)).await;
    assert_eq!(status, 202, "{job}");
    ended(rig, &job["id"]).await
}

async fn ended(rig: &Rig, id: &Value) -> Value {
    let (status, job) = rig.admin("GET", &format!("/jobs/{}?wait=60", id.as_str().unwrap()), None).await;
    assert_eq!(status, 200, "{job}");
    job
}

fn subscription(tier: &str, status: SubscriptionStatus) -> Subscription {
    Subscription { tier: tier.to_owned(), status }
}

/// The reading of a mode: what is left, of how much.
fn reading(account: &Value, mode: &str) -> (i64, i64) {
    let rows = account["quota"].as_array().unwrap();
    let row = rows.iter().find(|row| row["mode"] == mode).unwrap_or_else(|| panic!("{mode} was not read: {account}"));
    (row["remaining"].as_i64().unwrap(), row["total"].as_i64().unwrap())
}

#[tokio::test]
async fn an_account_is_read_on_demand_and_an_empty_mode_rests() {
    let rig = Rig::new(&["anna"]).await;
    let anna = rig.simulator.account("anna");
    anna.set_quota("auto", 7, 20, None);
    anna.set_quota("expert", 0, 8, Some(900));
    anna.set_subscriptions(vec![
        subscription("SUPER_GROK_PRO", SubscriptionStatus::Inactive),
        subscription("GROK_PRO", SubscriptionStatus::Active),
    ]);
    let account = check(&rig, "anna").await.unwrap();
    assert_eq!((reading(&account, "auto"), reading(&account, "expert")), ((7, 20), (0, 8)));
    // The ended subscription does not count.
    assert_eq!((&account["tier"], &account["tier_source"]), (&json!("super"), &json!("upstream")));
    // Known to be empty, the mode is not tried; others are.
    let ask = |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] });
    let refused = rig.chat(ask("grok-expert")).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(rig.questions().is_empty(), "nothing was asked in vain");
    assert_eq!(rig.chat(ask("grok-auto")).await.status, 200);
    // The row and the rest tell the same end.
    let account = rig.account("anna").await;
    let row = account["quota"].as_array().unwrap().iter().find(|row| row["mode"] == "expert").unwrap();
    assert_eq!(row["resets_at"], account["rests"][0]["until"], "{account}");
    rig.advance(901);
    anna.set_quota("expert", 8, 8, None);
    assert_eq!(rig.chat(ask("grok-expert")).await.status, 200);
    rig.no_violations();
}

#[tokio::test]
async fn a_mode_that_came_back_early_is_free_after_a_check() {
    let rig = Rig::new(&["anna"]).await;
    let anna = rig.simulator.account("anna");
    anna.set_quota("auto", 0, 20, None);
    let account = check(&rig, "anna").await.unwrap();
    let row = account["quota"].as_array().unwrap().iter().find(|row| row["mode"] == "auto").unwrap().clone();
    // No wait is told, so the window counts: for the row and for the rest.
    assert_eq!(row["resets_at"], account["rests"][0]["until"], "{account}");
    anna.set_quota("auto", 20, 20, None);
    check(&rig, "anna").await.unwrap();
    let reply = rig.chat(json!({ "model": "grok-4", "messages": [{ "role": "user", "content": "hello" }] })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn a_plan_set_by_hand_stays_until_it_is_given_back() {
    let mut rig = Rig::new(&["anna"]).await;
    let id = rig.account("anna").await["id"].as_str().unwrap().to_owned();
    rig.admin("PATCH", &format!("/accounts/{id}"), Some(json!({ "tier": "heavy" }))).await;
    rig.restart().await;
    let account = check(&rig, "anna").await.unwrap();
    assert_eq!((&account["tier"], &account["tier_source"]), (&json!("heavy"), &json!("owner")));
    rig.admin("PATCH", &format!("/accounts/{id}"), Some(json!({ "tier": null }))).await;
    let account = check(&rig, "anna").await.unwrap();
    assert_eq!((&account["tier"], &account["tier_source"]), (&json!("basic"), &json!("upstream")));
}

#[tokio::test]
async fn a_check_says_whose_fault_it_is() {
    let rig = Rig::new(&["dead", "banned", "throttled", "challenged"]).await;
    rig.simulator.account("dead").set_credential(CredentialState::Unknown);
    rig.simulator.account("banned").set_credential(CredentialState::Blocked);
    rig.simulator.account("throttled").rate_limits_throttled(true);
    rig.simulator.account("challenged").rate_limits_challenged(true);
    let mut found = Vec::new();
    for label in ["dead", "banned", "throttled", "challenged"] {
        let failure = check(&rig, label).await.unwrap_err();
        let account = rig.account(label).await;
        found.push((label, failure["upstream_status"].clone(), account["state"]["name"].clone()));
    }
    let expected = [
        ("dead", json!(401), json!("invalid")),
        ("banned", json!(403), json!("invalid")),
        // Neither the route's own limit nor the way out says anything about the account.
        ("throttled", json!(429), json!("available")),
        ("challenged", json!(403), json!("available")),
    ];
    assert_eq!(found, expected);
    let (status, _) =
        rig.admin("POST", "/accounts/acc_00000000000000000000000000000000/actions/check_quota", None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_job_waits_for_a_person_when_the_way_out_is_refused() {
    let rig = Rig::with_settings(&["a", "b", "c", "d"], json!({ "quota_checks_per_second": 2 })).await;
    for label in ["a", "b", "c", "d"] {
        rig.simulator.account(label).rate_limits_challenged(true);
    }
    let body = json!({ "kind": "accounts.check_quota", "scope": { "filter": {} } });
    let paused = job(&rig, body).await;
    assert_eq!((&paused["state"], &paused["progress"]["done"]), (&json!("paused"), &json!(0)), "{paused}");
    assert!(paused["error"].as_str().unwrap().contains("way to the upstream"), "{paused}");
    for label in ["a", "b", "c", "d"] {
        rig.simulator.account(label).rate_limits_challenged(false);
    }
    let path = format!("/jobs/{}/actions/resume", paused["id"].as_str().unwrap());
    let (status, _) = rig.admin("POST", &path, None).await;
    assert_eq!(status, 200);
    let done = ended(&rig, &paused["id"]).await;
    assert_eq!((&done["state"], &done["error"]), (&json!("succeeded"), &Value::Null), "{done}");
}

#[tokio::test]
async fn five_thousand_are_checked_at_the_pace_that_is_set_while_chats_go_on() {
    const COUNT: usize = 5_000;
    const PER_SECOND: u64 = 500;
    let rig = Rig::with_settings(&["worker"], json!({ "quota_checks_per_second": PER_SECOND })).await;
    let tokens: Vec<String> = (0..COUNT).map(|number| format!("{}{number:06}", "a".repeat(60))).collect();
    for token in &tokens {
        rig.simulator.add_account(token);
    }
    rig.simulator.account(&tokens[17]).set_credential(CredentialState::Unknown);
    let (_, preview) = rig.admin("POST", "/imports/preview", Some(json!({ "text": tokens.join("\n") }))).await;
    let import = job(&rig, json!({ "kind": "accounts.import", "preview_id": preview["preview_id"] })).await;
    assert_eq!(import["progress"]["succeeded"], COUNT, "{import}");
    // What was imported is checked by a job of its own.
    let began = Instant::now();
    let check = &import["result"]["check_job"];
    let mut slowest = Duration::ZERO;
    let checked = loop {
        let asked = Instant::now();
        let chat = json!({ "model": "grok-4", "messages": [{ "role": "user", "content": "still there?" }] });
        let reply = rig.chat(chat).await;
        slowest = slowest.max(asked.elapsed());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let (_, job) = rig.admin("GET", &format!("/jobs/{}?wait=1", check.as_str().unwrap()), None).await;
        if job["state"] != "running" {
            break job;
        }
    };
    let took = began.elapsed();
    assert_eq!(checked["progress"]["succeeded"], COUNT - 1, "{checked}");
    assert_eq!(checked["state"], "partially_failed");
    let (_, failed) = rig.admin("GET", &format!("/jobs/{}/items?outcome=failed", check.as_str().unwrap()), None).await;
    assert_eq!(failed["items"][0]["upstream_status"], 401, "{failed}");
    // Within the pace: a little may have gone before the clock started here.
    let at_least = Duration::from_secs(COUNT as u64 / PER_SECOND) - Duration::from_secs(2);
    assert!(took > at_least, "{took:?} is too fast for {PER_SECOND} per second");
    assert!(slowest < Duration::from_secs(5), "a chat took {slowest:?}");
    assert_eq!(rig.simulator.report().count("subscriptions"), COUNT as u64 - 1);
}

#[tokio::test]
async fn old_readings_are_renewed_by_schedule_and_failures_are_not_asked_again_at_once() {
    let rig = Rig::with_settings(&["anna", "bert", "off"], json!({ "quota_check_interval": 3_600 })).await;
    let id = rig.account("off").await["id"].as_str().unwrap().to_owned();
    rig.admin("PATCH", &format!("/accounts/{id}"), Some(json!({ "enabled": false }))).await;
    rig.simulator.account("bert").rate_limits_throttled(true);
    let asked = || rig.simulator.report().count("rate_limits");
    rig.gateway().check_due_accounts().await;
    // Four modes of one, and one refusal.
    assert_eq!(asked(), 5, "one that is switched off is not asked");
    rig.gateway().check_due_accounts().await;
    assert_eq!(asked(), 5, "neither the reading nor the refusal is old");
    rig.advance(3_601);
    rig.gateway().check_due_accounts().await;
    assert_eq!(asked(), 10);
    let never = Some(json!({ "quota_check_interval": 0 }));
    let (status, settings) = rig.admin_with("PATCH", "/settings", never, &[("if-match", "*")]).await;
    assert_eq!(status, 200, "{settings}");
    rig.advance(36_000);
    rig.gateway().check_due_accounts().await;
    assert_eq!(asked(), 10, "0: never by itself");
}

#[tokio::test]
async fn without_the_option_an_import_asks_nothing() {
    let rig = Rig::new(&[]).await;
    let token = "b".repeat(80);
    rig.simulator.add_account(&token).always(Some(Reply::Default));
    let (_, preview) = rig.admin("POST", "/imports/preview", Some(json!({ "text": token }))).await;
    let body =
        json!({ "kind": "accounts.import", "preview_id": preview["preview_id"], "options": { "check_quota": false } });
    let import = job(&rig, body).await;
    assert_eq!((&import["state"], &import["result"]), (&json!("succeeded"), &Value::Null));
    assert_eq!(rig.simulator.report().count("rate_limits"), 0);
}

#[tokio::test]
async fn the_plan_of_what_was_imported_is_known() {
    let mut rig = Rig::new(&[]).await;
    let token = "c".repeat(80);
    let account = rig.simulator.add_account(&token);
    account.set_subscriptions(vec![subscription("GROK_PRO", SubscriptionStatus::Active)]);
    let (_, preview) = rig.admin("POST", "/imports/preview", Some(json!({ "text": token }))).await;
    let import = job(&rig, json!({ "kind": "accounts.import", "preview_id": preview["preview_id"] })).await;
    ended(&rig, &import["result"]["check_job"]).await;
    let tier = async |rig: &Rig| rig.admin("GET", "/accounts", None).await.1["items"][0]["tier"].clone();
    assert_eq!(tier(&rig).await, "super");
    rig.restart().await;
    assert_eq!(tier(&rig).await, "super");
}

#[tokio::test]
async fn two_tokens_of_one_user_are_known_to_be_one_account() {
    let mut rig = Rig::new(&["first", "second", "other"]).await;
    rig.simulator.account("second").belong_to(&rig.simulator.account("first"));
    for label in ["second", "first", "other"] {
        check(&rig, label).await.unwrap();
    }
    let id = |account: &Value| account["id"].clone();
    let first = rig.account("first").await;
    assert_eq!(rig.account("second").await["duplicate_of"], id(&first));
    assert_eq!((&first["duplicate_of"], &rig.account("other").await["duplicate_of"]), (&Value::Null, &Value::Null));
    let duplicates = async |rig: &Rig| rig.admin("GET", "/accounts?duplicate=true", None).await.1["total"].clone();
    assert_eq!(duplicates(&rig).await, 1);
    let (_, attention) = rig.admin("GET", "/attention", None).await;
    assert!(attention.to_string().contains("accounts_duplicate"), "{attention}");
    // Asked once: it does not change.
    let asked = rig.simulator.report().count("session");
    check(&rig, "first").await.unwrap();
    assert_eq!(rig.simulator.report().count("session"), asked);
    rig.restart().await;
    assert_eq!(duplicates(&rig).await, 1);
    // Without the first, the second is the one.
    rig.admin("DELETE", &format!("/accounts/{}", id(&first).as_str().unwrap()), None).await;
    assert_eq!(duplicates(&rig).await, 0);
    rig.admin("POST", &format!("/accounts/{}/actions/restore", id(&first).as_str().unwrap()), None).await;
    assert_eq!(duplicates(&rig).await, 1);
    assert_eq!(rig.admin("GET", "/accounts?duplicate=maybe", None).await.0, 422);
}

#[tokio::test]
async fn a_page_of_accounts_with_all_that_is_known_is_small_on_the_wire() {
    let rig = Rig::with_settings(&[], json!({ "quota_checks_per_second": 1_000 })).await;
    let tokens: Vec<String> = (0..50).map(|number| format!("{}{number:06}", "d".repeat(60))).collect();
    for token in &tokens {
        rig.simulator.add_account(token);
    }
    let (_, preview) = rig.admin("POST", "/imports/preview", Some(json!({ "text": tokens.join("\n") }))).await;
    let import = job(&rig, json!({ "kind": "accounts.import", "preview_id": preview["preview_id"] })).await;
    ended(&rig, &import["result"]["check_job"]).await;
    // Not unpacked on the way.
    let http = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let request = http.get(rig.url("/admin/api/v1/accounts")).header("cookie", rig.sign_in().await);
    let answer = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let size = answer.bytes().await.unwrap().len();
    assert!(size < 40_000, "{size} bytes");
}
