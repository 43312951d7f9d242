//! Work on many accounts: import, change, delete; seen as it goes, stopped, continued.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Rig;

/// A token of the form that the upstream's have.
fn token(number: usize) -> String {
    format!("eyJhbGciOiJIUzI1NiJ9.eyJzZXNzaW9uX2lkIjoi{number:08}In0.c2lnbmF0dXJl{number:08}")
}

async fn preview(rig: &Rig, text: &str) -> Value {
    let (status, preview) = rig.admin("POST", "/imports/preview", Some(json!({ "text": text }))).await;
    assert_eq!(status, 201, "{preview}");
    preview
}

async fn start(rig: &Rig, body: Value) -> Value {
    let (status, job) = rig.admin("POST", "/jobs", Some(body)).await;
    assert_eq!(status, 202, "{job}");
    job
}

/// The job once it has ended.
async fn ended(rig: &Rig, job: &Value) -> Value {
    let id = job["id"].as_str().unwrap();
    let (status, job) = rig.admin("GET", &format!("/jobs/{id}?wait=60"), None).await;
    assert_eq!(status, 200, "{job}");
    assert!(!job["state"].as_str().unwrap().ends_with("ing"), "{job}");
    job
}

async fn import(rig: &Rig, count: usize) -> Value {
    let text: Vec<String> = (0..count).map(token).collect();
    let id = preview(rig, &text.join("\n")).await["preview_id"].clone();
    ended(
        rig,
        &start(rig, json!({ "kind": "accounts.import", "preview_id": id, "options": { "check_quota": false } })).await,
    )
    .await
}

async fn total(rig: &Rig, query: &str) -> u64 {
    let (status, page) = rig.admin("GET", &format!("/accounts?limit=1{query}"), None).await;
    assert_eq!(status, 200, "{page}");
    page["total"].as_u64().unwrap()
}

/// What a dry run of a deletion counts.
async fn count(rig: &Rig, scope: &Value) -> Value {
    let body = json!({ "kind": "accounts.delete", "scope": scope, "dry_run": true });
    let (status, counted) = rig.admin("POST", "/jobs", Some(body)).await;
    assert_eq!(status, 200, "{counted}");
    counted
}

