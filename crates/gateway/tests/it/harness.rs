//! A running gateway with a simulated upstream, and clients that read like sentences.

use std::path::Path;
use std::time::Duration;

use grok2api::{Bootstrap, Clock, Gateway, LogFormat, SeedSecrets};
use grok2api_simulator::{Call, Options, Simulator, UploadedFile};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use crate::reply::Reply;
use crate::transports;

pub(crate) use crate::talk::{Talk, assistant, holds_all, recitation, system, user};

/// The first key of every rig.
pub(crate) const KEY: &str = "sk-rig-0001";

/// The admin's password of every rig.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Where the clock stands at the start: 1 September 2026.
pub(crate) const START_MS: i64 = 1_788_220_800_000;

/// A gateway, its upstream, and a clock that stands still until it is advanced.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) clock: Clock,
    pub(crate) directory: TempDir,
    gateway: Option<Gateway>,
    base: String,
    http: reqwest::Client,
    cookie: tokio::sync::Mutex<Option<String>>,
}

impl Rig {
    /// A gateway with these accounts (each is a token that the simulator knows) and default settings.
    pub(crate) async fn new(accounts: &[&str]) -> Self {
        Self::with_settings(accounts, json!({})).await
    }

    /// The same with a `config.json` written before the first start.
    pub(crate) async fn with_settings(accounts: &[&str], settings: Value) -> Self {
        Self::start(Options::default(), accounts, settings).await
    }

    /// The same with options of the simulator.
    pub(crate) async fn start(options: Options, accounts: &[&str], settings: Value) -> Self {
        // Only the first of a process counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::start(options).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings;
        if let Some(transport) = transports::over() {
            settings["upstream_transport"] = transport.into();
        }
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
    pub(crate) async fn add_account(&self, token: &str) -> String {
        self.simulator.add_account(token);
        let (status, account) = self.admin("POST", "/accounts", Some(json!({ "token": token, "label": token }))).await;
        assert_eq!(status, 201, "{account}");
        account["id"].as_str().unwrap().to_owned()
    }

    /// Stops in order and starts again on the same data.
    pub(crate) async fn restart(&mut self) {
        self.take_gateway().stop().await;
        self.start_again().await;
    }

    /// The gateway, to be stopped by the caller; afterwards only the data and the simulator are left.
    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().unwrap()
    }

    /// Starts again on the same data.
    pub(crate) async fn start_again(&mut self) {
        let gateway = start_gateway(self.directory.path(), &self.simulator, &self.clock).await;
        self.base = format!("http://{}", gateway.address());
        self.gateway = Some(gateway);
        self.cookie = tokio::sync::Mutex::new(None);
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    /// Address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A call of the admin API as a signed-in admin; the body of the answer, or null.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.admin_with(method, path, body, &[]).await
    }

    /// The same with further headers. Signs in again when the session has ended, as it does when hours go by.
    pub(crate) async fn admin_with(
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

    /// A call of the admin API with a token, or anything else, as bearer.
    pub(crate) async fn admin_as(&self, bearer: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), self.url(&format!("/admin/api/v1{path}")));
        let request = request.bearer_auth(bearer);
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// A new token of the admin API; its id and secret.
    pub(crate) async fn add_token(&self, scopes: &[&str]) -> (String, String) {
        let body = json!({ "name": "script", "scopes": scopes });
        let (status, token) = self.admin("POST", "/tokens", Some(body)).await;
        assert_eq!(status, 201, "{token}");
        (token["id"].as_str().unwrap().to_owned(), token["token"].as_str().unwrap().to_owned())
    }

