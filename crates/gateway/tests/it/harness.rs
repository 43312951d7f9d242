//! A running gateway with a simulated upstream, and clients that read like sentences.

use std::path::Path;
use std::time::Duration;

use grok2api::{Bootstrap, Clock, Gateway, LogFormat, SeedSecrets};
use grok2api_simulator::{Call, Options, Simulator};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The first key of every rig.
pub const KEY: &str = "sk-rig-0001";

/// The admin's password of every rig.
pub const PASSWORD: &str = "correct horse battery";

/// Where the clock stands at the start: 1 September 2026.
pub const START_MS: i64 = 1_788_220_800_000;

/// A gateway, its upstream, and a clock that stands still until it is advanced.
pub struct Rig {
    pub simulator: Simulator,
    pub clock: Clock,
    pub directory: TempDir,
    gateway: Option<Gateway>,
    base: String,
    http: reqwest::Client,
    cookie: tokio::sync::Mutex<Option<String>>,
}

impl Rig {
    /// A gateway with these accounts (each is a token that the simulator knows) and default settings.
    pub async fn new(accounts: &[&str]) -> Self {
        Self::with_settings(accounts, json!({})).await
    }

    /// The same with a `config.json` written before the first start.
    pub async fn with_settings(accounts: &[&str], settings: Value) -> Self {
        Self::start(Options::default(), accounts, settings).await
    }

    /// The same with options of the simulator.
    pub async fn start(options: Options, accounts: &[&str], settings: Value) -> Self {
        // Only the first of a process counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::start(options).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), settings.to_string()).unwrap();
        let clock = Clock::manual(START_MS);
        let gateway = start_gateway(directory.path(), &simulator, &clock).await;
        let base = format!("http://{}", gateway.address());
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        let cookie = tokio::sync::Mutex::new(None);
        let rig = Self { simulator, clock, directory, gateway: Some(gateway), base, http, cookie };
        for account in accounts {
            rig.add_account(account).await;
        }
        rig
    }

    /// Adds an account to both sides; answers its id.
    pub async fn add_account(&self, token: &str) -> String {
        self.simulator.add_account(token);
        let (status, account) =
            self.admin("POST", "/accounts", Some(json!({ "token": token, "label": token }))).await;
        assert_eq!(status, 201, "{account}");
        account["id"].as_str().unwrap().to_owned()
    }

    /// Stops in order and starts again on the same data.
    pub async fn restart(&mut self) {
        self.take_gateway().stop().await;
        self.start_again().await;
    }

