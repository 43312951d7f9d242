//! The real binary, killed and stopped: what a client saw to its end can be continued.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grok2api_simulator::Reply as Scripted;
use serde_json::{Value, json};

use crate::harness::{KEY, PASSWORD, assistant, recitation, user};
use crate::process::{Process, behind, command, program, simulator};
use crate::transports::over_both_transports;

over_both_transports! {
    what_clients_saw_survives_a_kill_under_load,
    a_stop_lets_running_streams_finish,
    two_gateways_do_not_share_a_directory,
}

/// Clients that talk at once.
const CLIENTS: usize = 32;

impl Process {
    /// Asks; the answer, if its end was seen. Only a broken connection is no end: everything else must be an answer.
    async fn ask(&self, messages: &[Value], stream: bool) -> Option<Seen> {
        let body = json!({ "model": "grok-4.2", "stream": stream, "messages": messages });
        let request = self.http.post(format!("{}/v1/chat/completions", self.base)).bearer_auth(KEY).json(&body);
        let mut response = request.send().await.ok()?;
        let turn = response.headers().get("x-grok2api-turn").map(|turn| turn.to_str().unwrap().to_owned());
        let status = response.status();
        let mut bytes = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            bytes.extend_from_slice(&piece);
        }
        let text = String::from_utf8(bytes).ok()?;
        let answer = if stream && status == 200 { streamed(&text)? } else { whole(&text)? };
        assert_eq!(status, 200, "{text}");
        Some(Seen { turn: turn.expect("a receipt"), answer })
    }
}

/// An answer whose end the client saw.
struct Seen {
    turn: String,
    answer: String,
}

/// The words of a stream, if it came as far as `[DONE]`.
fn streamed(text: &str) -> Option<String> {
    let (events, _) = text.split_once("data: [DONE]")?;
    let chunks = events.lines().filter_map(|line| line.strip_prefix("data: "));
    Some(
        chunks
            .map(|chunk| serde_json::from_str::<Value>(chunk).unwrap())
            .inspect(|chunk| assert!(chunk["error"].is_null(), "{chunk}"))
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect(),
    )
}

/// The words of a whole answer, if all of it arrived. A refusal comes back as it is.
fn whole(text: &str) -> Option<String> {
    let body: Value = serde_json::from_str(text).ok()?;
    let answer = body["choices"][0]["message"]["content"].as_str().map(str::to_owned);
    Some(answer.unwrap_or_else(|| text.to_owned()))
}

/// One client's chat: only what it saw to its end.
struct Client {
    number: usize,
    messages: Vec<Value>,
}

impl Client {
    /// Talks until the connection breaks.
    async fn talk(&mut self, process: &Process, seen: &AtomicUsize) {
        for turn in self.messages.len() / 2.. {
            let question = user(&format!("client {} asks its question number {turn}", self.number));
            let mut messages = self.messages.clone();
            messages.push(question.clone());
            let Some(reply) = process.ask(&messages, (self.number + turn).is_multiple_of(2)).await else { return };
            assert_ne!(reply.turn, "replayed", "client {} turn {turn}", self.number);
            self.messages.extend([question, assistant(&reply.answer)]);
            seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every turn that was seen is continued where it stands.
    async fn check(&self, process: &Process) {
        for count in (2..=self.messages.len()).step_by(2) {
            let mut messages = self.messages[..count].to_vec();
            messages.push(user("recite"));
            let reply = process.ask(&messages, (count / 2).is_multiple_of(2)).await.expect("an answer");
            // A turn whose end got lost on its way to the client is in the tree all the same: a branch beside it.
            assert!(["native", "branched"].contains(&reply.turn.as_str()), "client {}: {}", self.number, reply.turn);
            assert_eq!(reply.answer.lines().collect::<Vec<_>>(), recitation(&messages), "client {}", self.number);
        }
    }
}

#[tokio::test]
async fn the_requests_of_a_keys_day_survive_a_kill() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path(), &simulator).await;
    simulator.add_account("anna");
    process.add_account("anna").await;
    let (_, keys) = process.admin("GET", "/keys", &Value::Null).await;
    let path = format!("/keys/{}", keys["items"][0]["id"].as_str().unwrap());
    // Counted exactly only where it is limited: nobody pays for what nobody asked for.
    assert_eq!(process.admin("PATCH", &path, &json!({ "requests_per_day": 31 })).await.0, 200);
    for number in 0..30 {
        let question = user(&format!("question number {number}"));
        process.ask(&[question], number % 2 == 0).await.expect("an answer");
    }
    process.signal("KILL");
    process.ended().await;

