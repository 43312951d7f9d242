//! What happens when the database does not take what is written, is not there any more, or is not what it was.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::durability::numbers;
use crate::harness::{KEY, Rig, user};
use crate::process::{Process, command, simulator};

/// A connection of another process, as far as the gateway can tell.
async fn other(rig: &Rig) -> SqliteConnection {
    let path = rig.directory.path().join("grok2api.db");
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

/// Status and what is said of the database.
async fn ready(rig: &Rig) -> (u16, Value) {
    let response = rig.http().get(rig.url("/readyz")).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["components"]["database"].clone())
}

/// The line of `/attention` with a code.
async fn attention(rig: &Rig, code: &str) -> Option<Value> {
    let (_, list) = rig.admin("GET", "/attention", None).await;
    list["items"].as_array().unwrap().iter().find(|item| item["code"] == code).cloned()
}

#[tokio::test]
async fn a_locked_database_is_told_and_no_turn_is_begun_until_it_is_free() {
    let rig = Rig::new(&["anna"]).await;
    let mut other = other(&rig).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let first = rig.talk(false);
    let meanwhile = async {
        rig.until("the lock is told", async |rig| ready(rig).await.0 == 503).await;
        assert_eq!(ready(&rig).await.1["code"], "locked");
        let calls = rig.simulator.report().count("new");
        let refused = rig.talk(true).ask("in vain").await;
        assert_eq!((refused.status, refused.error()["code"].as_str()), (503, Some("storage_unavailable")));
        assert_eq!(
            rig.simulator.report().count("new"),
            calls,
            "the upstream was asked for an answer that cannot be kept"
        );
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    };
    let (answer, ()) = tokio::join!(first.ask("patience"), meanwhile);
    answer.ok();
    rig.until("it is ready again", async |rig| ready(rig).await.0 == 200).await;
    rig.talk(false).ask("again").await.ok();
}

#[tokio::test]
async fn many_answers_wait_once_for_a_lock_and_end_within_ten_seconds() {
    let rig = Rig::new(&["anna", "bert"]).await;
    let mut other = other(&rig).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let asking = (0..40).map(async |number| {
        let began = Instant::now();
        let body = json!({ "model": "grok-4.2", "stream": number % 2 == 0, "messages": [user("a question")] });
        let reply = rig.chat(body).await;
        (began.elapsed(), reply)
    });
    for (took, reply) in futures_util::future::join_all(asking).await {
        assert!(took < Duration::from_secs(10), "{took:?}");
        // Without a proper end, for the turn is not stored.
        assert_eq!((reply.done, reply.error()["code"].as_str()), (false, Some("turn_not_stored")));
    }
    // An admin's change waits no longer either, and says why.
    let began = Instant::now();
    let (status, body) = rig.admin("POST", "/keys", Some(json!({ "name": "in vain" }))).await;
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("storage_unavailable")), "{body}");
    assert!(began.elapsed() < Duration::from_secs(12));
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    rig.until("it is ready again", async |rig| ready(rig).await.0 == 200).await;
    rig.talk(true).ask("again").await.ok();
    // The records of the requests waited for the lock's end.
    assert_eq!(rig.requests(41).await.len(), 41);
}