    /// The gateway, to be stopped by the caller; afterwards only the data and the simulator are left.
    pub fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().unwrap()
    }

    async fn start_again(&mut self) {
        let gateway = start_gateway(self.directory.path(), &self.simulator, &self.clock).await;
        self.base = format!("http://{}", gateway.address());
        self.gateway = Some(gateway);
        self.cookie = tokio::sync::Mutex::new(None);
    }

    pub fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// Address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A call of the admin API as a signed-in admin; the body of the answer, or null.
    pub async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.admin_with(method, path, body, &[]).await
    }

    /// The same with further headers. Signs in again when the session has ended, as it does when hours go by.
    pub async fn admin_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let mut cookie = self.cookie.lock().await;
        for _ in 0..2 {
            if cookie.is_none() {
                *cookie = Some(self.sign_in().await);
            }
            let mut request = self
                .http
                .request(method.parse().unwrap(), self.url(&format!("/admin/api/v1{path}")))
                .header("cookie", cookie.as_deref().unwrap())
                .header("x-requested-with", "console");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            if status == 401 {
                *cookie = None;
                continue;
            }
            let answer = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null);
            return (status, answer);
        }
        panic!("{method} {path}: signed in twice, and still not known");
    }

    async fn sign_in(&self) -> String {
        let response = self
            .http
            .post(self.url("/admin/api/v1/session"))
            .json(&json!({ "username": "admin", "password": PASSWORD }))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 204);
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// A new API key; its secret.
    pub async fn add_key(&self, name: &str) -> String {
        let (status, keys) = self.admin("POST", "/keys", Some(json!({ "name": name }))).await;
        assert!(status == 200 || status == 201, "{status} {keys}");
        keys["keys"][0]["key"].as_str().unwrap().to_owned()
    }

    /// One account as the admin API shows it, by the label that [`Rig::add_account`] gave it.
    pub async fn account(&self, label: &str) -> Value {
        let (_, page) = self.admin("GET", &format!("/accounts?q={label}&limit=500"), None).await;
        let items = page["items"].as_array().unwrap();
        items.iter().find(|account| account["label"] == label).unwrap_or_else(|| panic!("no account {label}")).clone()
    }

    /// Waits, at most five seconds, until `probe` answers true. For what the gateway does beside the requests.
    pub async fn until(&self, what: &str, mut probe: impl AsyncFnMut(&Self) -> bool) {
        for _ in 0..500 {
            if probe(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain until {what}");
    }

    /// Posts a chat completion with the first key.
    pub async fn chat(&self, body: Value) -> Reply {
        self.chat_as(KEY, body, &[]).await
    }

    /// Posts a chat completion with a key and further headers.
    pub async fn chat_as(&self, key: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        self.post("/v1/chat/completions", key, body, headers).await
    }

    /// Posts a body to a client route and reads whatever comes back, streamed or not.
    pub async fn post(&self, path: &str, key: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.http.post(self.url(path)).bearer_auth(key).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(request.send().await.unwrap()).await
    }

    /// Rows of the request log, newest last: what the database holds once the writer has caught up.
    pub async fn requests(&self, count: usize) -> Vec<sqlx::sqlite::SqliteRow> {
        let path = self.directory.path().join("grok2api.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        for _ in 0..500 {
            let rows = sqlx::query("SELECT * FROM requests ORDER BY at, id").fetch_all(&pool).await.unwrap();
            if rows.len() >= count {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("fewer than {count} requests were recorded");
    }

    /// Changes the database behind the gateway's back.
    pub async fn execute(&self, statement: &'static str) {
        let path = self.directory.path().join("grok2api.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// The calls that asked the upstream for an answer, in order.
    pub fn questions(&self) -> Vec<Call> {
        let calls = self.simulator.calls();
        calls.into_iter().filter(|call| matches!(call.route, "new" | "responses")).collect()
    }

    /// The newest of them.
    pub fn last_question(&self) -> Call {
        self.questions().pop().expect("the upstream was asked")
    }

    /// Asserts that nothing reached the upstream that no correct client sends.
    pub fn no_violations(&self) {
        let violations = self.simulator.report().violations;
        assert!(violations.is_empty(), "{violations:?}");
    }

    /// A chat that resends its whole history, streamed or not.
    pub fn talk(&self, stream: bool) -> Talk<'_> {
        Talk { rig: self, key: KEY.to_owned(), stream, messages: Vec::new(), model: "grok-4.2".to_owned() }
    }
}

async fn start_gateway(directory: &Path, simulator: &Simulator, clock: &Clock) -> Gateway {
    let bootstrap = Bootstrap {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: directory.to_owned(),
        database_url: None,
        upstream_url: simulator.url(),
        assets_url: simulator.url(),
        upstream_ca: simulator.ca_pem().map(|pem| {
            let path = directory.join("upstream-ca.pem");
            std::fs::write(&path, pem).unwrap();
            path
        }),
        log_format: LogFormat::Text,
        metrics_listen: Some("127.0.0.1:0".parse().unwrap()),
        secrets: SeedSecrets {
            admin_password: Some(PASSWORD.to_owned()),
            api_key: Some(KEY.to_owned()),
            secret_key: None,
        },
    };
    Gateway::start(bootstrap, clock.clone(), None).await.unwrap()
}

/// What came back, streamed or not.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// The JSON body of an answer that was not streamed.
    pub body: Value,
    /// The objects of a stream, in order.
    pub chunks: Vec<Value>,
    /// Whether the stream ended with `[DONE]`.
    pub done: bool,
    /// Comments in the stream.
    pub comments: usize,
}

impl Reply {
    async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let is_stream =
            headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().starts_with("text/event-stream"));
        let bytes = response.bytes().await.unwrap();
        let mut reply =
            Self { status, headers, body: Value::Null, chunks: Vec::new(), done: false, comments: 0 };
        if !is_stream {
            reply.body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            return reply;
        }
        let text = std::str::from_utf8(&bytes).unwrap();
        for event in text.split("\n\n").filter(|event| !event.is_empty()) {
            match event.strip_prefix("data: ") {
                Some("[DONE]") => reply.done = true,
                Some(data) => {
                    assert!(!reply.done, "nothing may follow [DONE]");
                    reply.chunks.push(serde_json::from_str(data).unwrap());
                }
                None => {
                    assert!(event.starts_with(':'), "neither data nor comment: {event:?}");
                    reply.comments += 1;
                }
            }
        }
        reply
    }

    /// The answer as the client has it.
    pub fn content(&self) -> String {
        if self.chunks.is_empty() {
            self.body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
        } else {
            self.deltas("content")
        }
    }

    /// The visible text, without reasoning in tags.
    pub fn text(&self) -> String {
        let content = self.content();
        match content.rsplit_once("</think>") {
            Some((_, answer)) => answer.trim_start().to_owned(),
            None => content,
        }
    }

    /// One member of all deltas, joined.
    pub fn deltas(&self, member: &str) -> String {
        self.chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][member].as_str()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The receipt: `new`, `native`, `branched`, `moved` or `replayed`.
    pub fn turn(&self) -> &str {
        self.header("x-grok2api-turn")
    }

    /// The conversation id, which must stand in the header and in the body alike.
    pub fn conversation_id(&self) -> String {
        let first = if self.chunks.is_empty() { &self.body } else { &self.chunks[0] };
        let id = first["conversation_id"].as_str().expect("conversation_id").to_owned();
        assert_eq!(id, self.header("x-grok2api-conversation"));
        id
    }

    /// The answer's own id, which must stand in every chunk.
    pub fn id(&self) -> String {
        let first = self.chunks.first().unwrap_or(&self.body);
        assert!(self.chunks.iter().all(|chunk| chunk["id"] == first["id"]));
        first["id"].as_str().expect("id").to_owned()
    }

    /// The error object, of a refusal or inside a stream.
    pub fn error(&self) -> &Value {
        let in_stream = self.chunks.iter().map(|chunk| &chunk["error"]).find(|error| error.is_object());
        in_stream.unwrap_or(&self.body["error"])
    }

    /// Asserts a whole answer.
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{:?}", self.body);
        assert!(self.error().is_null(), "{:?}", self.error());
        assert!(self.chunks.is_empty() || self.done, "no [DONE]");
        self
    }
}