    let process = Process::start(directory.path(), &simulator).await;
    let (_, key) = process.admin("GET", &path, &Value::Null).await;
    // Stored together with the day's; that one may have ended in between.
    assert_eq!(key["requests_total"], 30, "{key}");
}

async fn what_clients_saw_survives_a_kill_under_load() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path(), &simulator).await;
    for token in ["anna", "bert", "carl", "dora"] {
        simulator.add_account(token);
        process.add_account(token).await;
    }
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| Client { number, messages: Vec::new() }).collect();
    for round in 1..=3 {
        let seen = AtomicUsize::new(0);
        let talking = clients.iter_mut().map(|client| client.talk(&process, &seen));
        // In the middle of it, with every client in one of its turns. Nothing is flushed, nobody says goodbye.
        let killing = async {
            while seen.load(Ordering::Relaxed) < 5 * CLIENTS {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            process.signal("KILL");
        };
        tokio::join!(futures_util::future::join_all(talking), killing);
        assert_eq!(process.ended().await.code(), None);

        process = Process::start(directory.path(), &simulator).await;
        let opened = simulator.report().count("new");
        futures_util::future::join_all(clients.iter().map(|client| client.check(&process))).await;
        let report = simulator.report();
        assert_eq!(report.count("new"), opened, "round {round}: a conversation was begun again");
        assert!(report.violations.is_empty(), "{:?}", report.violations);
    }
    assert!(clients.iter().all(|client| !client.messages.is_empty()));
}

