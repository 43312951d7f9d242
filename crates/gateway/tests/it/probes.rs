//! What tests look at besides answers: metrics, rows, settings, and bytes on a bare connection.

use std::time::Duration;

use grok2api_simulator::Reply as Scripted;
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{KEY, Reply, Rig};
use crate::transports;

/// A streamed or whole question of one user message.
pub(crate) fn question(text: &str, stream: bool) -> Value {
    json!({ "model": "grok-4.2", "stream": stream, "messages": [{ "role": "user", "content": text }] })
}

/// The upstream says that it does not have the conversation.
pub(crate) fn conversation_gone() -> Scripted {
    let name = if transports::over() == Some("websocket") { "session-not-found" } else { "not-found" };
    Scripted::named(name).unwrap()
}

/// Status and error code of a reply.
pub(crate) fn refusal(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.error()["code"].as_str().unwrap_or_default())
}

/// A refusal, as read from the wire.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) param: Option<String>,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Refusal {
    pub(crate) fn told(&self) -> (u16, &str, Option<&str>) {
        (self.status, &self.code, self.param.as_deref())
    }
}

/// Reads an error answer of a client route and checks its shape.
pub(crate) async fn read_refusal(response: reqwest::Response) -> Refusal {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let request_id = headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(headers["content-type"], "application/json");
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    let error = &body["error"];
    assert_eq!(error, &body["detail"]["error"], "{text}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{text}");
    let mut members: Vec<&String> = error.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["code", "message", "param", "request_id", "type"], "{text}");
    assert_eq!(error["request_id"], request_id.as_str());
    assert!(error["message"].as_str().unwrap().len() > 10, "{text}");
    let kinds = ["invalid_request_error", "authentication_error", "permission_error"];
    assert!(kinds.contains(&error["type"].as_str().unwrap()), "{text}");
    let code = error["code"].as_str().unwrap().to_owned();
    Refusal { status, code, param: error["param"].as_str().map(str::to_owned), headers }
}

/// Checks that nothing went upstream and nothing was stored, and that the gateway still answers.
pub(crate) async fn no_trace(rig: &Rig) {
    assert!(rig.simulator.calls().is_empty(), "{:?}", rig.simulator.calls());
    assert_eq!(rig.turn_count().await, 0);
    assert_eq!(rig.http().get(rig.url("/readyz")).send().await.unwrap().status(), 200);
    rig.chat(question("still there", false)).await.ok();
}

impl Rig {
    /// The value of one sample of `/metrics`, named with its labels; 0 if it is not there.
    pub(crate) async fn metric(&self, sample: &str) -> u64 {
        let address = self.gateway().metrics_address().unwrap();
        let metrics = self.http().get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Attempts that ended with this verdict.
    pub(crate) async fn attempts(&self, verdict: &str) -> u64 {
        self.metric(&format!("grok2api_upstream_attempts_total{{verdict=\"{verdict}\"}}")).await
    }

    /// Changes settings as the console does: with the version that it saw.
    pub(crate) async fn change_settings(&self, patch: Value) -> (u16, Value) {
        let (_, settings) = self.admin("GET", "/settings", None).await;
        let version = format!("\"{}\"", settings["version"].as_str().unwrap());
        self.admin_with("PATCH", "/settings", Some(patch), &[("if-match", &version)]).await
    }

    /// Turns on the disk.
    pub(crate) async fn turn_count(&self) -> i64 {
        let path = self.directory.path().join("grok2api.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query("SELECT count(*) FROM turns").fetch_one(&pool).await.unwrap().get(0)
    }

    /// Chat calls that reached the upstream.
    pub(crate) fn chat_calls(&self) -> u64 {
        self.questions().len() as u64
    }

    /// The accounts that chat calls came with, in order.
    pub(crate) fn callers(&self) -> Vec<String> {
        self.questions().into_iter().filter_map(|call| call.account).collect()
    }

    /// Waits until nothing is under way any more, here and upstream.
    pub(crate) async fn quiet(&self) {
        self.until("nothing is under way", async |rig| {
            let (_, summary) = rig.admin("GET", "/accounts/summary", None).await;
            summary["in_flight"] == 0 && rig.simulator.report().open_streams == 0
        })
        .await;
    }

    /// Opens a bare connection.
    pub(crate) async fn connect(&self) -> Connection {
        Connection { stream: TcpStream::connect(self.gateway().address()).await.unwrap(), read: Vec::new() }
    }
}

/// A bare connection, for clients that do not behave.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) read: Vec<u8>,
}

impl Connection {
    /// Sends a whole chat request with the first key.
    pub(crate) async fn send_chat(&mut self, body: &Value) {
        self.send_chat_over("1.1", body).await;
    }

    /// The same in another version of HTTP.
    pub(crate) async fn send_chat_over(&mut self, version: &str, body: &Value) {
        let body = body.to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/{version}\r\nHost: rig\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    /// Reads until what has come holds `wanted`; panics when the other side ends before.
    pub(crate) async fn read_until(&mut self, wanted: &str) {
        while !self.text().contains(wanted) {
            self.read_more().await;
        }
    }

    /// Reads what comes next; panics when nothing does.
    pub(crate) async fn read_more(&mut self) {
        let mut piece = vec![0; 16 * 1024];
        let reading = tokio::time::timeout(Duration::from_secs(10), self.stream.read(&mut piece));
        let count = reading.await.unwrap_or_else(|_| panic!("nothing follows: {}", self.text())).unwrap();
        assert!(count > 0, "ended after: {}", self.text());
        self.read.extend_from_slice(&piece[..count]);
    }

    /// Reads until the other side ends, in order or not.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut piece = vec![0; 16 * 1024];
        loop {
            let reading = tokio::time::timeout(Duration::from_secs(10), self.stream.read(&mut piece));
            match reading.await.expect("the connection stays open") {
                Ok(count) if count > 0 => self.read.extend_from_slice(&piece[..count]),
                _ => return self.text(),
            }
        }
    }

    /// What has come so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }
}
