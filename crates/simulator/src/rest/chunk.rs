//! The outer layers of a streamed object (UPSTREAM.md 5.3 and 5.4).

use serde_json::Value;

use crate::json;

/// Which form of the stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Envelope {
    /// A new conversation: chunks under `result.response`.
    New,
    /// A turn in an existing conversation: chunks directly under `result`.
    Flat,
    /// A reconnected stream: as a new conversation, without the frames that introduce it.
    Reconnect,
}

/// Members that accompany a chunk's payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks<'a> {
    pub thinking: bool,
    pub soft_stop: bool,
    /// Empty leaves it out, as do the other texts here.
    pub tag: &'a str,
    pub step: Option<u32>,
    pub tool_card: &'a str,
    pub rollout: &'a str,
}

impl Marks<'_> {
    pub(crate) const FINAL: Marks<'static> =
        Marks { thinking: false, soft_stop: false, tag: "final", step: None, tool_card: "", rollout: "" };

    pub(crate) const PLAIN: Marks<'static> = Marks { tag: "", ..Self::FINAL };
}

/// One object of the stream, in the recorded order of members: payload, marks, ids. `payload` is JSON members without
/// the braces around them.
pub(crate) fn chunk(envelope: Envelope, payload: &str, marks: Marks<'_>, response_id: &str) -> String {
    let mut out = String::with_capacity(payload.len() + 160);
    out.push_str(match envelope {
        Envelope::Flat => r#"{"result":{"#,
        Envelope::New | Envelope::Reconnect => r#"{"result":{"response":{"#,
    });
    json::push_escaped(payload, &mut out);
    if !payload.is_empty() {
        out.push(',');
    }
    out.push_str(if marks.thinking { r#""isThinking":true"# } else { r#""isThinking":false"# });
    out.push_str(if marks.soft_stop { r#","isSoftStop":true"# } else { r#","isSoftStop":false"# });
    push_member(&mut out, "messageTag", marks.tag);
    if let Some(step) = marks.step {
        out.push_str(&format!(r#","messageStepId":{step}"#));
    }
    push_member(&mut out, "responseId", response_id);
    push_member(&mut out, "toolUsageCardId", marks.tool_card);
    push_member(&mut out, "rolloutId", marks.rollout);
    out.push_str(match envelope {
        Envelope::Flat => "}}",
        Envelope::New | Envelope::Reconnect => "}}}",
    });
    out
}

/// An object whose payload is not a chunk: the conversation, the title, an error.
pub(crate) fn outer(value: &Value) -> String {
    let mut out = String::new();
    json::push_escaped(&value.to_string(), &mut out);
    out
}

/// `"name":value`
pub(crate) fn member(name: &str, value: &Value) -> String {
    format!("\"{name}\":{value}")
}

/// The members of an object, without its braces; nothing if it is no object.
pub(crate) fn members(object: &Value) -> String {
    let text = object.to_string();
    match object {
        Value::Object(_) => text[1..text.len() - 1].to_owned(),
        _ => String::new(),
    }
}

fn push_member(out: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    json::push_escaped(&json::quoted(value), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn chunks_follow_the_recorded_form() {
        let marks = Marks { step: Some(1), rollout: "Grok", thinking: true, tag: "summary", ..Marks::PLAIN };
        assert_eq!(
            chunk(Envelope::New, &member("token", &"<b>".into()), marks, "r"),
            r#"{"result":{"response":{"token":"\u003cb\u003e","isThinking":true,"isSoftStop":false,"messageTag":"summary","messageStepId":1,"responseId":"r","rolloutId":"Grok"}}}"#
        );
        assert_eq!(
            chunk(Envelope::Flat, &members(&json!({})), Marks::PLAIN, "r"),
            r#"{"result":{"isThinking":false,"isSoftStop":false,"responseId":"r"}}"#
        );
    }
}
