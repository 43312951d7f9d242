//! `grok2api import`: the data directory of a Python Grok2API, made by hand as it writes it, is taken over and its chats go on.

use std::path::Path;

use grok2api::{Clock, Import, ImportReport, SeedSecrets, StartError, run_import};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use tempfile::TempDir;

use crate::harness::{KEY, Rig, START_MS, Talk, user};
use crate::transports::{self, over_both_transports};

over_both_transports! {
    chats_of_the_old_directory_go_on_where_they_were,
}

const ACCOUNTS: [&str; 4] = ["anna", "bert", "cleo", "dora"];
const NEWER: &str = "sk-old-second-key-0002";

/// The fingerprint that the old gateway keeps: system text and questions, nothing of the answers.
fn fingerprint(messages: &[Value]) -> String {
    let words: Vec<String> = ["system", "user"]
        .iter()
        .flat_map(|role| messages.iter().filter(move |message| message["role"] == *role))
        .map(|message| format!("{}:{}", message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    let digest = Sha256::digest(words.join("\n").as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the upstream has the head of the conversation with this id: the account's token, conversation, response.
async fn place(rig: &Rig, id: &str) -> [String; 3] {
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(rig.directory.path().join("grok2api.db")).read_only(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let row = sqlx::query(
        "SELECT a.label, t.upstream_conversation_id, t.upstream_response_id FROM conversations c \
         JOIN turns t ON t.id = c.head_turn_id JOIN accounts a ON a.id = t.account_id WHERE c.id = $1",
    );
    let row = row.bind(id).fetch_one(&pool).await.unwrap();
    [row.get(0), row.get(1), row.get(2)]
}

fn conversation([token, conversation, response]: &[String; 3], history_hash: &str) -> Value {
    json!({
        "conversation_id": conversation, "last_response_id": response, "created_at": 1_788_220_000.25,
        "updated_at": 1_788_220_500.5, "message_count": 2, "token": token, "history_hash": history_hash, "share_link_id": "stale",
    })
}

fn account(token: &str, name: &str) -> Value {
    json!({
        "token": token, "name": name, "enabled": true, "created_at": 1_788_000_000.5, "last_used": 1_788_220_500.5,
        "request_count": 7, "failure_count": 0, "cooldown_until": 0, "cooldown_reason": "", "consecutive_failures": 0,
        "remaining_queries": -1, "last_check": 0, "last_failure_reason": "", "account_type": "free",
    })
}

fn key(secret: &str, name: &str) -> Value {
    json!({ "key": secret, "name": name, "enabled": true, "created_at": 1_788_000_000.5, "last_used": 0, "request_count": 12 })
}

fn write(directory: &Path, name: &str, content: &Value) {
    std::fs::write(directory.join(name), content.to_string()).unwrap();
}

/// The two lists that every old directory has.
fn old_directory() -> TempDir {
    let old = tempfile::tempdir().unwrap();
    let tokens: serde_json::Map<String, Value> =
        ACCOUNTS.iter().map(|token| ((*token).to_owned(), account(token, &format!("old {token}")))).collect();
    write(old.path(), "tokens.json", &Value::Object(tokens));
    let keys = json!({ "keys": { KEY: key(KEY, "first"), NEWER: key(NEWER, "second") } });
    write(old.path(), "api_keys.json", &keys);
    old
}

async fn import(old: &TempDir, new: &TempDir) -> Result<ImportReport, StartError> {
    let import = Import {
        from: old.path().to_owned(),
        data_dir: new.path().to_owned(),
        database_url: None,
        secrets: SeedSecrets::default(),
    };
    run_import(import, Clock::manual(START_MS)).await
}

/// A client with this key that has these messages.
fn talk<'a>(rig: &'a Rig, key: &str, messages: &[Value]) -> Talk<'a> {
    let mut talk = rig.talk(true);
    talk.key = key.to_owned();
    talk.messages = messages.to_vec();
    talk
}

fn taken(report: &ImportReport) -> [usize; 3] {
    [report.accounts.taken, report.keys.taken, report.conversations.taken]
}

async fn chats_of_the_old_directory_go_on_where_they_were() {
    let mut rig = Rig::new(&ACCOUNTS).await;
    let mut chats = Vec::new();
    for question in ["my favourite colour is green", "my favourite animal is the otter", "my favourite city is Lyon"] {
        let mut talk = rig.talk(false).system("be brief");
        talk.say(question).await;
        let id = talk.say("and what about music?").await.conversation_id();
        chats.push((talk.messages.clone(), place(&rig, &id).await));
    }
    let old = old_directory();
    let conversations = json!({ "conversations": {
        "conv-0123456789abcdef01234567": conversation(&chats[0].1, &fingerprint(&chats[0].0)),
        "conv-1123456789abcdef01234567": conversation(&chats[1].1, &fingerprint(&chats[1].0)),
        "conv-2123456789abcdef01234567": conversation(&chats[2].1, ""),
    }, "token_conversations": {} });
    write(old.path(), "conversations.json", &conversations);
    rig.take_gateway().stop().await;
    rig.directory = tempfile::tempdir().unwrap();
    write(rig.directory.path(), "config.json", &json!({ "upstream_transport": transports::over().unwrap() }));

    let report = import(&old, &rig.directory).await.unwrap();
    assert_eq!(taken(&report), [4, 2, 3], "{report}");
    let again = import(&old, &rig.directory).await.unwrap();
    assert_eq!(taken(&again), [0, 0, 0], "{again}");
    assert_eq!(again.conversations.skipped.len(), 3, "{again}");
    rig.start_again().await;
    assert!(import(&old, &rig.directory).await.is_err(), "a gateway runs on it");

    // A probe knows it and does not take it.
    let first = rig.admin("GET", "/keys?q=first", None).await.1["items"][0]["id"].clone();
    for members in [json!({}), json!({ "conversation_id": "conv-0123456789abcdef01234567" })] {
        let mut probe = json!({ "key_id": first, "messages": talk(&rig, KEY, &chats[0].0).asking("and now?") });
        probe.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let (_, found) = rig.admin("POST", "/conversations/match", Some(probe)).await;
        assert_eq!(found["conversation_id"], "conv-0123456789abcdef01234567", "{found}");
        assert!(found["turn_id"].is_string(), "{found}");
    }
    assert_eq!(rig.count("SELECT COUNT(*) FROM imported_conversations").await, 3);
    assert_eq!(rig.count("SELECT COUNT(*) FROM conversations WHERE key_id = ''").await, 3);

    // By the resent history; again by it, which is now known as any other.
    let mut known = talk(&rig, KEY, &chats[0].0);
    // A key made here is no heir.
    let stranger = talk(&rig, &rig.add_key("stranger").await, &chats[0].0);
    assert_eq!(stranger.ask("recite").await.ok().turn(), "replayed");
    for question in ["recite once", "recite twice"] {
        let reply = known.say(question).await;
        assert_eq!((reply.turn(), reply.conversation_id().as_str()), ("native", "conv-0123456789abcdef01234567"));
        assert_eq!(rig.last_question().message.as_deref(), Some(question));
    }
    // Whoever came first has it; the other old key does not.
    let other = talk(&rig, NEWER, &known.messages);
    assert_eq!(other.ask("and now?").await.ok().turn(), "replayed");
    let named = json!({ "conversation_id": "conv-0123456789abcdef01234567", "messages": [user("hello")] });
    assert_eq!(other.send(named).await.status, 404);

    // By its id and only a new message, with the other key and after a restart.
    for question in ["recite", "recite that"] {
        let named = json!({ "conversation_id": "conv-2123456789abcdef01234567", "messages": [user(question)] });
        let reply = other.send(named).await.ok();
        assert_eq!(reply.turn(), "native");
        assert!(reply.text().contains("my favourite city is Lyon"), "{}", reply.text());
    }
    // By its id together with the history.
    let both = talk(&rig, KEY, &chats[1].0);
    let members = json!({ "conversation_id": "conv-1123456789abcdef01234567", "messages": both.asking("recite") });
    assert_eq!(both.send(members).await.ok().turn(), "native");
    assert_eq!(rig.last_question().message.as_deref(), Some("recite"));
    rig.restart().await;
    let after = talk(&rig, KEY, &chats[1].0);
    assert_eq!(after.ask("recite it otherwise").await.ok().turn(), "branched");
    assert_eq!(rig.simulator.report().count("new"), 5, "three made here, two replayed");
    rig.no_violations();
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_told_without_a_secret() {
    let (old, new) = (old_directory(), tempfile::tempdir().unwrap());
    let place = ["gone".to_owned(), "u1".to_owned(), "r1".to_owned()];
    let mut stale = conversation(&["anna".to_owned(), "u2".to_owned(), "r2".to_owned()], "");
    stale["updated_at"] = json!(1_700_000_000.0);
    let conversations = json!({ "conversations": { "conv-a": conversation(&place, ""), "conv-b": stale, "conv-c": { "token": "anna" } } });
    write(old.path(), "conversations.json", &conversations);
    write(
        old.path(),
        "api_keys.json",
        &json!({ "keys": { "sk-test": key("sk-test", "example"), KEY: key(KEY, "first") } }),
    );
    write(
        old.path(),
        "config.json",
        &json!({ "admin_password": "hunter2-hunter2", "request_timeout": 90, "stream_timeout": -4, "log_level": "INFO" }),
    );

    let report = import(&old, &new).await.unwrap();

    assert_eq!(taken(&report), [4, 1, 0], "{report}");
    assert_eq!((report.settings.taken, report.settings.skipped.len()), (1, 1), "{report}");
    let text = report.to_string();
    for told in
        ["conv-a: its account", "conv-b: it has not been used", "conv-c names no", "well-known", "stream_timeout"]
    {
        assert!(text.contains(told), "{told} in {text}");
    }
    for secret in [KEY, "hunter2", "sk-test"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let config = std::fs::read_to_string(new.path().join("config.json")).unwrap();
    assert!(config.contains("\"request_timeout\": 90"), "{config}");
}

#[tokio::test]
async fn a_directory_of_something_else_is_refused_before_anything_is_made() {
    let (old, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let import = Import {
        from: old.path().to_owned(),
        data_dir: parent.path().join("data"),
        database_url: None,
        secrets: SeedSecrets::default(),
    };
    let error = run_import(import.clone(), Clock::manual(START_MS)).await.unwrap_err().to_string();
    assert!(error.contains("tokens.json"), "{error}");
    std::fs::write(old.path().join("tokens.json"), "{\"secret-token\": ").unwrap();
    let error = run_import(import.clone(), Clock::manual(START_MS)).await.unwrap_err().to_string();
    assert!(error.contains("line 1") && !error.contains("secret-token"), "{error}");
    assert!(!import.data_dir.exists());
}
