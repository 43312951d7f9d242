//! A client of the WebSocket that does what the web app does, and lets a test do it wrong.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, handshake::client::Request},
};

use crate::client::World;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest wait for a message; a test that waits longer has failed.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

impl World {
    /// A correct upgrade of an account.
    pub(crate) fn upgrade(&self, sso: &str) -> Request {
        let user_id = self.simulator.account(sso).user_id();
        let mut request = self.bare_upgrade(&format!("/ws/mgw/?uid={user_id}"));
        let headers = request.headers_mut();
        let cookie = format!("sso={sso}; sso-rw={sso}; x-userid={user_id}");
        headers.insert("cookie", cookie.parse().unwrap());
        headers.insert("origin", "https://grok.com".parse().unwrap());
        headers.insert("user-agent", "Mozilla/5.0 (X11; Linux x86_64)".parse().unwrap());
        request
    }

    /// An upgrade without any headers of its own.
    pub(crate) fn bare_upgrade(&self, path: &str) -> Request {
        format!("{}{path}", self.simulator.url().replacen("http", "ws", 1)).into_client_request().unwrap()
    }

    pub(crate) async fn socket(&self, sso: &str) -> SocketClient {
        SocketClient::over(connect_async(self.upgrade(sso)).await.unwrap().0)
    }

    /// The status with which an upgrade is refused, and the body.
    pub(crate) async fn refused_upgrade(&self, request: Request) -> (u16, String) {
        match connect_async(request).await {
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), String::from_utf8(body).unwrap())
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    /// A whole turn on a socket of its own.
    pub(crate) async fn ask(&self, sso: &str, message: &str) -> SocketTurn {
        let mut socket = self.socket(sso).await;
        socket.open(chunks()).await;
        socket.ask(message).await
    }
}

/// What a session asks for that wants chunks.
pub(crate) fn chunks() -> Value {
    json!({"protocol_capabilities": ["conversation_attached", "custom_methods_v1"], "use_chunk": true,
        "enable_image_generation": true})
}

/// What a session asks for that goes on with a conversation.
pub(crate) fn loading(conversation: &str) -> Value {
    let mut wishes = chunks();
    wishes["conversation_id"] = conversation.into();
    wishes["load_existing"] = true.into();
    wishes["needs_history"] = false.into();
    wishes
}

pub(crate) struct SocketClient {
    pub stream: Stream,
    pub session: Option<String>,
    /// The answer that the next message follows.
    pub parent: Option<String>,
    events: u32,
}

impl SocketClient {
    pub(crate) fn over(stream: Stream) -> Self {
        Self { stream, session: None, parent: None, events: 0 }
    }