/// Whole numbers from the database of a gateway that has ended.
pub(crate) async fn numbers(directory: &Path, query: &'static str) -> Vec<i64> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join("grok2api.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let row = sqlx::query(query).fetch_one(&pool).await.unwrap();
    let numbers = (0..sqlx::Row::len(&row)).map(|at| sqlx::Row::get(&row, at)).collect();
    pool.close().await;
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_saw_is_in_the_log_and_the_statistics_after_a_kill() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path(), &simulator).await;
    for token in ["anna", "bert"] {
        simulator.add_account(token);
        process.add_account(token).await;
    }
    let mut seen_before = 0;
    for _ in 1..=3 {
        let seen = AtomicUsize::new(0);
        let talking = (0..CLIENTS).map(|number| {
            let (process, seen) = (&process, &seen);
            async move {
                while process.ask(&[user("hello there")], number % 2 == 0).await.is_some() {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let killing = async {
            while seen.load(Ordering::Relaxed) < 5 * CLIENTS {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            process.signal("KILL");
        };
        tokio::join!(futures_util::future::join_all(talking), killing);
        assert_eq!(process.ended().await.code(), None);
        seen_before += i64::try_from(seen.load(Ordering::Relaxed)).unwrap();
        let counted = numbers(
            directory.path(),
            "SELECT (SELECT COUNT(*) FROM requests WHERE ending = 'done'), (SELECT COUNT(*) FROM requests), \
             (SELECT COUNT(*) FROM turns), \
             (SELECT SUM(requests) FROM request_stats WHERE grain = 3600 AND dimension = 'all'), \
             (SELECT SUM(requests) FROM request_stats WHERE grain = 3600 AND dimension = 'key'), \
             (SELECT SUM(bytes) - (SELECT SUM(bytes) FROM requests) FROM request_stats WHERE grain = 60 AND dimension = 'all')",
        )
        .await;
        let [done, rows, turns, by_hour, by_key, bytes_off] = counted[..] else { panic!("{counted:?}") };
        assert!(done >= seen_before, "{seen_before} ends were seen, {done} are in the log");
        assert_eq!(done, turns, "a turn and its record are stored together");
        assert_eq!((rows, rows, 0), (by_hour, by_key, bytes_off));
        process = Process::start(directory.path(), &simulator).await;
    }
}

async fn a_stop_lets_running_streams_finish() {
    // A service manager, a terminal that is closed, and a person at one.
    for signal in ["TERM", "HUP", "INT"] {
        a_signal_lets_running_streams_finish(signal).await;
    }
}

async fn a_signal_lets_running_streams_finish(signal: &str) {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path(), &simulator).await;
    let account = simulator.add_account("anna");
    process.add_account("anna").await;
    account.always(Some(Scripted::Tokens { tokens: 30, interval: Duration::from_millis(30), thinking: 0 }));
    let questions: Vec<Value> = (0..8).map(|number| user(&format!("question of client {number}"))).collect();
    let (running, simulated) = (&process, &simulator);
    let asking = questions.iter().enumerate().map(|(number, question)| {
        let messages = [question.clone()];
        async move { running.ask(&messages, number % 4 != 0).await }
    });
    let stopping = async {
        while simulated.report().open_streams < 8 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.signal(signal);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asking), stopping);
    assert_eq!(process.ended().await.code(), Some(0));
    let report = simulator.report();
    assert_eq!((report.streams_finished, report.streams_aborted), (8, 0));

    // Every one of them was stored before the end.
    account.always(None);
    process = Process::start(directory.path(), &simulator).await;
    for (question, seen) in questions.iter().zip(answers) {
        let seen = seen.expect("its end was seen");
        assert_eq!((seen.turn.as_str(), seen.answer.split(' ').count()), ("new", 30));
        let messages = [question.clone(), assistant(&seen.answer), user("recite")];
        let reply = process.ask(&messages, true).await.expect("an answer");
        assert_eq!(reply.turn, "native");
        assert_eq!(reply.answer.lines().collect::<Vec<_>>(), recitation(&messages));
    }
    assert_eq!(simulator.report().count("new"), 8);
    process.signal(signal);
    assert_eq!(process.ended().await.code(), Some(0), "{signal}");
}

#[tokio::test]
async fn a_closed_terminal_never_cuts_and_a_second_signal_does() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path(), &simulator).await;
    let account = simulator.add_account("anna");
    process.add_account("anna").await;
    account.always(Some(Scripted::hang()));
    let messages = [user("hello there")];
    let running = &process;
    let waiting = async {
        while simulator.report().open_streams == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Twice, as a shell and the terminal itself do; the answer goes on.
        running.signal("HUP");
        tokio::time::sleep(Duration::from_millis(200)).await;
        running.signal("HUP");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(simulator.report().open_streams, 1);
        running.signal("TERM");
    };
    let request = running.http.post(format!("{}/v1/chat/completions", running.base)).bearer_auth(KEY);
    let request = request.json(&json!({ "model": "grok-4.2", "messages": messages })).send();
    let (answer, ()) = tokio::join!(request, waiting);
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "shutting_down");
    assert_eq!(process.ended().await.code(), Some(0), "long before the grace is over");
}

#[tokio::test]
async fn whoever_starts_it_with_hang_ups_ignored_is_obeyed() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let program = program(directory.path(), &simulator, json!({}));
    let ignoring = behind(&["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""], &program);
    let mut process = Process::start_with(ignoring).await;
    process.signal("HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let health = process.http.get(format!("{}/healthz", process.base)).send().await.unwrap();
    assert_eq!(health.status(), 200, "as under nohup");
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
}

async fn two_gateways_do_not_share_a_directory() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path(), &simulator).await;
    let mut command = command(directory.path(), &simulator);
    let second = tokio::task::spawn_blocking(move || command.output());
    let second = tokio::time::timeout(Duration::from_secs(20), second).await.expect("it gives up").unwrap().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains("in use by another running gateway"), "{words}");
    drop(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_a_file_as_well_and_holds_nothing_secret() {
    let simulator = simulator().await;
    let directory = tempfile::tempdir().unwrap();
    for round in 1..=2 {
        let mut process = Process::start(directory.path(), &simulator).await;
        if round == 1 {
            simulator.add_account("a-token-of-anna");
            process.add_account("a-token-of-anna").await;
        }
        process.ask(&[user("hello there")], true).await.expect("an answer");
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0));
        let log = std::fs::read_to_string(directory.path().join("logs/grok2api.log")).unwrap();
        assert_eq!(log.matches("/v1/chat/completions answered 200 in").count(), round, "{log}");
        // The very last line as well: what waits is written before the end.
        assert_eq!(log.matches(" stopped").count(), round, "{log}");
        assert!(!log.contains("a-token-of-anna") && !log.contains(KEY) && !log.contains(PASSWORD), "{log}");
    }
}
