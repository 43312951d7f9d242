//! The program: its one line, its options, its end.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use reqwest::Method;
use serde_json::json;

use crate::client::{NEW, STATSIG, Turn, body_json, http_client};

/// Stopped when the test ends, however it ends.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grok2api-simulator"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, url }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as the test wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_says_where_it_listens_and_answers_with_the_reply_it_was_given() {
    let arguments = ["--accounts", "2", "--reply", "tokens", "--tokens", "7", "--interval-ms", "0", "--stateless"];
    let mut running = Running::start(&arguments);
    let chat = http_client()
        .request(Method::POST, format!("{}{NEW}", running.url))
        .header("cookie", "sso=sim-1; sso-rw=sim-1")
        .header("x-statsig-id", STATSIG)
        .header("content-type", "application/json")
        .body(json!({"message": "hi", "modeId": "fast"}).to_string());
    assert_eq!(Turn::read(chat.send().await.unwrap()).await.text().split(' ').count(), 7);
    let report = http_client().get(format!("{}/__simulator/report", running.url)).send().await.unwrap();
    assert_eq!(body_json(report).await["streams_finished"], 1);

    let process = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    assert!(running.child.wait().unwrap().success(), "it ends well when it is told to");
}

#[tokio::test]
async fn either_form_of_the_chat_can_be_left_out() {
    for (arguments, rest_chat, socket) in [
        (vec!["--no-socket"], 200, 404),
        (vec!["--no-rest-chat"], 404, 400),
        (vec!["--no-socket", "--no-rest-chat"], 404, 404),
    ] {
        let running = Running::start(&arguments);
        let request = |method: Method, path: &str| {
            let request = http_client().request(method, format!("{}{path}", running.url));
            request.header("cookie", "sso=sim-0").header("x-statsig-id", STATSIG)
        };
        let chat = request(Method::POST, NEW).body(json!({"message": "hi", "modeId": "fast"}).to_string());
        assert_eq!(chat.send().await.unwrap().status(), rest_chat, "{arguments:?}");
        let accounts = body_json(request(Method::GET, "/__simulator/accounts").send().await.unwrap()).await;
        let path = format!("/ws/mgw/?uid={}", accounts[0]["user_id"].as_str().unwrap());
        // Without the headers of an upgrade a route that is there answers 400.
        assert_eq!(request(Method::GET, &path).send().await.unwrap().status(), socket, "{arguments:?}");
    }
}

#[test]
fn it_lists_the_replies_and_refuses_unknown_ones() {
    let program = || Command::new(env!("CARGO_BIN_EXE_grok2api-simulator"));
    let list = program().args(["--reply", "list"]).output().unwrap();
    let names = String::from_utf8(list.stdout).unwrap();
    assert!(names.lines().eq(grok2api_simulator::Reply::names()));
    let unknown = program().args(["--reply", "nothing"]).output().unwrap();
    assert!(!unknown.status.success());
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("\"nothing\""));
}
