//! What a client reads of an answer.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// What came back, streamed or not.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The JSON body of an answer that was not streamed.
    pub(crate) body: Value,
    /// The objects of a stream, in order.
    pub(crate) chunks: Vec<Value>,
    /// Whether the stream ended with `[DONE]`.
    pub(crate) done: bool,
    /// Comments in the stream.
    pub(crate) comments: usize,
}

impl Reply {
    /// Reads a response to its end.
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let is_stream =
            headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().starts_with("text/event-stream"));
        let bytes = response.bytes().await.unwrap();
        let mut reply = Self { status, headers, body: Value::Null, chunks: Vec::new(), done: false, comments: 0 };
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
    pub(crate) fn content(&self) -> String {
        if self.chunks.is_empty() {
            self.body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
        } else {
            self.deltas("content")
        }
    }

    /// The visible text, without reasoning in tags.
    pub(crate) fn text(&self) -> String {
        let content = self.content();
        match content.rsplit_once("</think>") {
            Some((_, answer)) => answer.trim_start().to_owned(),
            None => content,
        }
    }

    /// One member of all deltas, joined.
    pub(crate) fn deltas(&self, member: &str) -> String {
        self.chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][member].as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The receipt: `new`, `native`, `branched`, `moved` or `replayed`.
    pub(crate) fn turn(&self) -> &str {
        self.header("x-grok2api-turn")
    }

    /// The conversation id, which must stand in the header and in the body alike.
    pub(crate) fn conversation_id(&self) -> String {
        let first = if self.chunks.is_empty() { &self.body } else { &self.chunks[0] };
        let id = first["conversation_id"].as_str().expect("conversation_id").to_owned();
        assert_eq!(id, self.header("x-grok2api-conversation"));
        id
    }

    /// The answer's own id, which must stand in every chunk.
    pub(crate) fn id(&self) -> String {
        let first = self.chunks.first().unwrap_or(&self.body);
        assert!(self.chunks.iter().all(|chunk| chunk["id"] == first["id"]));
        first["id"].as_str().expect("id").to_owned()
    }

    /// The error object, of a refusal or inside a stream.
    pub(crate) fn error(&self) -> &Value {
        let in_stream = self.chunks.iter().map(|chunk| &chunk["error"]).find(|error| error.is_object());
        in_stream.unwrap_or(&self.body["error"])
    }

    /// Asserts a whole answer.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{:?}", self.body);
        assert!(self.error().is_null(), "{:?}", self.error());
        assert!(self.chunks.is_empty() || self.done, "no [DONE]");
        self
    }
}
