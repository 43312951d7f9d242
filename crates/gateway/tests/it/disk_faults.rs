//! A disk that fails, for a moment or for long: what was acknowledged is stored, and what cannot be stored is never acknowledged.
//!
//! The failures are real ones: system calls that fail, file systems that fill. `GROK2API_FAULTS=all` runs the whole table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use grok2api_simulator::Simulator;
use serde_json::{Value, json};

use crate::harness::{KEY, user};
use crate::process::{Process, simulator};
use crate::strace::{Strace, needed, not_here};

/// Clients that talk at once while the disk fails.
const CLIENTS: usize = 6;

/// A guard against hanging, far above what any answer may take.
const HANGING: Duration = Duration::from_secs(60);

/// Within this an answer has ended, whatever the disk does.
const ANSWERED: Duration = Duration::from_secs(10);

/// What the gateway acknowledged.
#[derive(Default)]
struct Acknowledged {
    turns: Vec<String>,
    keys: Vec<String>,
}

/// How a chat ended.
#[derive(Debug, PartialEq)]
enum Ended {
    /// With `[DONE]`; the turn's id.
    Done(String),
    /// With an error event or status; its code.
    Refused(u16, String),
}

/// One streamed or whole chat of a new conversation.
async fn chat(process: &Process, stream: bool) -> Ended {
    let body = json!({ "model": "grok-4.2", "stream": stream, "messages": [user("a question")] });
    let request = process.http.post(format!("{}/v1/chat/completions", process.base)).bearer_auth(KEY).json(&body);
    let response = tokio::time::timeout(HANGING, request.send()).await.expect("an answer").unwrap();
    let status = response.status().as_u16();
    let text = tokio::time::timeout(HANGING, response.text()).await.expect("an end").unwrap();
    let values: Vec<Value> = if text.starts_with("data: ") || text.starts_with(':') {
        let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    } else {
        vec![serde_json::from_str(&text).unwrap()]
    };
    if let Some(error) = values.iter().find_map(|value| value["error"]["code"].as_str()) {
        assert!(!text.contains("[DONE]"), "an error and a proper end: {text}");
        return Ended::Refused(status, error.to_owned());
    }
    assert!(!stream || text.contains("data: [DONE]"), "{status} {text}");
    let id = values[0]["id"].as_str().unwrap().strip_prefix("chatcmpl-").unwrap();
    Ended::Done(id.to_owned())
}

/// Signs in and makes keys, one after the other, under one session.
async fn make_key(process: &Process, name: &str) -> Option<String> {
    let (status, body) = process.admin("POST", "/keys", &json!({ "name": name })).await;
    (status == 201).then(|| body["keys"][0]["id"].as_str().unwrap().to_owned())
}