/// Lines of an event stream until one contains `last`; at most ten seconds.
async fn events_until(rig: &Rig, topics: &str, began: tokio::sync::oneshot::Sender<()>, last: &str) -> String {
    use futures_util::StreamExt as _;
    let cookie = rig.sign_in().await;
    let url = rig.url(&format!("/admin/api/v1/events?topics={topics}"));
    let response = rig.http().get(url).header("cookie", cookie).send().await.unwrap();
    let mut bytes = response.bytes_stream();
    let mut seen = String::new();
    let mut began = Some(began);
    let read = async {
        while let Some(piece) = bytes.next().await {
            seen.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
            if let Some(began) = began.take() {
                began.send(()).unwrap();
            }
            if seen.contains(last) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("the job's end is told");
    seen
}

#[tokio::test]
async fn a_messy_file_is_shown_first_and_added_by_a_job() {
    let rig = Rig::new(&[]).await;
    import(&rig, 1).await;
    let text = format!(
        "# accounts\n{}\n{}\nsso={}; other=1\n{}\n\nnot a token\nme@example.org----secret----{}\nCookie: a=b\n",
        token(0),
        token(1),
        token(2),
        token(1),
        token(3)
    );
    let preview = preview(&rig, &text).await;
    assert_eq!(preview["counts"], json!({ "entries": 7, "new": 3, "duplicates": 1, "existing": 1, "unreadable": 2 }));
    let problems: Vec<(u64, &str)> = preview["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["place"].as_u64().unwrap(), problem["code"].as_str().unwrap()))
        .collect();
    assert_eq!(problems, [(7, "not_a_token"), (9, "no_sso_cookie")]);
    assert!(!preview.to_string().contains("eyJ"), "no token leaves: {preview}");
    let job = start(
        &rig,
        json!({ "kind": "accounts.import", "preview_id": preview["preview_id"],
                "options": { "label_prefix": "new-", "tags": ["march"], "enabled": false } }),
    )
    .await;
    let job = ended(&rig, &job).await;
    assert_eq!(job["state"], "partially_failed");
    let progress = &job["progress"];
    assert_eq!(
        (&progress["total"], &progress["succeeded"], &progress["skipped"], &progress["failed"]),
        (&json!(7), &json!(3), &json!(2), &json!(2))
    );
    let (_, page) = rig.admin("GET", "/accounts?tag=march&sort=label", None).await;
    let labels: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["me@example.org", "new-0001", "new-0002"]);
    assert!(page["items"].as_array().unwrap().iter().all(|one| one["state"]["name"] == "disabled"), "{page}");
    // Each entry of the file has its result.
    let path = format!("/jobs/{}/items", job["id"].as_str().unwrap());
    let (_, left_out) = rig.admin("GET", &format!("{path}?outcome=skipped"), None).await;
    let codes: Vec<&str> =
        left_out["items"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["already_exists", "duplicate"]);
    let (_, failed) = rig.admin("GET", &format!("{path}?outcome=failed"), None).await;
    let places: Vec<&str> =
        failed["items"].as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap()).collect();
    assert_eq!(places, ["7", "9"]);
    // What was read is used up; nothing of a token stays with the job.
    let (status, gone) = rig
        .admin("POST", "/jobs", Some(json!({ "kind": "accounts.import", "preview_id": preview["preview_id"] })))
        .await;
    assert_eq!((status, &gone["error"]["code"]), (410, &json!("preview_expired")));
    assert_eq!(rig.count("SELECT COUNT(*) FROM job_items WHERE payload IS NOT NULL").await, 0);
}

#[tokio::test]
async fn five_thousand_accounts_come_by_one_job_while_chats_go_on() {
    let rig = Rig::new(&["worker"]).await;
    let mut lines: Vec<String> = (0..5_000).map(token).collect();
    // Every tenth twice, every hundredth line a mess.
    lines.extend((0..500).map(|number| format!("sso={}", token(number * 10))));
    lines.extend((0..50).map(|number| format!("line {number} says nothing")));
    let preview = preview(&rig, &lines.join("\r\n")).await;
    assert_eq!(
        preview["counts"],
        json!({ "entries": 5_550, "new": 5_000, "duplicates": 500, "existing": 0, "unreadable": 50 })
    );
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let body =
        json!({ "kind": "accounts.import", "preview_id": preview["preview_id"], "options": { "check_quota": false } });
    let work = async {
        has_begun.await.unwrap();
        let job = start(&rig, body).await;
        let chat = json!({ "model": "grok-4", "messages": [{ "role": "user", "content": "still there?" }] });
        assert_eq!(rig.chat(chat).await.status, 200);
        ended(&rig, &job).await
    };
    let (events, job) = tokio::join!(events_until(&rig, "jobs", began, "\"state\":\"partially_failed\""), work);
    assert_eq!(job["progress"]["succeeded"], 5_000);
    assert_eq!(total(&rig, "").await, 5_001);
    let running = events.matches("\"state\":\"running\"").count();
    assert!(running >= 2, "its progress was told {running} times");
    assert!(!events.contains("eyJ"), "no token is told");
}

#[tokio::test]
async fn a_cancelled_import_keeps_what_was_done_and_can_go_on() {
    let rig = Rig::new(&[]).await;
    let text: Vec<String> = (0..20_000).map(token).collect();
    let id = preview(&rig, &text.join("\n")).await["preview_id"].clone();
    let job =
        start(&rig, json!({ "kind": "accounts.import", "preview_id": id, "options": { "check_quota": false } })).await;
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    rig.until("some are added", async |rig: &Rig| total(rig, "").await > 0).await;
    let (status, told) = rig.admin("POST", &format!("{path}/actions/cancel"), None).await;
    assert_eq!(status, 200, "{told}");
    let job = ended(&rig, &job).await;
    assert_eq!(job["state"], "cancelled");
    let done = job["progress"]["done"].as_u64().unwrap();
    assert!(done > 0 && done < 20_000, "{done}");
    assert_eq!(total(&rig, "").await, done);
    let (status, job) = rig.admin("POST", &format!("{path}/actions/resume"), None).await;
    assert_eq!(status, 200, "{job}");
    let job = ended(&rig, &job).await;
    assert_eq!((&job["state"], &job["progress"]["succeeded"]), (&json!("succeeded"), &json!(20_000)));
    assert_eq!(total(&rig, "").await, 20_000);
}

#[tokio::test]
async fn a_job_survives_a_restart_as_interrupted_and_goes_on() {
    let mut rig = Rig::new(&[]).await;
    let text: Vec<String> = (0..10_000).map(token).collect();
    let id = preview(&rig, &text.join("\n")).await["preview_id"].clone();
    let job =
        start(&rig, json!({ "kind": "accounts.import", "preview_id": id, "options": { "check_quota": false } })).await;
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    rig.until("some are added", async |rig: &Rig| total(rig, "").await > 0).await;
    rig.restart().await;
    let (_, job) = rig.admin("GET", &path, None).await;
    assert_eq!((&job["state"], &job["resumable"]), (&json!("interrupted"), &json!(true)), "{job}");
    let done = job["progress"]["done"].as_u64().unwrap();
    assert_eq!(total(&rig, "").await, done, "what was done is counted");
    let (status, job) = rig.admin("POST", &format!("{path}/actions/resume"), None).await;
    assert_eq!(status, 200, "{job}");
    let job = ended(&rig, &job).await;
    assert_eq!((&job["state"], &job["progress"]["succeeded"]), (&json!("succeeded"), &json!(10_000)));
    assert_eq!(total(&rig, "").await, 10_000);
}

#[tokio::test]
async fn what_is_deleted_was_counted_first_and_can_be_had_back() {
    let rig = Rig::new(&["stays"]).await;
    import(&rig, 30).await;
    let (_, page) = rig.admin("GET", "/accounts?q=account&limit=10&sort=label", None).await;
    let scope = json!({ "view": page["view"], "except": [page["items"][0]["id"]] });
    // Without having counted, nothing is deleted; a count is good for its own job only, once.
    let (status, refused) =
        rig.admin("POST", "/jobs", Some(json!({ "kind": "accounts.delete", "scope": scope }))).await;
    assert_eq!((status, &refused["error"]["fields"][0]["path"]), (422, &json!("/confirm_token")));
    let counted = count(&rig, &scope).await;
    assert_eq!((&counted["total"], &counted["by_state"]), (&json!(29), &json!({ "available": 29 })));
    assert_eq!(total(&rig, "").await, 31, "counting deletes nothing");
    let token = &counted["confirm_token"];
    let other = json!({ "kind": "accounts.delete", "options": { "purge": true }, "confirm_token": token });
    let (status, _) = rig.admin("POST", "/jobs", Some(other)).await;
    assert_eq!(status, 410);
    // Accounts that came later are not hit.
    rig.add_account("account-later").await;
    let job = start(&rig, json!({ "kind": "accounts.delete", "confirm_token": token })).await;
    assert_eq!(ended(&rig, &job).await["progress"]["succeeded"], 29);
    assert_eq!(total(&rig, "").await, 3);
    let (status, _) =
        rig.admin("POST", "/jobs", Some(json!({ "kind": "accounts.delete", "confirm_token": token }))).await;
    assert_eq!(status, 410);
    let (_, bin) = rig.admin("GET", "/accounts/bin?limit=1", None).await;
    assert_eq!(bin["total"], 29);
    // All back, by the job that took them away.
    let scope = json!({ "job": job["id"] });
    let job = start(&rig, json!({ "kind": "accounts.restore", "scope": scope })).await;
    assert_eq!(ended(&rig, &job).await["progress"]["succeeded"], 29);
    assert_eq!(total(&rig, "").await, 32);
}

#[tokio::test]
async fn the_bin_outlives_a_restart_and_empties_after_a_week() {
    let mut rig = Rig::new(&["one", "two"]).await;
    let talk = rig.chat(json!({ "model": "grok-4", "messages": [{ "role": "user", "content": "hello" }] })).await;
    assert_eq!(talk.status, 200);
    let used = if rig.account("one").await["last_used_at"].is_null() { "two" } else { "one" };
    let id = rig.account(used).await["id"].as_str().unwrap().to_owned();
    let (status, _) = rig.admin("DELETE", &format!("/accounts/{id}"), None).await;
    assert_eq!(status, 204);
    rig.restart().await;
    assert_eq!(total(&rig, "").await, 1);
    let (status, back) = rig.admin("POST", &format!("/accounts/{id}/actions/restore"), None).await;
    assert_eq!((status, &back["label"]), (200, &json!(used)));
    // Added again, it comes out of the bin under its old id, with its conversations.
    rig.admin("DELETE", &format!("/accounts/{id}"), None).await;
    let (status, again) = rig.admin("POST", "/accounts", Some(json!({ "token": used, "label": "again" }))).await;
    assert_eq!((status, &again["id"], &again["label"]), (201, &json!(id), &json!("again")));
    rig.admin("DELETE", &format!("/accounts/{id}"), None).await;
    rig.advance(8 * 24 * 3_600);
    rig.gateway().trim().await;
    let (_, bin) = rig.admin("GET", "/accounts/bin", None).await;
    assert_eq!(bin["total"], 0);
    let (status, _) = rig.admin("POST", &format!("/accounts/{id}/actions/restore"), None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn many_are_switched_tagged_and_freed_at_once() {
    let rig = Rig::new(&[]).await;
    import(&rig, 300).await;
    let everyone = json!({ "filter": {} });
    let run = async |kind: &str, options: Value| {
        let job = start(&rig, json!({ "kind": kind, "scope": everyone, "options": options })).await;
        ended(&rig, &job).await["progress"].clone()
    };
    assert_eq!(run("accounts.tag", json!({ "add": ["a", "b"] })).await["succeeded"], 300);
    assert_eq!(run("accounts.tag", json!({ "remove": ["b"] })).await["succeeded"], 300);
    assert_eq!(run("accounts.tag", json!({ "add": ["a"] })).await["skipped"], 300, "they had it");
    assert_eq!((total(&rig, "&tag=a").await, total(&rig, "&tag=b").await), (300, 0));
    assert_eq!(run("accounts.set", json!({ "enabled": false, "tier": "super" })).await["succeeded"], 300);
    assert_eq!(total(&rig, "&state=disabled&tier=super").await, 300);
    let (_, facets) = rig.admin("GET", "/accounts/facets?field=state,tag,tier&state=available", None).await;
    assert_eq!(facets["state"], json!([{ "value": "disabled", "count": 300 }]), "a field's own filter does not count");
    assert_eq!(facets["tag"], json!([]));
    assert_eq!(run("accounts.set", json!({ "enabled": true })).await["succeeded"], 300);
    assert_eq!(run("accounts.clear_cooldown", json!({})).await["skipped"], 300);
}

#[tokio::test]
async fn a_list_stands_still_while_it_is_looked_at() {
    let rig = Rig::new(&["a", "b", "c", "d"]).await;
    let (_, first) = rig.admin("GET", "/accounts?sort=-label&limit=2", None).await;
    assert_eq!((&first["items"][0]["label"], &first["changed_since"]), (&json!("d"), &json!(0)));
    rig.add_account("e").await;
    let view = first["view"].as_str().unwrap();
    let (_, second) = rig.admin("GET", &format!("/accounts?view={view}&offset=2&limit=2"), None).await;
    let labels: Vec<&str> =
        second["items"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!((labels.as_slice(), &second["total"]), (["b", "a"].as_slice(), &json!(4)));
    assert_eq!(second["changed_since"], 1);
    rig.advance(121);
    let (status, gone) = rig.admin("GET", &format!("/accounts?view={view}"), None).await;
    assert_eq!((status, &gone["error"]["code"]), (410, &json!("view_expired")));
}

#[tokio::test]
async fn two_jobs_of_a_kind_do_not_work_on_the_same() {
    let rig = Rig::new(&[]).await;
    import(&rig, 20_000).await;
    let tag = |tag: &str| json!({ "kind": "accounts.tag", "scope": { "filter": {} }, "options": { "add": [tag] } });
    let first = start(&rig, tag("x")).await;
    let (status, refused) = rig.admin("POST", "/jobs", Some(tag("y"))).await;
    assert_eq!(
        (status, &refused["error"]["code"], &refused["error"]["existing"]),
        (409, &json!("job_running"), &first["id"])
    );
    let path = format!("/jobs/{}", first["id"].as_str().unwrap());
    let (status, _) = rig.admin("DELETE", &path, None).await;
    assert_eq!(status, 409, "it runs");
    let (status, paused) = rig.admin("POST", &format!("{path}/actions/pause"), None).await;
    assert_eq!(status, 200, "{paused}");
    assert_eq!(ended(&rig, &first).await["state"], "paused");
    let (status, _) = rig.admin("POST", &format!("{path}/actions/resume"), None).await;
    assert_eq!(status, 200);
    let first = ended(&rig, &first).await;
    assert_eq!((&first["state"], &first["progress"]["succeeded"]), (&json!("succeeded"), &json!(20_000)));
    let (status, _) = rig.admin("DELETE", &path, None).await;
    assert_eq!(status, 204);
    assert_eq!(rig.admin("GET", &path, None).await.0, 404);
}

#[tokio::test]
async fn what_makes_no_job_is_told_by_its_path() {
    let rig = Rig::new(&["one"]).await;
    for (body, path) in [
        (json!({ "kind": "accounts.fly", "scope": { "filter": {} } }), "/kind"),
        (json!({ "kind": "accounts.tag", "scope": { "filter": {} } }), "/options"),
        (json!({ "kind": "accounts.tag", "scope": { "filter": {} }, "options": { "add": ["x,y"] } }), "/options"),
        (json!({ "kind": "accounts.tag", "scope": { "filter": {} }, "options": { "plus": ["x"] } }), "/options"),
        (json!({ "kind": "accounts.set", "options": { "enabled": true } }), "/scope"),
        (json!({ "kind": "accounts.set", "options": { "enabled": true }, "scope": {} }), "/scope"),
        (
            json!({ "kind": "accounts.set", "options": { "enabled": true }, "scope": { "filter": { "state": "odd" } } }),
            "/scope/filter/state",
        ),
        (json!({ "kind": "accounts.set", "options": { "enabled": true }, "scope": { "ids": [], "x": 1 } }), "/scope/x"),
        (json!({ "kind": "accounts.import" }), "/preview_id"),
    ] {
        let (status, error) = rig.admin("POST", "/jobs", Some(body.clone())).await;
        assert_eq!((status, &error["error"]["fields"][0]["path"]), (422, &json!(path)), "{body} {error}");
    }
    let (status, _) = rig.admin("POST", "/jobs/job_1/actions/fly", None).await;
    assert_eq!(status, 404);
    for action in ["cancel", "pause", "resume", "retry_failed"] {
        assert_eq!(rig.admin("POST", &format!("/jobs/job_1/actions/{action}"), None).await.0, 404, "{action}");
    }
}