/// A chat as clients lead it: the whole history with every request.
#[derive(Clone)]
pub struct Talk<'a> {
    rig: &'a Rig,
    pub key: String,
    pub stream: bool,
    pub messages: Vec<Value>,
    pub model: String,
}

impl Talk<'_> {
    pub fn system(mut self, text: &str) -> Self {
        self.messages.push(system(text));
        self
    }

    /// The same chat, as far as its first `count` messages.
    pub fn first(&self, count: usize) -> Self {
        Self { messages: self.messages[..count].to_vec(), ..self.clone() }
    }

    /// Sends a body with these members; model and `stream` are added.
    pub async fn send(&self, members: Value) -> Reply {
        let mut body = json!({ "model": self.model, "stream": self.stream });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.rig.chat_as(&self.key, body, &[]).await
    }

    /// The messages of the next request.
    pub fn asking(&self, question: &str) -> Vec<Value> {
        self.messages.iter().cloned().chain([user(question)]).collect()
    }

    /// Asks without keeping question or answer.
    pub async fn ask(&self, question: &str) -> Reply {
        self.send(json!({ "messages": self.asking(question) })).await
    }

    /// Has the upstream recite the branch, which must hold exactly what was said here.
    pub async fn recite(&self) -> Reply {
        let reply = self.ask("recite").await.ok();
        assert_eq!(reply.text().lines().collect::<Vec<_>>(), recitation(&self.asking("recite")));
        reply
    }

    /// Asks and keeps both, as a client does.
    pub async fn say(&mut self, question: &str) -> Reply {
        let reply = self.ask(question).await.ok();
        self.messages.extend([user(question), assistant(&reply.text())]);
        reply
    }
}

pub fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

pub fn assistant(text: &str) -> Value {
    json!({ "role": "assistant", "content": text })
}

pub fn system(text: &str) -> Value {
    json!({ "role": "system", "content": text })
}

/// What the simulator recites of these messages when each was sent upstream once, system text in front of the first question.
pub fn recitation(messages: &[Value]) -> Vec<String> {
    let mut in_front = String::new();
    let mut lines = Vec::new();
    for message in messages {
        let text = message["content"].as_str().unwrap();
        let (sender, text) = match message["role"].as_str().unwrap() {
            "system" => {
                in_front = format!("{text}\n\n");
                continue;
            }
            "user" => ("human", std::mem::take(&mut in_front) + text),
            _ => ("assistant", text.to_owned()),
        };
        lines.push(format!("{sender}: {}", text.replace('\n', "\\n")));
    }
    lines
}
