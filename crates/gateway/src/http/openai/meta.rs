//! What the console is told of an answer besides the answer: which way it took, who gave it, where it stands, how long it took.

use protocol::openai::Usage;
use serde_json::{Value, json};

use super::stream::StreamOptions;
use crate::accounts::AccountPool;
use crate::chat::Answer;

/// With `usage` everything has been told; without, the answer begins.
pub(super) fn meta(answer: &Answer, options: &StreamOptions, accounts: &AccountPool, usage: Option<&Usage>) -> Value {
    let row = &answer.record.row;
    let account = row.account_id.as_deref().map(|id| {
        let labels = accounts.labels(std::iter::once(id));
        let known = labels.get(id);
        json!({
            "id": id,
            "label": known.map(|known| &known.label),
            "fingerprint": known.map(|known| &known.fingerprint),
        })
    });
    let (conversation, response) = answer.upstream_ids();
    json!({
        "phase": if usage.is_some() { "end" } else { "start" },
        "request_id": &*options.request_id.0,
        "request": row.id,
        "receipt": answer.receipt().label(),
        "recognised": answer.recognised(),
        "conversation_id": answer.conversation_id(),
        "response_id": format!("chatcmpl-{}", answer.turn_id()),
        "turn_id": answer.turn_id(),
        "parent_turn_id": answer.parent_turn(),
        "account": account,
        "transport": row.transport,
        "mode": row.mode,
        "attempts": answer.record.attempt_count(),
        "upstream": { "conversation_id": conversation, "response_id": response },
        "timing": {
            "queue_ms": row.queue_ms,
            "first_byte_ms": row.first_byte_ms,
            "first_token_ms": row.first_token_ms,
            "elapsed_ms": answer.record.elapsed_ms(),
        },
        // Estimated from the texts.
        "usage": usage.map(|usage| json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        })),
    })
}

/// Writes it as an event that clients of the stream's other events pass over.
pub(super) fn write_frame(meta: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: meta\ndata: {meta}\n\n").as_bytes());
}

/// Adds a member to an object that we have written.
pub(super) fn with_member(body: &[u8], name: &str, value: Value) -> Vec<u8> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut object)) => {
            object.insert(name.to_owned(), value);
            Value::Object(object).to_string().into_bytes()
        }
        _ => body.to_vec(),
    }
}