#[tokio::test]
async fn a_deleted_database_is_noticed_saved_and_not_replaced_by_an_empty_one() {
    for (name, delete) in
        [("all files", "rm grok2api.db*"), ("only the database", "rm grok2api.db"), ("moved", "mv grok2api.db kept")]
    {
        let rig = Rig::new(&["anna"]).await;
        for number in 0..5 {
            rig.talk(number % 2 == 0).ask("a question").await.ok();
        }
        let directory = rig.directory.path().to_owned();
        let script = std::process::Command::new("sh").args(["-c", delete]).current_dir(&directory).status();
        assert!(script.unwrap().success());

        assert_eq!(ready(&rig).await.0, 503, "{name}");
        assert_eq!(ready(&rig).await.1["code"], "replaced", "{name}");
        let asked = rig.simulator.report().count("new");
        let first = rig.talk(true).ask("is this kept?").await;
        assert!(!first.done && first.error()["code"].is_string(), "{name}");
        let second = rig.talk(false).ask("and this?").await;
        assert_eq!((second.status, second.error()["code"].as_str()), (503, Some("storage_unavailable")), "{name}");
        assert!(rig.simulator.report().count("new") <= asked + 1, "{name}");
        assert_eq!(rig.admin("POST", "/keys", Some(json!({ "name": "in vain" }))).await.0, 503, "{name}");

        // What the files held is saved under another name, whole.
        let saved = || {
            let entries = std::fs::read_dir(&directory).unwrap();
            entries.flatten().find(|entry| entry.file_name().to_string_lossy().contains("rescued"))
        };
        rig.until("it is saved", async |rig| {
            saved().is_some() && ready(rig).await.1["message"].as_str().unwrap().contains("rescued")
        })
        .await;
        let mut rig = rig;
        rig.take_gateway().stop().await;
        if delete.contains("rm") {
            // Beside the mark that there were accounts, no database is no first start.
            let simulator = simulator().await;
            let refused = tokio::task::spawn_blocking({
                let mut command = command(&directory, &simulator);
                move || command.output().unwrap()
            });
            let refused = refused.await.unwrap();
            let words = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(1), "{name}: {words}");
            assert!(words.contains("there was data here") && words.contains("secret.check"), "{name}: {words}");
            assert!(!directory.join("grok2api.db").exists(), "{name}: an empty database was put in its place");
        }
        for side in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(directory.join(format!("grok2api.db{side}")));
        }
        std::fs::rename(saved().unwrap().path(), directory.join("grok2api.db")).unwrap();
        rig.start_again().await;
        assert_eq!(rig.count("SELECT COUNT(*) FROM turns").await, 5, "{name}");
        rig.talk(true).ask("back again").await.ok();
    }
}

#[tokio::test]
async fn a_database_that_another_was_put_in_place_of_is_noticed() {
    let rig = Rig::new(&["anna"]).await;
    rig.talk(false).ask("a question").await.ok();
    let path = rig.directory.path().join("grok2api.db");
    let copy = rig.directory.path().join("copy");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    assert_eq!(ready(&rig).await.1["code"], "replaced");
    let reply = rig.talk(false).ask("is this kept?").await;
    assert_ne!(reply.status, 200);
}

#[tokio::test]
async fn deleted_side_files_are_noticed_and_cost_nothing() {
    // The write-ahead log, and its index: without that, another program that opens the database does harm.
    for suffix in ["-wal", "-shm"] {
        let mut rig = Rig::new(&["anna"]).await;
        for _ in 0..5 {
            rig.talk(false).ask("a question").await.ok();
        }
        std::fs::remove_file(rig.directory.path().join(format!("grok2api.db{suffix}"))).unwrap();
        let reply = rig.talk(true).ask("is this kept?").await;
        assert!(!reply.done && reply.error()["code"].is_string(), "{suffix}");
        assert_eq!(ready(&rig).await.1["code"], "replaced", "{suffix}");
        // An orderly stop moves what a deleted log holds into the database.
        rig.restart().await;
        assert_eq!(rig.count("SELECT COUNT(*) FROM turns").await, 5, "{suffix}");
        rig.talk(false).ask("again").await.ok();
    }
}

#[tokio::test]
async fn a_truncated_database_is_called_so_at_the_start() {
    let mut rig = Rig::new(&["anna"]).await;
    for _ in 0..20 {
        rig.talk(false).ask("a question").await.ok();
    }
    rig.take_gateway().stop().await;
    let path = rig.directory.path().join("grok2api.db");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(60_000).unwrap();
    let simulator = simulator().await;
    let mut command = command(rig.directory.path(), &simulator);
    let refused = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(words.contains("grok2api.db is damaged") && words.contains("backup"), "{words}");
}