    /// Signs in; the cookie.
    pub(crate) async fn sign_in(&self) -> String {
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
    pub(crate) async fn add_key(&self, name: &str) -> String {
        let (status, keys) = self.admin("POST", "/keys", Some(json!({ "name": name }))).await;
        assert!(status == 200 || status == 201, "{status} {keys}");
        keys["keys"][0]["key"].as_str().unwrap().to_owned()
    }

    /// One account as the admin API shows it, by the label that [`Rig::add_account`] gave it.
    pub(crate) async fn account(&self, label: &str) -> Value {
        let (_, page) = self.admin("GET", &format!("/accounts?q={label}&limit=500"), None).await;
        let items = page["items"].as_array().unwrap();
        items.iter().find(|account| account["label"] == label).unwrap_or_else(|| panic!("no account {label}")).clone()
    }

    /// Ends whatever keeps an account from serving.
    pub(crate) async fn clear_cooldown(&self, label: &str) {
        let id = self.account(label).await["id"].as_str().unwrap().to_owned();
        let (status, body) = self.admin("POST", &format!("/accounts/{id}/actions/clear_cooldown"), None).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Waits, at most five seconds, until `probe` answers true. For what the gateway does beside the requests.
    pub(crate) async fn until(&self, what: &str, mut probe: impl AsyncFnMut(&Self) -> bool) {
        for _ in 0..500 {
            if probe(self).await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain until {what}");
    }

    /// Posts a chat completion with the first key.
    pub(crate) async fn chat(&self, body: Value) -> Reply {
        self.chat_as(KEY, body, &[]).await
    }

    /// Posts a chat completion with a key and further headers.
    pub(crate) async fn chat_as(&self, key: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        self.post("/v1/chat/completions", key, body, headers).await
    }

    /// Posts a body to a client route and reads whatever comes back, streamed or not.
    pub(crate) async fn post(&self, path: &str, key: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.http.post(self.url(path)).bearer_auth(key).json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(request.send().await.unwrap()).await
    }

    /// Rows of the request log, newest last: what the database holds once the writer has caught up.
    pub(crate) async fn requests(&self, count: usize) -> Vec<sqlx::sqlite::SqliteRow> {
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

    /// A number from the database.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        self.count_of(query.to_owned()).await
    }

    /// The same for a query that is put together.
    pub(crate) async fn count_of(&self, query: String) -> i64 {
        let path = self.directory.path().join("grok2api.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&pool).await.unwrap()
    }

    /// Changes the database behind the gateway's back.
    pub(crate) async fn execute(&self, statement: &'static str) {
        self.execute_text(statement.to_owned()).await;
    }

    /// The same with a statement that is put together.
    pub(crate) async fn execute_text(&self, statement: String) {
        let path = self.directory.path().join("grok2api.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// The calls that asked the upstream for an answer, in order.
    pub(crate) fn questions(&self) -> Vec<Call> {
        let calls = self.simulator.calls();
        let is_question = |call: &Call| matches!(call.route, "new" | "responses");
        // An upgrade that no turn followed is a question too, refused at the door.
        let is_refused = |index: usize, call: &Call| {
            let mut later = calls[index + 1..].iter().filter(|later| later.account == call.account);
            call.route == "socket" && !later.by_ref().take_while(|later| later.route != "socket").any(is_question)
        };
        let questions = calls.iter().enumerate().filter(|(index, call)| is_question(call) || is_refused(*index, call));
        questions.map(|(_, call)| call.clone()).collect()
    }

    /// The newest of them.
    pub(crate) fn last_question(&self) -> Call {
        self.questions().pop().expect("the upstream was asked")
    }

    /// The files that the newest of them names, in its order: uploads go side by side and arrive in any.
    pub(crate) fn attached(&self) -> Vec<UploadedFile> {
        fn named(body: &Value) -> Option<&Vec<Value>> {
            match body {
                Value::Object(members) => {
                    let files = ["fileAttachments", "file_attachment_ids"].iter().find_map(|name| members.get(*name));
                    files.and_then(Value::as_array).or_else(|| members.values().find_map(named))
                }
                Value::Array(items) => items.iter().find_map(named),
                _ => None,
            }
        }
        let uploads = self.simulator.uploads();
        let file = |id: &Value| {
            let file = uploads.iter().find(|file| id.as_str() == Some(&file.id));
            file.unwrap_or_else(|| panic!("{id} was never uploaded")).clone()
        };
        let question = self.last_question();
        named(&question.body).into_iter().flatten().map(file).collect()
    }

    /// Asserts that nothing reached the upstream that no correct client sends.
    pub(crate) fn no_violations(&self) {
        let violations = self.simulator.report().violations;
        assert!(violations.is_empty(), "{violations:?}");
    }

    /// A chat that resends its whole history, streamed or not.
    pub(crate) fn talk(&self, stream: bool) -> Talk<'_> {
        Talk::new(self, stream)
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
