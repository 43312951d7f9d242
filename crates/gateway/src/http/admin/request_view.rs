//! Requests as the console and scripts read them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::AdminState;
use super::conversations::NamedKey;
use crate::accounts::AccountLabel;
use crate::audit::{Attempt, LogEntry};
use crate::clock::timestamp;
use crate::store::request_log::LogRow;

/// Names of what rows hold ids of.
pub(super) struct Names<'a> {
    state: &'a AdminState,
    accounts: HashMap<&'a str, AccountLabel>,
}

impl<'a> Names<'a> {
    pub(super) fn of(state: &'a AdminState, accounts: impl Iterator<Item = &'a str>) -> Self {
        Self { state, accounts: state.accounts.labels(accounts) }
    }

    /// The account; without a name when it has been deleted.
    pub(super) fn account(&self, id: &str) -> Value {
        let known = self.accounts.get(id);
        json!({
            "id": id,
            "label": known.map(|known| known.label.as_str()),
            "fingerprint": known.map(|known| known.fingerprint.as_str()),
        })
    }

    /// The key; without a name when it has been deleted.
    pub(super) fn key(&self, id: &str) -> Value {
        json!(NamedKey::of(self.state, id))
    }
}

/// How an ending counts.
fn outcome(ending: &str) -> &'static str {
    match ending {
        "done" => "succeeded",
        "client_gone" | "shutdown" => "cancelled",
        _ => "failed",
    }
}

/// Longest words of an error in a list; the request itself tells all that is kept.
const WORDS: usize = 160;

/// A row as lists show it.
pub(super) fn row(row: &LogRow, names: &Names<'_>) -> Value {
    let mut shown = whole_row(row, names);
    if let Some(words) = row.error_message.as_deref()
        && let Some((end, _)) = words.char_indices().nth(WORDS)
    {
        shown["error"]["message"] = json!(format!("{}…", &words[..end]));
    }
    shown
}

/// A row with nothing cut.
pub(super) fn whole_row(row: &LogRow, names: &Names<'_>) -> Value {
    let error = (row.error_code.is_some() || row.error_message.is_some())
        .then(|| json!({ "code": row.error_code, "message": row.error_message }));
    json!({
        "id": row.id,
        "request_id": row.request_id,
        "at": timestamp(row.at),
        "route": row.route,
        "stream": row.stream,
        "model": row.model,
        "mode": row.mode,
        "outcome": outcome(&row.ending),
        "ending": row.ending,
        "status": row.status,
        "error": error,
        "key": row.key_id.as_deref().map(|id| names.key(id)),
        "account": row.account_id.as_deref().map(|id| names.account(id)),
        "conversation_id": row.conversation_id,
        "receipt": row.turn,
        "transport": row.transport,
        "attempt_count": row.attempt_count,
        "queue_ms": row.queue_ms,
        "first_byte_ms": row.first_byte_ms,
        "first_token_ms": row.first_token_ms,
        "duration_ms": row.duration_ms,
        "bytes": row.bytes,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "client": row.client,
        "ip": row.client_ip,
    })
}

/// One request with its attempts, its routing and its time line.
pub(super) fn entry(state: &AdminState, entry: &LogEntry) -> Value {
    let ids = entry.attempts.iter().map(|attempt| attempt.account.as_str());
    let ids = ids.chain(entry.routing.owner.as_deref()).chain(entry.row.account_id.as_deref());
    let names = Names::of(state, ids);
    let mut shown = whole_row(&entry.row, &names);
    let last = entry.attempts.last();
    shown["user_agent"] = json!(entry.row.user_agent);
    // The upstream tells no counts: all are estimated from the texts.
    shown["tokens_source"] = json!("estimated");
    shown["cause"] = cause(entry);
    shown["overhead_ms"] = json!(overhead(entry));
    shown["timeline"] = json!(timeline(entry));
    shown["attempts"] =
        entry.attempts.iter().enumerate().map(|(position, one)| attempt(position, one, &names)).collect();
    shown["routing"] = json!({
        "recognised": entry.routing.recognised,
        "parent_turn": entry.routing.parent_turn,
        "owner": entry.routing.owner.as_deref().map(|id| names.account(id)),
        "receipt_reason": last.and_then(|attempt| attempt.receipt_reason.as_deref()),
        "rule": last.map(|attempt| attempt.choice.rule.as_str()),
        "owner_skipped": last.and_then(|attempt| attempt.choice.owner_skipped.as_deref()),
        "accounts": last.map(|attempt| attempt.choice.accounts),
        "ready": last.map(|attempt| attempt.choice.ready),
        "skipped": entry.routing.skipped,
    });
    shown
}

