//! How failures are said on a socket (UPSTREAM.md 16.11).

use serde_json::{Value, json};

use super::events::Events;
use crate::script::Severity;

/// An error inside an answer.
pub(super) fn stream_error(kind: &str, message: &str, severity: Severity, events: &mut Events) -> String {
    let kind = kind.chars().fold(String::new(), |mut out, character| {
        if character.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(character.to_ascii_lowercase());
        out
    });
    let mut error = json!({"message": message});
    if !kind.is_empty() {
        error["kind"] = kind.into();
    }
    if severity != Severity::Unknown {
        error["severity"] = severity.name().into();
    }
    events.event("response.grok.output", &json!({"output": {"stream_error": error}}))
}

/// How an `error` event names what the REST stream has a number for.
pub(super) fn error_code(code: &Value, message: &str) -> Value {
    match code.as_i64() {
        Some(7) if message.contains("anti-bot") => "anti_bot".into(),
        Some(3) => "invalid_argument".into(),
        Some(5) => "not_found".into(),
        Some(7) => "permission_denied".into(),
        Some(8) => "resource_exhausted".into(),
        Some(16) => "unauthenticated".into(),
        Some(_) => "internal".into(),
        None => code.clone(),
    }
}
