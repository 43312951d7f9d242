//! A chat as clients lead it, and what the upstream is to know of it.

use serde_json::{Value, json};

use crate::harness::{KEY, Rig};
use crate::reply::Reply;

/// A chat as clients lead it: the whole history with every request.
#[derive(Clone)]
pub(crate) struct Talk<'a> {
    rig: &'a Rig,
    pub(crate) key: String,
    pub(crate) stream: bool,
    pub(crate) messages: Vec<Value>,
    pub(crate) model: String,
}

impl<'a> Talk<'a> {
    /// An empty chat under the first key.
    pub(crate) fn new(rig: &'a Rig, stream: bool) -> Self {
        Self { rig, key: KEY.to_owned(), stream, messages: Vec::new(), model: "grok-4.2".to_owned() }
    }

    pub(crate) fn system(mut self, text: &str) -> Self {
        self.messages.push(system(text));
        self
    }

    /// The same chat, as far as its first `count` messages.
    pub(crate) fn first(&self, count: usize) -> Self {
        Self { messages: self.messages[..count].to_vec(), ..self.clone() }
    }

    /// Sends a body with these members; model and `stream` are added.
    pub(crate) async fn send(&self, members: Value) -> Reply {
        let mut body = json!({ "model": self.model, "stream": self.stream });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.rig.chat_as(&self.key, body, &[]).await
    }

    /// The messages of the next request.
    pub(crate) fn asking(&self, question: &str) -> Vec<Value> {
        self.messages.iter().cloned().chain([user(question)]).collect()
    }

    /// Asks without keeping question or answer.
    pub(crate) async fn ask(&self, question: &str) -> Reply {
        self.send(json!({ "messages": self.asking(question) })).await
    }

    /// Has the upstream recite the branch, which must hold exactly what was said here.
    pub(crate) async fn recite(&self) -> Reply {
        self.recite_by("recite").await
    }

    /// The same with a question of one's own, in which the word `recite` stands.
    pub(crate) async fn recite_by(&self, question: &str) -> Reply {
        let reply = self.ask(question).await.ok();
        assert_eq!(reply.text().lines().collect::<Vec<_>>(), recitation(&self.asking(question)));
        reply
    }

    /// Asks and keeps both, as a client does.
    pub(crate) async fn say(&mut self, question: &str) -> Reply {
        let reply = self.ask(question).await.ok();
        self.messages.extend([user(question), assistant(&reply.text())]);
        reply
    }
}

pub(crate) fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

pub(crate) fn assistant(text: &str) -> Value {
    json!({ "role": "assistant", "content": text })
}

pub(crate) fn system(text: &str) -> Value {
    json!({ "role": "system", "content": text })
}

/// What the simulator recites of these messages when each was sent upstream once, system text in front of the first question.
pub(crate) fn recitation(messages: &[Value]) -> Vec<String> {
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

/// Asserts that a replayed message holds everything that was said, in order, and its end last.
pub(crate) fn holds_all(message: &str, said: &[Value]) {
    let mut rest = message;
    for text in said.iter().map(|said| said["content"].as_str().unwrap()) {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text:?} is missing or out of order in {message}"));
        rest = &rest[at + text.len()..];
    }
    assert_eq!(rest, "", "what is asked stands last in {message}");
    for answer in said.iter().filter(|said| said["role"] == "assistant") {
        assert_eq!(message.matches(answer["content"].as_str().unwrap()).count(), 1, "{answer} in {message}");
    }
}