#[tokio::test]
async fn an_empty_database_beside_sealed_tokens_is_refused() {
    let simulator = simulator().await;
    for make in ["truncate", "write-ahead log lost"] {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Process::start(directory.path(), &simulator).await;
        process.add_account("anna").await;
        let path = directory.path().join("grok2api.db");
        process.signal("KILL");
        process.ended().await;
        if make == "truncate" {
            std::fs::write(&path, "").unwrap();
        } else {
            // Nothing of a young database is in its file yet.
            std::fs::remove_file(directory.path().join("grok2api.db-wal")).unwrap();
        }
        let mut command = command(directory.path(), &simulator);
        let refused = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{make}: {words}");
        assert!(words.contains("there was data here"), "{make}: {words}");
    }
}

#[tokio::test]
async fn a_second_gateway_is_refused_by_the_database_itself() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path(), &simulator).await;
    std::fs::remove_file(directory.path().join("lock")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let linked = elsewhere.path().join("linked.db");
    std::fs::hard_link(directory.path().join("grok2api.db"), &linked).unwrap();
    let url = |path: &std::path::Path| format!("sqlite:{}", path.display());
    for (name, data_dir, database) in [
        ("its lock file was deleted", directory.path(), None),
        ("another data directory", elsewhere.path(), Some(url(&directory.path().join("grok2api.db")))),
        ("a link", elsewhere.path(), Some(url(&linked))),
    ] {
        let mut command = command(data_dir, &simulator);
        if let Some(database) = database {
            command.args(["--database-url", &database]);
        }
        let refused = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{name}: {words}");
        assert!(words.contains("in use by another running gateway"), "{name}: {words}");
    }
    drop(process);
}

#[tokio::test]
async fn accounts_whose_tokens_do_not_open_are_invalid_and_never_tried() {
    let mut rig = Rig::new(&["anna", "bert"]).await;
    let path = rig.directory.path().to_owned();
    rig.talk(false).ask("a question").await.ok();
    rig.take_gateway().stop().await;
    let key = std::fs::read(path.join("secret.key")).unwrap();
    for name in ["secret.key", "secret.check"] {
        std::fs::remove_file(path.join(name)).unwrap();
    }
    rig.start_again().await;
    for label in ["anna", "bert"] {
        let state = rig.account(label).await["state"].clone();
        assert_eq!(
            (state["name"].as_str(), state["reason"]["code"].as_str()),
            (Some("invalid"), Some("token_unreadable"))
        );
    }
    let line = attention(&rig, "accounts_unreadable").await.expect("a line");
    assert_eq!((line["count"].as_u64(), line["severity"].as_str()), (Some(2), Some("error")));
    assert!(line["message"].as_str().unwrap().contains("secret.key"), "{line}");
    assert!(attention(&rig, "accounts_invalid").await.is_none(), "the upstream said nothing about them");
    // No word of a person makes a token open.
    rig.clear_cooldown("anna").await;
    let id = rig.account("anna").await["id"].as_str().unwrap().to_owned();
    for enabled in [false, true] {
        rig.admin("PATCH", &format!("/accounts/{id}"), Some(json!({ "enabled": enabled }))).await;
    }
    assert_eq!(rig.account("anna").await["state"]["name"], "invalid");
    let calls = rig.simulator.calls().len();
    assert_eq!(rig.talk(false).ask("anybody?").await.status, 503);
    assert_eq!(rig.simulator.calls().len(), calls, "a token that does not open was sent");
    // A new token does.
    let (status, body) =
        rig.admin("POST", &format!("/accounts/{id}/actions/replace_token"), Some(json!({ "token": "anna" }))).await;
    assert_eq!(status, 200, "{body}");
    rig.talk(false).ask("anna again").await.ok();
    // With the old key back the other is as it was.
    rig.take_gateway().stop().await;
    std::fs::write(path.join("secret.key"), key).unwrap();
    std::fs::remove_file(path.join("secret.check")).unwrap();
    rig.start_again().await;
    assert_ne!(rig.account("bert").await["state"]["name"], "invalid");
    assert_eq!(rig.account("anna").await["state"]["reason"]["code"], "token_unreadable");
}

