//! What only a process of its own can show: how much memory it took at most, and what it does without file descriptors.

use std::time::Duration;

use grok2api_simulator::Simulator;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::KEY;
use crate::large_answers::compressed;
use crate::process::{Process, behind, program, simulator};
use crate::raw_upstream::{Answer, RawUpstream};
use crate::transports::{self, over_both_transports};
use crate::web_server::{WebServer, page};

over_both_transports! {
    without_file_descriptors_nobody_is_to_blame_and_it_says_so,
}

const MEGABYTE: usize = 1024 * 1024;

/// A gateway with an account, and its upstream.
struct Gateway {
    process: Process,
    _simulator: Simulator,
    _directory: TempDir,
}

impl Gateway {
    /// `open_files`: how many it may have.
    async fn start(settings: Value, open_files: Option<u32>) -> Self {
        let simulator = simulator().await;
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path(), &simulator, settings);
        if let Some(files) = open_files {
            command = behind(&["sh", "-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")], &command);
        }
        let process = Process::start_with(command).await;
        simulator.add_account("anna");
        process.add_account("anna").await;
        Self { process, _simulator: simulator, _directory: directory }
    }

    async fn chat(&self, content: Value, stream: bool) -> (u16, String) {
        let body =
            json!({ "model": "grok-4.2", "stream": stream, "messages": [{ "role": "user", "content": content }] });
        let request =
            self.process.http.post(format!("{}/v1/chat/completions", self.process.base)).bearer_auth(KEY).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// A figure of the process in MB: `VmHWM` is the most it ever had, `VmRSS` what it has.
    fn memory(&self, figure: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
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
    let gateway = Gateway::start(settings, None).await;
    let before = gateway.memory("VmRSS");
    for way in [base.clone(), format!("{base}/unannounced")] {
        let (status, text) = gateway.chat(images(&way, 20), false).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("image_too_large") && text.contains("64 MiB together"), "{text}");
    }
    let refused = gateway.memory("VmHWM");
    for way in [base.clone(), format!("{base}/unannounced")] {
        let (status, text) = gateway.chat(images(&way, 3), false).await;
        assert_eq!(status, 200, "{text}");
    }
    let (served, after) = (gateway.memory("VmHWM"), gateway.memory("VmRSS"));
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
        let gateway = Gateway::start(settings, None).await;
        let before = gateway.memory("VmRSS");
        for stream in [true, false] {
            let (_, text) = gateway.chat(json!("hello there"), stream).await;
            assert!(text.contains("answer_too_large") && !text.contains("[DONE]"), "{what}");
        }
        let (most, after) = (gateway.memory("VmHWM"), gateway.memory("VmRSS"));
        println!("{what}: {size} bytes on the wire; {before} MB before, {most} MB at most, {after} MB after");
        assert!(most < before + 200, "{what}: {most} MB, {before} MB before");
    }
}

async fn without_file_descriptors_nobody_is_to_blame_and_it_says_so() {
    let gateway = Gateway::start(json!({}), Some(120)).await;
    // Over the WebSocket the account's id is asked for first. Over REST a connection would be kept from that, and be used again.
    if transports::over() == Some("websocket") {
        assert_eq!(gateway.chat(json!("hello there"), false).await.0, 200);
    }
    let address = gateway.process.base.trim_start_matches("http://").to_owned();
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
        status = gateway.chat(json!("hello there"), false).await.0;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200);
    let (_, accounts) = gateway.process.admin("GET", "/accounts", &Value::Null).await;
    let account = &accounts["items"][0];
    assert_eq!((&account["state"]["name"], &account["consecutive_failures"]), (&json!("available"), &json!(0)));
}

fn chat_body() -> String {
    json!({ "model": "grok-4.2", "messages": [{ "role": "user", "content": "hello there" }] }).to_string()
}
