//! What clients send (UPSTREAM.md 16.2 and 16.3), read as leniently as protobuf JSON is.

use serde_json::{Map, Value};

/// An event in its envelope.
pub(crate) struct ClientEvent {
    pub session_id: Option<String>,
    pub event: Value,
}

/// What a message item says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Item {
    pub role: String,
    pub text: String,
    /// Every file it names, wherever it does.
    pub files: Vec<String>,
    /// Those that the text mentions: the others are not seen.
    pub mentioned: Vec<String>,
    /// The message in pieces; made up for the Realtime form.
    pub input_chunks: Vec<Value>,
}

impl ClientEvent {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let message = snake_case_members(serde_json::from_slice(bytes).ok()?);
        let event = message["event"].clone();
        event["type"].is_string().then(|| Self { session_id: text(&message["session_id"]), event })
    }

    pub(crate) fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.event["event_id"].as_str()
    }
}

impl Item {
    /// Reads a `conversation.item.create` event.
    pub(crate) fn read(event: &Value) -> Self {
        let item = &event["item"];
        let mut read = Self { role: text(&item["role"]).unwrap_or_default(), ..Self::default() };
        for chunk in item["x_grok"]["input_chunks"].as_array().into_iter().flatten() {
            if let Some(text) = chunk["text"]["text"].as_str() {
                read.push_text(text);
            }
            for mention in [&chunk["mention"], &chunk["mention"]["target"]] {
                read.mentioned.extend(text(&mention["file_mention"]["file_id"]));
            }
            read.input_chunks.push(chunk.clone());
        }
        for part in item["content"].as_array().into_iter().flatten() {
            if let Some(text) = part["text"].as_str() {
                read.push_text(text);
                read.input_chunks.push(serde_json::json!({"text": {"text": text}}));
            }
        }
        read.files.clone_from(&read.mentioned);
        for list in [&event["file_attachment_ids"], &item["file_attachment_ids"]] {
            for file in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !read.files.iter().any(|known| known == file) {
                    read.files.push(file.to_owned());
                }
            }
        }
        read
    }

    fn push_text(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The same value with its members named in snake case.
pub(crate) fn snake_case_members(value: Value) -> Value {
    rename(value, &|name| {
        let mut out = String::with_capacity(name.len());
        for character in name.chars() {
            if character.is_ascii_uppercase() {
                out.push('_');
            }
            out.push(character.to_ascii_lowercase());
        }
        out
    })
}

/// The same value with its members named in camel case.
pub(crate) fn camel_case_members(value: Value) -> Value {
    rename(value, &crate::turn::cards::camel_case)
}

fn rename(value: Value, name: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            let renamed = members.into_iter().map(|(key, value)| (name(&key), rename(value, name)));
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(|value| rename(value, name)).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_spellings_are_read() {
        let message = json!({"sessionId": "s", "event": {"type": "ping", "eventId": "e"}}).to_string();
        let event = ClientEvent::read(message.as_bytes()).unwrap();
        assert_eq!((event.session_id.as_deref(), event.kind(), event.id()), (Some("s"), "ping", Some("e")));
        assert!(ClientEvent::read(b"[]").is_none() && ClientEvent::read(b"{\"event\":{}}").is_none());
        assert_eq!(camel_case_members(json!([{"step_id": {"a_b": 1}}])), json!([{"stepId": {"aB": 1}}]));
    }

    #[test]
    fn files_are_found_in_every_spelling() {
        let chunks = json!([
            {"mention": {"file_mention": {"file_id": "a"}}},
            {"mention": {"target": {"file_mention": {"file_id": "b"}}}},
            {"text": {"text": "one"}}, {"text": {"text": "two"}},
        ]);
        let event = json!({"file_attachment_ids": ["a", "c"], "item": {"role": "user", "file_attachment_ids": ["d"],
            "x_grok": {"input_chunks": chunks}}});
        let item = Item::read(&event);
        assert_eq!((item.text.as_str(), item.role.as_str()), ("one\ntwo", "user"));
        assert_eq!(
            (item.mentioned, item.files),
            (vec!["a".into(), "b".into()], ["a", "b", "c", "d"].map(String::from).to_vec())
        );
        assert_eq!(item.input_chunks.len(), 4);
        let realtime = json!({"item": {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}});
        assert_eq!(Item::read(&realtime).text, "hi");
    }
}