    /// Sends an event in its envelope; the id of the event.
    pub(crate) async fn send(&mut self, mut event: Value) -> String {
        self.events += 1;
        let id = format!("evt_test_{}", self.events);
        event["event_id"] = id.as_str().into();
        let mut envelope = json!({"event": event});
        if let Some(session) = &self.session {
            envelope["session_id"] = session.as_str().into();
        }
        self.send_text(envelope.to_string()).await;
        id
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The next message of any kind; none at the end.
    pub(crate) async fn message(&mut self) -> Option<Result<Message, Error>> {
        timeout(PATIENCE, self.stream.next()).await.expect("a message comes within ten seconds")
    }

    /// The next envelope. What is none is skipped.
    pub(crate) async fn receive(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Ok(Message::Text(text))) => match serde_json::from_str::<Value>(&text) {
                    Ok(envelope) if envelope.is_object() => return envelope,
                    _ => {}
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {}
                other => panic!("the socket ended: {other:?}"),
            }
        }
    }

    /// The next text as JSON, null if it is none; nothing at the end of the socket.
    pub(crate) async fn receive_any(&mut self) -> Option<Value> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap_or_default()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Everything that comes until the answer to a ping: all that was due before it.
    pub(crate) async fn settle(&mut self) -> Vec<Value> {
        self.send_text(json!({"event": {"type": "ping", "event_id": "evt_hb"}}).to_string()).await;
        let mut envelopes = Vec::new();
        loop {
            let envelope = self.receive().await;
            if envelope["event"]["type"] == "pong" {
                return envelopes;
            }
            envelopes.push(envelope);
        }
    }

    /// Opens a session; what the server said.
    pub(crate) async fn open(&mut self, wishes: Value) -> Vec<Value> {
        self.session = wishes["conversation_id"].as_str().map(str::to_owned);
        let session = json!({"model": "fast", "x_grok": wishes});
        let id = self.send(json!({"type": "session.create", "session": session})).await;
        let said = self.settle().await;
        let ours = |said: &&Value| said["event"]["type"] == "session.created" && said["event"]["client_event_id"] == id;
        if let Some(created) = said.iter().find(ours) {
            self.session = created["session_id"].as_str().map(str::to_owned);
        }
        said
    }

    /// Sends a message and asks for the answer, without reading it.
    pub(crate) async fn put(&mut self, message: &str) {
        let item = json!({"type": "message", "role": "user", "x_grok": {
            "client_message_id": "77aa0c11-2d3e-4f50-8a6b-7c8d9e0f1a2b",
            "input_chunks": [{"text": {"text": message}}]}});
        let mut event = json!({"type": "conversation.item.create", "item": item});
        if let Some(parent) = &self.parent {
            event["parent_response_id"] = parent.as_str().into();
        }
        self.send(event).await;
        self.send(json!({"type": "response.create"})).await;
    }

    /// A whole turn, read until `response.done` and what follows it at once.
    pub(crate) async fn ask(&mut self, message: &str) -> SocketTurn {
        self.put(message).await;
        let mut envelopes = Vec::new();
        loop {
            let envelope = self.receive().await;
            let foreign = envelope["session_id"].as_str().is_some_and(|id| Some(id) != self.session.as_deref());
            let over = ["response.done", "error"].iter().any(|end| envelope["event"]["type"] == *end);
            envelopes.push(envelope);
            if over && !foreign {
                break;
            }
        }
        envelopes.extend(self.settle().await);
        let turn = SocketTurn { conversation: self.session.clone().unwrap_or_default(), envelopes };
        self.parent = Some(turn.response());
        turn
    }

    /// Reads to the end of the socket; what came, and whether it ended with a goodbye.
    pub(crate) async fn drain(&mut self) -> (Vec<Value>, bool) {
        let mut envelopes = Vec::new();
        loop {
            match self.message().await {
                Some(Ok(Message::Text(text))) => envelopes.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_))) => return (envelopes, true),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (envelopes, false),
            }
        }
    }
}

/// A turn that was read to its end.
#[derive(Debug)]
pub(crate) struct SocketTurn {
    pub conversation: String,
    pub envelopes: Vec<Value>,
}

impl SocketTurn {
    /// Events of its session.
    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = &Value> {
        let foreign = |envelope: &Value| envelope["session_id"].as_str().is_some_and(|id| id != self.conversation);
        self.envelopes.iter().filter(move |envelope| !foreign(envelope)).map(|envelope| &envelope["event"])
    }

    pub(crate) fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.events().filter(|event| event["type"] == kind).collect()
    }

    /// Types in order, neighbours that are equal once.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.events().filter_map(|event| event["type"].as_str()).collect();
        kinds.dedup();
        kinds
    }

    /// Payloads of the chunks.
    pub(crate) fn chunks(&self) -> Vec<&Value> {
        self.of_type("response.chunk").into_iter().map(|event| &event["chunk"]).collect()
    }

    /// Values of one payload member.
    pub(crate) fn payloads(&self, name: &str) -> Vec<&Value> {
        self.chunks().into_iter().filter_map(|chunk| chunk.get(name)).collect()
    }

    /// Visible text of the chunks.
    pub(crate) fn text(&self) -> String {
        let visible = |text: &&Value| match text["channel"].as_str() {
            None => true,
            Some(channel) => channel == "CHANNEL_ASSISTANT_RESPONSE",
        };
        self.payloads("text").into_iter().filter(visible).filter_map(|text| text["text"].as_str()).collect()
    }

    pub(crate) fn response(&self) -> String {
        let created = self.of_type("response.created");
        created.first().and_then(|event| event["response"]["id"].as_str()).unwrap_or_default().to_owned()
    }

    /// Status of `response.done`; empty if there was none.
    pub(crate) fn status(&self) -> &str {
        self.of_type("response.done").first().and_then(|done| done["response"]["status"].as_str()).unwrap_or_default()
    }

    /// The same turn for the helpers of the REST client.
    pub(crate) fn rest(&self) -> crate::client::Turn {
        let mut turn = crate::client::Turn::from_raw(String::new());
        turn.conversation.clone_from(&self.conversation);
        turn.response = self.response();
        turn
    }
}
