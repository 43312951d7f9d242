//! What only a process of its own can show: how much memory it took at most, and what it does without file descriptors.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use grok2api_simulator::{Options, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{KEY, PASSWORD};
use crate::large_answers::compressed;
use crate::raw_upstream::{Answer, RawUpstream};
use crate::transports::{self, over_both_transports};
use crate::web_server::{WebServer, page};

over_both_transports! {
    without_file_descriptors_nobody_is_to_blame_and_it_says_so,
}

const MEGABYTE: usize = 1024 * 1024;

struct Process {
    child: Child,
    base: String,
    simulator: Simulator,
    http: reqwest::Client,
    _directory: TempDir,
}

impl Process {
    /// `open_files`: how many it may have.
    async fn start(mut settings: Value, open_files: Option<u32>) -> Self {
        // Only the first of a process counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        if let Some(transport) = transports::over() {
            settings["upstream_transport"] = transport.into();
        }
        std::fs::write(directory.path().join("config.json"), settings.to_string()).unwrap();
        let limit = open_files.map_or("true".to_owned(), |files| format!("ulimit -n {files}"));
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{limit} && exec \"$0\" \"$@\""));
        command
            .arg(env!("CARGO_BIN_EXE_grok2api"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory.path())
            .args(["--upstream-url", &simulator.url(), "--assets-url", &simulator.url()])
            .env("GROK2API_ADMIN_PASSWORD", PASSWORD)
            .env("GROK2API_API_KEY", KEY);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut base = lines
                .by_ref()
                .map_while(Result::ok)
                .filter_map(|line| line.split_once("listens on ").map(|(_, base)| base.trim().to_owned()));
            if let Some(base) = base.next() {
                tell.send(base).unwrap();
            }
            base.for_each(drop);
        });
        let base = tokio::time::timeout(Duration::from_secs(60), told).await.expect("it starts").expect("it listens");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let process = Self { child, base, simulator, http, _directory: directory };
        process.simulator.add_account("anna");
        assert_eq!(process.admin("POST", "/accounts", &json!({ "token": "anna" })).await.0, 201);
        process
    }

    async fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let session = self.http.post(format!("{}/admin/api/v1/session", self.base));
        let session = session.json(&json!({ "username": "admin", "password": PASSWORD })).send().await.unwrap();
        let cookie = session.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let call = self.http.request(method.parse().unwrap(), format!("{}/admin/api/v1{path}", self.base));
        let call = call.header("cookie", cookie).header("x-requested-with", "console").json(body);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn chat(&self, content: Value, stream: bool) -> (u16, String) {
        let body =
            json!({ "model": "grok-4.2", "stream": stream, "messages": [{ "role": "user", "content": content }] });
        let request = self.http.post(format!("{}/v1/chat/completions", self.base)).bearer_auth(KEY).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// What it has used of the processors, in hundredths of a second.
    fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// A figure of the process in MB: `VmHWM` is the most it ever had, `VmRSS` what it has.
    fn memory(&self, figure: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed must not leave it behind. An error says that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn images(base: &str, count: usize) -> Value {
    let image = |number: usize| json!({ "type": "image_url", "image_url": { "url": format!("{base}/{number}.png") } });
    (0..count).map(image).collect()
}

#[tokio::test]
async fn the_images_of_one_request_take_little_more_than_they_may_have_together() {
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &vec![7; 20 * MEGABYTE - 8]].concat();
    let image = page("200 OK", "image/png", &png);
    let endless = [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".as_slice(), &png].concat();
    let web =
        WebServer::start(
            "127.0.0.2",
            move |path| {
                if path.starts_with("/unannounced") { endless.clone() } else { image.clone() }
            },
        )
        .await;
    let base = format!("http://127.0.0.2:{}", web.port());
    let settings = json!({ "image_url_allow": ["127.0.0.2"], "request_timeout": 300, "stream_timeout": 600 });
    let process = Process::start(settings, None).await;
    let before = process.memory("VmRSS");
    for way in [base.clone(), format!("{base}/unannounced")] {
        let (status, text) = process.chat(images(&way, 20), false).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("image_too_large") && text.contains("64 MiB together"), "{text}");
    }
    let refused = process.memory("VmHWM");
    for way in [base.clone(), format!("{base}/unannounced")] {
        let (status, text) = process.chat(images(&way, 3), false).await;
        assert_eq!(status, 200, "{text}");
    }
    let (served, after) = (process.memory("VmHWM"), process.memory("VmRSS"));
    println!(
        "images: {before} MB before, {refused} MB at most when refused, {served} MB when served, {after} MB after"
    );
    assert!(refused < before + 110, "{refused} MB, {before} MB before");
    assert!(served < before + 110, "{served} MB, {before} MB before");
}

#[tokio::test]
async fn what_unpacks_without_an_end_takes_little_memory() {
    let token =
        json!({ "result": { "response": { "token": "x".repeat(1_000), "isThinking": false, "messageTag": "final" } } });
    let token = format!("{token}\n").into_bytes().repeat(250);
    let tokens = compressed("gzip", std::iter::repeat_n(token, 2_000));
    let line =
        std::iter::once(b"{\"result\":{\"padding\":\"".to_vec()).chain(std::iter::repeat_n(vec![b'x'; MEGABYTE], 600));
    let line = compressed("gzip", line);
    for (what, answer) in [("tokens", tokens), ("one line", line)] {
        let size = answer.len();
        let upstream = RawUpstream::start(Answer { once: answer, for_ever: Vec::new() });
        let settings = json!({ "upstream_transport": "rest", "proxy_url": upstream.url() });
        let process = Process::start(settings, None).await;
        let before = process.memory("VmRSS");
        for stream in [true, false] {
            let (_, text) = process.chat(json!("hello there"), stream).await;
            assert!(text.contains("answer_too_large") && !text.contains("[DONE]"), "{what}");
        }
        let (most, after) = (process.memory("VmHWM"), process.memory("VmRSS"));
        println!("{what}: {size} bytes on the wire; {before} MB before, {most} MB at most, {after} MB after");
        assert!(most < before + 200, "{what}: {most} MB, {before} MB before");
    }
}

async fn without_file_descriptors_nobody_is_to_blame_and_it_says_so() {
    let process = Process::start(json!({}), Some(120)).await;
    // Over the WebSocket the account's id is asked for first. Over REST a connection would be kept from that, and be used again.
    if transports::over() == Some("websocket") {
        assert_eq!(process.chat(json!("hello there"), false).await.0, 200);
    }
    let address = process.base.trim_start_matches("http://").to_owned();
    // One connection is there before the others take every file descriptor that is left.
    let mut connection = TcpStream::connect(&address).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..200 {
        others.push(TcpStream::connect(&address).await.unwrap());
    }
    // The first request makes sure that the connections before it were accepted as far as possible.
    for (method, path, body) in [("GET", "/health", String::new()), ("POST", "/v1/chat/completions", chat_body())] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut text = String::new();
        let mut piece = vec![0; 16 * 1024];
        while !text.contains("request_id") && !text.contains("status\":") {
            let reading = tokio::time::timeout(Duration::from_secs(60), connection.read(&mut piece));
            let count = reading.await.expect("an answer comes").unwrap();
            assert!(count > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        if method == "POST" {
            assert!(text.starts_with("HTTP/1.1 503"), "{text}");
            assert!(text.contains("machine_exhausted") && text.contains("retry-after: 5"), "{text}");
        }
    }
    drop(others);
    // As soon as there are file descriptors, everything is as before: no account rests, the way out is not left alone.
    let mut status = 0;
    for _ in 0..100 {
        status = process.chat(json!("hello there"), false).await.0;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200);
    let (_, accounts) = process.admin("GET", "/accounts", &Value::Null).await;
    let account = &accounts["items"][0];
    assert_eq!((&account["state"]["name"], &account["consecutive_failures"]), (&json!("available"), &json!(0)));
}

fn chat_body() -> String {
    json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "hello there" }] }).to_string()
}