fn attempt(position: usize, attempt: &Attempt, names: &Names<'_>) -> Value {
    json!({
        "number": position + 1,
        "account": names.account(&attempt.account),
        "transport": attempt.transport,
        "transport_left": attempt.transport_left,
        "outcome": attempt.outcome,
        "class": attempt.class,
        "status": attempt.status,
        "penalty": attempt.penalty,
        "message": attempt.message,
        "receipt": attempt.receipt,
        "receipt_reason": attempt.receipt_reason,
        "choice": {
            "rule": attempt.choice.rule,
            "owner_skipped": attempt.choice.owner_skipped,
            "accounts": attempt.choice.accounts,
            "ready": attempt.choice.ready,
        },
        "started_ms": attempt.started_ms,
        "bound_ms": attempt.bound_ms,
        "first_byte_ms": attempt.first_byte_ms,
        "first_token_ms": attempt.first_token_ms,
        "ended_ms": attempt.ended_ms,
    })
}

/// Phases in their order, each with its beginning and length.
fn timeline(entry: &LogEntry) -> Vec<Value> {
    let mut phases = Vec::new();
    let mut phase = |name: &str, attempt: Option<usize>, from: Option<u64>, until: Option<u64>| {
        if let (Some(from), Some(until)) = (from, until) {
            let length = until.saturating_sub(from);
            phases.push(json!({ "phase": name, "attempt": attempt, "start_ms": from, "duration_ms": length }));
        }
    };
    let routing = &entry.routing;
    let end = u64::try_from(entry.row.duration_ms).unwrap_or(0);
    phase("read", None, Some(0), routing.read_ms);
    phase("recognise", None, routing.read_ms, routing.planned_ms);
    let mut after = routing.planned_ms;
    for (position, attempt) in entry.attempts.iter().enumerate() {
        let number = Some(position + 1);
        let ended = attempt.ended_ms.unwrap_or(end);
        phase("choose", number, after, Some(attempt.started_ms));
        // Shared and copied only when the turn moves.
        phase("bind", number, Some(attempt.started_ms), attempt.bound_ms);
        phase("first_byte", number, attempt.bound_ms, Some(attempt.first_byte_ms.unwrap_or(ended)));
        if let Some(first_byte) = attempt.first_byte_ms {
            phase("first_token", number, Some(first_byte), Some(attempt.first_token_ms.unwrap_or(ended)));
        }
        phase("stream", number, attempt.first_token_ms, Some(ended));
        after = Some(ended);
    }
    phase("finish", None, routing.complete_ms, Some(end));
    phases
}

/// What the gateway itself took: everything but the attempts.
fn overhead(entry: &LogEntry) -> i64 {
    let attempts = entry.attempts.iter().map(|attempt| {
        attempt.ended_ms.map_or(0, |ended| i64::try_from(ended.saturating_sub(attempt.started_ms)).unwrap_or(0))
    });
    (entry.row.duration_ms - attempts.sum::<i64>()).max(0)
}

/// Why it did not succeed, in one sentence; `null` when it did.
fn cause(entry: &LogEntry) -> Value {
    let row = &entry.row;
    let failed: Vec<&Attempt> =
        entry.attempts.iter().filter(|attempt| attempt.class.is_some() && attempt.outcome != "ok").collect();
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    failed.iter().for_each(|attempt| *outcomes.entry(attempt.outcome.as_str()).or_default() += 1);
    let told = outcomes.iter().map(|(outcome, count)| format!("{count} × {outcome}")).collect::<Vec<_>>().join(", ");
    let (code, params, message) = match row.ending.as_str() {
        "done" => return Value::Null,
        "client_gone" if row.error_code.as_deref() == Some("client_not_reading") => {
            let params = json!({ "after_ms": row.duration_ms });
            ("client_not_reading", params, "The client took nothing of its answer for too long.".to_owned())
        }
        "shutdown" => {
            let params = json!({ "after_ms": row.duration_ms });
            ("shutdown", params, "The service stopped before the answer was complete.".to_owned())
        }
        "client_gone" => {
            let place =
                if row.first_token_ms.is_some() { "in the middle of the answer" } else { "before an answer began" };
            let params = json!({ "after_ms": row.duration_ms });
            ("client_left", params, format!("The client left after {} ms, {place}.", row.duration_ms))
        }
        "broken" => {
            let params = json!({ "outcomes": outcomes, "after_ms": row.duration_ms });
            ("answer_broke", params, format!("The answer broke after it had begun: {told}."))
        }
        _ if !failed.is_empty() => {
            let params = json!({ "attempts": failed.len(), "outcomes": outcomes, "skipped": entry.routing.skipped });
            let rest = if entry.routing.skipped.is_some() { "; no other account could serve" } else { "" };
            ("attempts_failed", params, format!("All {} attempts failed: {told}{rest}.", failed.len()))
        }
        _ => match &entry.routing.skipped {
            Some(skipped) => ("no_account", json!({ "skipped": skipped }), "No account could serve.".to_owned()),
            None => {
                let words = row.error_message.clone().unwrap_or_else(|| "It was refused.".to_owned());
                ("refused", json!({ "error_code": row.error_code }), words)
            }
        },
    };
    json!({ "code": code, "params": params, "message": message })
}
