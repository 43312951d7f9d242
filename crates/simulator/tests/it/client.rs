//! A client that does what the web app does, and lets a test do it wrong.

use grok2api_simulator::{Options, Simulator};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

pub(crate) const STATSIG: &str = "ZTpUeXBlRXJyb3I6IG5vdGhpbmcgdG8gc2VlIGhlcmU";

/// A simulator with the accounts `a` and `b`.
pub(crate) struct World {
    pub simulator: Simulator,
    pub http: Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        simulator.add_account("a");
        simulator.add_account("b");
        Self { simulator, http: http_client() }
    }

    /// A correct request of an account.
    pub(crate) fn request(&self, method: Method, sso: &str, path: &str) -> RequestBuilder {
        self.bare(method, path)
            .header("cookie", format!("sso={sso}; sso-rw={sso}"))
            .header("origin", "https://grok.com")
            .header("referer", "https://grok.com/")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
            .header("x-statsig-id", STATSIG)
            .header("x-xai-request-id", "0f1e2d3c-4b5a-4968-8776-655443322110")
    }

    /// A request without any headers.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.simulator.url()))
    }

    pub(crate) async fn post(&self, sso: &str, path: &str, body: Value) -> Response {
        let request = self.request(Method::POST, sso, path).header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap()
    }

    pub(crate) async fn get(&self, sso: &str, path: &str) -> Response {
        self.request(Method::GET, sso, path).send().await.unwrap()
    }

    /// A first message; panics unless it is answered.
    pub(crate) async fn new_chat(&self, sso: &str, message: &str) -> Turn {
        let body = json!({"message": message, "modeId": "fast", "sendFinalMetadata": true});
        Turn::read(self.post(sso, NEW, body).await).await
    }

    /// A further message.
    pub(crate) async fn next_chat(&self, sso: &str, after: &Turn, message: &str) -> Turn {
        let body = json!({"message": message, "modeId": "fast", "parentResponseId": after.response});
        let mut turn = Turn::read(self.post(sso, &after.path("responses"), body).await).await;
        turn.conversation.clone_from(&after.conversation);
        turn
    }

    pub(crate) fn violations(&self) -> Vec<&'static str> {
        self.simulator.report().violations.iter().map(|violation| violation.kind).collect()
    }
}

pub(crate) const NEW: &str = "/rest/app-chat/conversations/new";

pub(crate) fn http_client() -> Client {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().build().unwrap()
}

pub(crate) async fn body_json(response: Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// An answer that was read to its end.
pub(crate) struct Turn {
    pub conversation: String,
    pub response: String,
    /// Objects in order; what is not JSON stands as a string.
    pub objects: Vec<Value>,
    pub raw: String,
}

impl Turn {
    pub(crate) async fn read(response: Response) -> Self {
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        assert_eq!(response.headers()["content-type"], "application/json");
        Self::from_raw(response.text().await.unwrap())
    }

    pub(crate) fn from_raw(raw: String) -> Self {
        let lines = raw.lines().filter(|line| !line.trim().is_empty());
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
        let objects: Vec<Value> = lines.map(parse).collect();
        let mut turn = Self { conversation: String::new(), response: String::new(), objects, raw };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let conversation = turn.objects.iter().find_map(|object| object.pointer("/result/conversation/conversationId"));
        turn.conversation = text(conversation);
        let answers = turn.chunks().into_iter().filter(|chunk| chunk.get("userResponse").is_none());
        turn.response = text(answers.into_iter().find_map(|chunk| chunk.get("responseId")));
        turn
    }

    /// Answer chunks, whatever their envelope.
    pub(crate) fn chunks(&self) -> Vec<&Value> {
        let chunk = |object: &'_ Value| object["result"].get("response").is_some();
        let inner = self.objects.iter().map(|object| match chunk(object) {
            true => &object["result"]["response"],
            false => &object["result"],
        });
        inner.filter(|chunk| chunk.get("isThinking").is_some()).collect()
    }

    /// Visible tokens, concatenated.
    pub(crate) fn text(&self) -> String {
        let visible = |chunk: &&Value| chunk["isThinking"] == false && chunk["sideBySideIndex"] != 1;
        self.chunks().into_iter().filter(visible).filter_map(|chunk| chunk["token"].as_str()).collect()
    }

    /// The last stored answer.
    pub(crate) fn stored(&self) -> &Value {
        let mut stored = self.chunks().into_iter().filter_map(|chunk| chunk.get("modelResponse"));
        stored.next_back().expect("there is a modelResponse")
    }

    /// What each object is: the first member that is not common to all.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.objects.iter().map(kind).collect()
    }

    pub(crate) fn path(&self, call: &str) -> String {
        format!("/rest/app-chat/conversations/{}/{call}", self.conversation)
    }
}

fn kind(object: &Value) -> String {
    let Some(result) = object["result"].as_object() else {
        return object.as_object().and_then(|object| object.keys().next()).cloned().unwrap_or_default();
    };
    let members = result.get("response").and_then(Value::as_object).unwrap_or(result);
    if members.get("isSoftStop") == Some(&Value::Bool(true)) {
        return "softStop".to_owned();
    }
    let common =
        ["isThinking", "isSoftStop", "responseId", "messageTag", "messageStepId", "rolloutId", "toolUsageCardId"];
    members.keys().find(|name| !common.contains(&name.as_str())).cloned().unwrap_or_default()
}