/// Compares allocators, preloaded or set by the environment: `LD_PRELOAD=… cargo test … -- --ignored what_the_allocator`.
#[tokio::test]
#[ignore = "a measurement: it only prints"]
async fn what_the_allocator_keeps_after_many_streams() {
    const STREAMS: usize = 1_500;
    let process = Process::start(json!({ "upstream_transport": "rest" }), None).await;
    let idle = process.memory("VmRSS");
    process.simulator.account("anna").set_quota("auto", 1_000_000, 1_000_000, None);
    process.simulator.account("anna").always(Some(grok2api_simulator::Reply::Stall));
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let body =
            json!({ "model": "grok-4.2", "stream": true, "messages": [{ "role": "user", "content": "hello there" }] });
        let request = process.http.post(format!("{}/v1/chat/completions", process.base)).bearer_auth(KEY).json(&body);
        let mut answer = request.send().await.unwrap();
        answer.chunk().await.unwrap();
        open.push(answer);
    }
    let full = process.memory("VmRSS");
    drop(open);
    process.simulator.account("anna").always(None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = process.memory("VmRSS");
    let began = process.processor_ticks();
    for _ in 0..100 {
        let tokens = grok2api_simulator::Reply::Tokens { tokens: 2_000, interval: Duration::ZERO, thinking: 0 };
        process.simulator.account("anna").push(tokens);
        let (status, text) = process.chat(json!("hello there"), true).await;
        assert_eq!(status, 200, "{text}; {idle} MB idle, {full} MB with {STREAMS} open, {after} MB after");
    }
    let ticks = process.processor_ticks() - began;
    println!(
        "streams: {idle} MB idle, {full} MB with {STREAMS} open, {after} MB after; {ticks} ticks for 100 × 2,000 tokens"
    );
}