#[tokio::test]
async fn damaged_pages_are_noticed_and_told() {
    let mut rig = Rig::new(&["anna"]).await;
    for _ in 0..30 {
        rig.talk(false).ask("a question that fills some pages").await.ok();
    }
    let root = rig.count("SELECT rootpage FROM sqlite_master WHERE name = 'requests_by_time'").await;
    rig.take_gateway().stop().await;
    let path = rig.directory.path().join("grok2api.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let page = (usize::try_from(root).unwrap() - 1) * 4096;
    // An index that names rows which are not there.
    bytes[page + 200..page + 4096].fill(0);
    std::fs::write(&path, bytes).unwrap();
    rig.start_again().await;
    rig.until("the damage is told", async |rig| attention(rig, "database_damaged").await.is_some()).await;
    let line = attention(&rig, "database_damaged").await.unwrap();
    assert!(line["message"].as_str().unwrap().contains("requests"), "{line}");
    assert_eq!(ready(&rig).await.1["status"], "degraded");
}

#[tokio::test]
async fn the_requests_of_a_key_without_limits_survive_a_kill() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path(), &simulator).await;
    simulator.add_account("anna");
    process.add_account("anna").await;
    for number in 0..30 {
        let body = json!({ "model": "grok-4.2", "stream": number % 2 == 0, "messages": [user("a question")] });
        let request = process.http.post(format!("{}/v1/chat/completions", process.base)).bearer_auth(KEY).json(&body);
        assert_eq!(request.send().await.unwrap().text().await.unwrap().matches("error").count(), 0);
    }
    process.signal("KILL");
    process.ended().await;
    assert_eq!(numbers(directory.path(), "SELECT usage_total FROM api_keys").await, [30]);
}

/// What `grok2api check` says, and how it ends.
async fn check(directory: &std::path::Path) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_grok2api"));
    command.args(["check", "--data-dir"]).arg(directory);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), words)
}

#[tokio::test]
async fn a_check_tells_the_state_of_a_data_directory_and_changes_nothing() {
    let mut rig = Rig::new(&["anna"]).await;
    rig.talk(false).ask("a question").await.ok();
    let path = rig.directory.path().to_owned();
    let (code, words) = check(&path).await;
    assert_eq!(code, Some(0), "{words}");
    for expected in ["running", "as this version needs it", "sound", "opens all tokens", "1 accounts", "1 turns"] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    assert_eq!(ready(&rig).await.0, 200, "it was looked at while it ran");
    rig.take_gateway().stop().await;
    let (code, words) = check(&path).await;
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("not running"), "{words}");

    let key = std::fs::read(path.join("secret.key")).unwrap();
    std::fs::write(path.join("secret.key"), "A".repeat(43)).unwrap();
    let (code, words) = check(&path).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("is not the key that sealed"), "{words}");
    std::fs::write(path.join("secret.key"), key).unwrap();

    let database = path.join("grok2api.db");
    let sound = std::fs::read(&database).unwrap();
    let mut damaged = sound.clone();
    damaged[4096 * 3..4096 * 6].fill(7);
    std::fs::write(&database, damaged).unwrap();
    let (code, words) = check(&path).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("damaged") || words.contains("cannot be read"), "{words}");

    std::fs::remove_file(&database).unwrap();
    let (code, words) = check(&path).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("there was data here"), "{words}");
    assert!(!database.exists(), "a check makes nothing");

    let empty = tempfile::tempdir().unwrap();
    std::fs::set_permissions(empty.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let (code, words) = check(empty.path()).await;
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("not made yet"), "{words}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