/// Chats of several clients until `is_over`; what was acknowledged.
async fn talk_until(process: &Process, is_over: &AtomicBool, done: &AtomicUsize) -> Acknowledged {
    let clients = (0..CLIENTS).map(async |number| {
        let mut turns = Vec::new();
        let mut round = number;
        while !is_over.load(Ordering::SeqCst) {
            round += 1;
            let began = Instant::now();
            match chat(process, round % 2 == 0).await {
                Ended::Done(turn) => {
                    turns.push(turn);
                    done.fetch_add(1, Ordering::SeqCst);
                }
                Ended::Refused(_, code) => {
                    assert!(["turn_not_stored", "storage_unavailable"].contains(&code.as_str()), "{code}");
                    // A client that is told to come back later does so.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            assert!(began.elapsed() < 2 * ANSWERED, "an answer took {:?}", began.elapsed());
        }
        turns
    });
    let turns = futures_util::future::join_all(clients).await.concat();
    Acknowledged { turns, keys: Vec::new() }
}

/// What of it the database of a gateway that has ended does not hold.
async fn lost(directory: &Path, acknowledged: &Acknowledged) -> Vec<String> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join("grok2api.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let mut lost = Vec::new();
    for (query, ids) in [
        ("SELECT COUNT(*) FROM turns WHERE id = $1", &acknowledged.turns),
        ("SELECT COUNT(*) FROM api_keys WHERE id = $1", &acknowledged.keys),
    ] {
        for id in ids {
            let count: i64 = sqlx::query_scalar(query).bind(id).fetch_one(&pool).await.unwrap();
            if count == 0 {
                lost.push(id.clone());
            }
        }
    }
    pool.close().await;
    lost
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    /// In each thread from this call on.
    from: usize,
    /// So many calls fail.
    length: usize,
    /// How the gateway ends afterwards.
    stop: &'static str,
}

/// Fails the disk under load, lets it work again, and ends the gateway: what was acknowledged and what of it was lost.
async fn suffer(fault: Fault, simulator: &Simulator) -> Option<(usize, Vec<String>)> {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path(), simulator).await;
    process.add_account("anna").await;
    let strace = Strace::attach(process.id(), fault.call, fault.error, fault.from).await?;
    let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failing = async {
        // As many failures as the line says, or as the gateway makes in this time.
        let until = Instant::now() + Duration::from_secs(20);
        while strace.injected() < fault.length && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(strace.injected() > 0, "{fault:?}: no call failed");
        strace.detach();
        // It recovers by itself, without a restart.
        let until = Instant::now() + HANGING;
        while process.http.get(format!("{}/readyz", process.base)).send().await.unwrap().status() != 200 {
            assert!(Instant::now() < until, "{fault:?}: not ready again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = done.load(Ordering::SeqCst);
        while done.load(Ordering::SeqCst) < before + 20 {
            assert!(Instant::now() < until, "{fault:?}: no chat succeeds");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let key = make_key(&process, "made after the failures").await.expect("a key");
        is_over.store(true, Ordering::SeqCst);
        key
    };
    let (mut acknowledged, key) = tokio::join!(talk_until(&process, &is_over, &done), failing);
    acknowledged.keys.push(key);
    process.signal(fault.stop);
    process.ended().await;
    let lost = lost(directory.path(), &acknowledged).await;
    Some((acknowledged.turns.len() + acknowledged.keys.len(), lost))
}

/// The table: where the failures begin × how many × which × how it ends.
fn faults() -> Vec<Fault> {
    let kinds = [("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fsync,fdatasync", "EIO")];
    let (all, some) = ([1, 2, 3, 4, 5, 6, 10, 30], [1, 3, 6, 30]);
    let is_all = std::env::var("GROK2API_FAULTS").is_ok_and(|which| which == "all");
    let (lengths, starts): (&[usize], &[usize]) = if is_all { (&all, &[1, 2, 3, 7]) } else { (&some, &[1]) };
    let mut faults = Vec::new();
    for (call, error) in kinds {
        for from in starts {
            for (index, length) in lengths.iter().enumerate() {
                let stops: &[&str] = match (is_all, index % 2) {
                    (true, _) => &["TERM", "KILL"],
                    (false, 0) => &["TERM"],
                    (false, _) => &["KILL"],
                };
                faults.extend(stops.iter().map(|stop| Fault { call, error, from: *from, length: *length, stop }));
            }
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_stored_whatever_writes_fail() {
    let simulator = simulator().await;
    simulator.add_account("anna");
    let simulator = &simulator;
    let suffering = faults().into_iter().map(async |fault| (fault, suffer(fault, simulator).await));
    let results: Vec<_> = stream::iter(suffering).buffer_unordered(3).collect().await;
    println!("call            error   from length stop  acknowledged  lost");
    let mut lost = 0;
    for (Fault { call, error, from, length, stop }, result) in &results {
        let Some((acknowledged, missing)) = result else { return };
        println!("{call:15} {error:7} {from:4} {length:6} {stop:5} {acknowledged:12} {:5}", missing.len());
        lost += missing.len();
    }
    assert_eq!(lost, 0, "acknowledged and not stored");
}

/// A file system of its own, gone with this value.
struct FileSystem {
    path: PathBuf,
    _home: tempfile::TempDir,
}

impl FileSystem {
    /// Mounts one of so many megabytes; `None` where this machine does not permit it.
    fn mount(kind: &str, megabytes: u32) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("mounted");
        std::fs::create_dir(&path).unwrap();
        let script = match kind {
            "tmpfs" => format!("mount -t tmpfs -o size={megabytes}m tmpfs {}", path.display()),
            _ => {
                let image = home.path().join("image");
                let image = image.display();
                format!(
                    "truncate -s {megabytes}M {image} && mkfs.{kind} -q {image} && mount -o loop {image} {}",
                    path.display()
                )
            }
        };
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            match why.contains("not found") {
                true => needed(&format!("mkfs.{kind}"), &why),
                false => not_here("no file system can be mounted", why.trim()),
            }
            return None;
        }
        Some(Self { path, _home: home })
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.path.join("ballast")).unwrap();
        let block = vec![7; 4096];
        while std::io::Write::write_all(&mut ballast, &block).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.path.join("ballast")).unwrap();
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Fills the disk under load, asks until nothing can be stored, makes room, and ends the gateway.
async fn fill_up(kind: &str, megabytes: u32, stop: &str) {
    let Some(file_system) = FileSystem::mount(kind, megabytes) else { return };
    let directory = file_system.path.join("data");
    std::fs::create_dir(&directory).unwrap();
    let simulator = simulator().await;
    simulator.add_account("anna");
    let mut process = Process::start(&directory, &simulator).await;
    process.add_account("anna").await;
    let mut acknowledged = Acknowledged::default();
    for _ in 0..20 {
        let Ended::Done(turn) = chat(&process, true).await else { panic!("the disk has room") };
        acknowledged.turns.push(turn);
    }
    file_system.fill();
    // The write-ahead log has room until it has to grow.
    let mut refused = None;
    for round in 0..4_000 {
        let began = Instant::now();
        match chat(&process, round % 2 == 0).await {
            Ended::Done(turn) => acknowledged.turns.push(turn),
            Ended::Refused(_, code) => {
                refused = Some(code);
                break;
            }
        }
        assert!(began.elapsed() < 2 * ANSWERED);
    }
    assert_eq!(refused.as_deref(), Some("turn_not_stored"), "the disk is full");
    // From now on nothing is asked that could not be kept.
    let asked = simulator.report().count("new");
    assert_eq!(chat(&process, true).await, Ended::Refused(503, "storage_unavailable".to_owned()));
    assert_eq!(simulator.report().count("new"), asked, "the upstream was asked for an answer that cannot be kept");
    let ready: Value = ready(&process).await.1;
    assert_eq!(ready["components"]["database"]["code"], "disk_full", "{ready}");
    assert_eq!(make_key(&process, "in vain").await, None, "a key was made that is not stored");

    file_system.make_room();
    let until = Instant::now() + HANGING;
    while ready_status(&process).await != 200 {
        assert!(Instant::now() < until, "not ready again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..20 {
        let Ended::Done(turn) = chat(&process, false).await else { panic!("the disk has room again") };
        acknowledged.turns.push(turn);
    }
    acknowledged.keys.push(make_key(&process, "with room").await.expect("a key"));
    process.signal(stop);
    process.ended().await;
    assert_eq!(lost(&directory, &acknowledged).await, Vec::<String>::new());
}

async fn ready(process: &Process) -> (u16, Value) {
    let response = process.http.get(format!("{}/readyz", process.base)).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn ready_status(process: &Process) -> u16 {
    ready(process).await.0
}

#[tokio::test]
async fn a_full_disk_is_told_and_costs_nothing_that_was_acknowledged() {
    fill_up("tmpfs", 16, "TERM").await;
}

#[tokio::test]
async fn a_full_disk_before_a_kill_costs_nothing_that_was_acknowledged() {
    fill_up("tmpfs", 16, "KILL").await;
}

#[tokio::test]
async fn a_full_file_system_on_a_block_device_costs_nothing_that_was_acknowledged() {
    fill_up("ext4", 32, "KILL").await;
}
