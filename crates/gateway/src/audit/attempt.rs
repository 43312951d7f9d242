//! What is told of a request's attempts and of the choices before them, as the log keeps it. All times are milliseconds since
//! the request arrived.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest message kept; the log shows it in one line.
const MESSAGE: usize = 500;

/// One attempt with one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) account: String,
    /// `websocket` or `rest`; empty where it did not come so far.
    #[serde(default)]
    pub(crate) transport: String,
    /// Why the other transport was left for this one, for instance `no_route`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transport_left: Option<String>,
    /// `ok`, the verdict's label, or `client_gone`.
    pub(crate) outcome: String,
    /// Where it failed: `upstream` (it answered so), `credential`, `exit`, `transport`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<String>,
    /// Status of the upstream's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// What the account was charged with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) penalty: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    pub(crate) choice: Choice,
    /// Which way the turn was bound to the account, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receipt_reason: Option<String>,
    pub(crate) started_ms: u64,
    /// The conversation was shared and copied, if need be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bound_ms: Option<u64>,
    /// The upstream's answer began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_byte_ms: Option<u64>,
    /// The first visible event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_token_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_ms: Option<u64>,
}

/// Why an account was taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Choice {
    /// `owner`: it holds the conversation. `least_busy`: the least busy, longest unused one. `asked_for`: an admin wanted it.
    pub(crate) rule: String,
    /// Why the conversation's own account was not taken: `disabled`, `invalid`, `deleted`, `tried`, or the reason of its rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner_skipped: Option<String>,
    /// Accounts there are, and those that could serve the mode.
    pub(crate) accounts: usize,
    pub(crate) ready: usize,
}

/// How an attempt failed.
#[derive(Clone, Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) outcome: &'static str,
    pub(crate) class: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) penalty: Option<&'static str>,
    pub(crate) message: String,
}

impl Attempt {
    pub(super) fn fail(&mut self, failed: FailedAttempt, at_ms: u64) {
        failed.outcome.clone_into(&mut self.outcome);
        self.class = Some(failed.class.to_owned());
        self.status = failed.status.or(self.status);
        self.penalty = failed.penalty.map(str::to_owned);
        self.message = Some(cut(&failed.message));
        self.ended_ms = Some(at_ms);
    }
}

/// What was decided before and between the attempts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Routing {
    /// How the conversation was recognised: `response_id`, `conversation_id`, `chain`, `answer`, `window`, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recognised: Option<String>,
    /// The turn that is continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent_turn: Option<String>,
    /// The account that holds the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// Accounts by the reason why they could not serve, when none could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) skipped: Option<BTreeMap<String, u64>>,
    /// The key was known and the body read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) read_ms: Option<u64>,
    /// The conversation was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) planned_ms: Option<u64>,
    /// The upstream's answer was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) complete_ms: Option<u64>,
}

/// A text, cut to what the log shows.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
