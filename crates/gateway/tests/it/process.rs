//! The real binary as a process of its own: started, asked, stopped and killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use grok2api_simulator::{Options, Simulator};
use serde_json::{Value, json};

use crate::harness::{KEY, PASSWORD};
use crate::transports;

/// The gateway as a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
}

impl Process {
    pub(crate) async fn start(directory: &Path, simulator: &Simulator) -> Self {
        Self::start_with(command(directory, simulator)).await
    }

    pub(crate) async fn start_with(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, base) = tokio::sync::oneshot::channel();
        // Reads to the end, so that nobody is left writing into a full pipe.
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            for line in lines.map_while(Result::ok) {
                if let Some((_, base)) = line.split_once("listens on ")
                    && let Some(tell) = tell.take()
                {
                    tell.send(base.trim().to_owned()).unwrap();
                }
            }
        });
        let base = tokio::time::timeout(Duration::from_secs(60), base).await.expect("it starts").expect("it listens");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { child, base, http }
    }

    pub(crate) async fn add_account(&self, token: &str) {
        assert_eq!(self.admin("POST", "/accounts", &json!({ "token": token })).await.0, 201);
    }

    /// A call of the admin API, signed in for it.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let session = self.http.post(format!("{}/admin/api/v1/session", self.base));
        let session = session.json(&json!({ "username": "admin", "password": PASSWORD })).send().await.unwrap();
        assert_eq!(session.status(), 204);
        let cookie = session.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let call = self.http.request(method.parse().unwrap(), format!("{}/admin/api/v1{path}", self.base));
        let call = call.header("cookie", cookie).header("x-requested-with", "console").json(body);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", "kill -$0 $1", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        for _ in 0..2_000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed must not leave it behind. An error says that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program; `GROK2API_TEST_BINARY` names another, to see how an older one fares.
fn binary() -> std::ffi::OsString {
    std::env::var_os("GROK2API_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_grok2api").into())
}

/// The program with its arguments, on a directory whose settings are these; over the transport of the running test.
pub(crate) fn program(directory: &Path, simulator: &Simulator, mut settings: Value) -> Command {
    if let Some(transport) = transports::over() {
        settings["upstream_transport"] = transport.into();
    }
    std::fs::write(directory.join("config.json"), settings.to_string()).unwrap();
    let mut command = Command::new(binary());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory)
        .args(["--upstream-url", &simulator.url(), "--assets-url", &simulator.url()])
        .env("GROK2API_ADMIN_PASSWORD", PASSWORD)
        .env("GROK2API_API_KEY", KEY);
    command
}

/// The command that starts the gateway.
pub(crate) fn command(directory: &Path, simulator: &Simulator) -> Command {
    // Whoever runs the tests may ignore hang-ups (nohup), which is inherited and which the gateway respects.
    behind(&["env", "--default-signal=HUP"], &program(directory, simulator, json!({})))
}

/// A program that another one starts in its own place.
pub(crate) fn behind(starter: &[&str], program: &Command) -> Command {
    let mut command = Command::new(starter[0]);
    command.args(&starter[1..]).arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// An upstream that never runs out.
pub(crate) async fn simulator() -> Simulator {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Simulator::start(Options { default_quota: 1_000_000, ..Options::default() }).await.unwrap()
}
