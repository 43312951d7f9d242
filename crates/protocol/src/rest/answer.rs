//! The answers of the upstream's unary calls (UPSTREAM.md 11, 13). Readers take what they need and pass over the rest.

use std::fmt;

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::failure::{Failure, FailureKind};
use crate::halves::mended_json;
use crate::lenient::{Flag, Number, Text};

/// An answer that could not be used; says what was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// What was missing.
    pub message: String,
}

impl ReadError {
    fn missing(call: &str, member: &str) -> Self {
        Self { message: format!("the upstream's answer to {call} has no {member}") }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

fn read<'a, T: Deserialize<'a>>(call: &str, body: &'a [u8]) -> Result<T, ReadError> {
    // The parser's own words may quote the answer, so they stay here.
    serde_json::from_slice(body).map_err(|error| ReadError {
        message: match error.classify() {
            Category::Data => format!("the upstream's answer to {call} has an unknown shape"),
            Category::Io | Category::Syntax | Category::Eof => format!("the upstream's answer to {call} is not JSON"),
        },
    })
}

/// What became of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uploaded {
    /// The file has this id.
    As(String),
    /// The file was refused, in these words.
    Refused(String),
}

/// Reads the file id of [`super::upload`].
pub fn read_upload(body: &[u8]) -> Result<Uploaded, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow, default)]
        file_metadata_id: Text<'a>,
    }
    let answer: Answer<'_> = read("upload", body)?;
    let id = answer.file_metadata_id.into_owned();
    id.map(Uploaded::As).ok_or_else(|| ReadError::missing("upload", "fileMetadataId"))
}

/// Reads the file id of [`super::upload_direct`], or why the file was refused.
pub fn read_upload_direct(body: &[u8]) -> Result<Uploaded, ReadError> {
    let body = &*mended_json(body);
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Metadata<'a> {
        #[serde(borrow)]
        file_metadata_id: Text<'a>,
        #[serde(borrow)]
        file_id: Text<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<'a> {
        #[serde(borrow, default)]
        upload_id: Text<'a>,
        #[serde(borrow, default)]
        file_metadata: Option<Metadata<'a>>,
        #[serde(default)]
        terminal_error: Value,
    }
    let answer: Answer<'_> = read("upload", body)?;
    if let Some(words) = refusal(&answer.terminal_error) {
        return Ok(Uploaded::Refused(words));
    }
    let metadata = answer.file_metadata.unwrap_or_default();
    let id = metadata.file_metadata_id.into_owned().or_else(|| metadata.file_id.into_owned());
    let id = id.or_else(|| answer.upload_id.into_owned());
    id.map(Uploaded::As).ok_or_else(|| ReadError::missing("upload", "fileMetadataId"))
}

/// The words of an error that is there whenever it is not empty.
fn refusal(error: &Value) -> Option<String> {
    match error {
        Value::String(words) if !words.trim().is_empty() => Some(words.trim().to_owned()),
        Value::Object(members) if !members.is_empty() => {
            let words = ["message", "reason", "code"].iter().find_map(|name| match members.get(*name)? {
                Value::String(words) if !words.is_empty() => Some(words.clone()),
                _ => None,
            });
            Some(words.unwrap_or_else(|| "no reason was given".to_owned()))
        }
        _ => None,
    }
}

/// Reads the link id of [`super::share`].
pub fn read_share(body: &[u8]) -> Result<String, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Share<'a> {
        #[serde(borrow, default)]
        share_link_id: Text<'a>,
    }
    let share: Share<'_> = read("share", body)?;
    share.share_link_id.into_owned().ok_or_else(|| ReadError::missing("share", "shareLinkId"))
}

/// A conversation copied into the calling account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClonedConversation {
    /// The copy's id.
    pub conversation_id: String,
    /// Its messages, with new ids, oldest first.
    pub responses: Vec<StoredResponse>,
}

impl ClonedConversation {
    /// The message that the next turn continues: the last answer, or the last message if there is none.
    pub fn leaf(&self) -> Option<&StoredResponse> {
        self.responses.iter().rfind(|response| response.is_assistant).or_else(|| self.responses.last())
    }
}

/// One stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// Its id.
    pub id: String,
    /// The message it answers.
    pub parent: Option<String>,
    /// Whether the model wrote it.
    pub is_assistant: bool,
    /// Its text with markup.
    pub message: String,
    /// Whether it is still being written, or was cut.
    pub partial: bool,
}

/// The members of a stored message that we read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseForm<'a> {
    #[serde(borrow, default)]
    response_id: Text<'a>,
    #[serde(borrow, default)]
    parent_response_id: Text<'a>,
    #[serde(borrow, default)]
    sender: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
    #[serde(default)]
    partial: Flag,
    #[serde(borrow, default)]
    output_chunks: Option<Vec<ChunkForm<'a>>>,
    #[serde(borrow, default)]
    input_chunks: Option<Vec<ChunkForm<'a>>>,
}

/// A piece of a message that was made over the WebSocket (UPSTREAM.md 16.8).
#[derive(Deserialize, Default)]
#[serde(default)]
struct ChunkForm<'a> {
    #[serde(borrow)]
    text: Option<ChunkText<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ChunkText<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    channel: Text<'a>,
}

/// The words of the pieces that are for the reader: thinking is not.
fn words_of(chunks: &[ChunkForm<'_>]) -> String {
    let is_visible = |text: &&ChunkText<'_>| {
        text.channel.0.as_deref().is_none_or(|channel| channel.is_empty() || channel == "CHANNEL_ASSISTANT_RESPONSE")
    };
    let texts = chunks.iter().filter_map(|chunk| chunk.text.as_ref()).filter(is_visible);
    texts.filter_map(|text| text.text.0.as_deref()).collect()
}

impl ResponseForm<'_> {
    /// The upstream writes `assistant` and `ASSISTANT`.
    fn is_assistant(&self) -> bool {
        self.sender.0.as_deref().is_some_and(|sender| sender.eq_ignore_ascii_case("assistant"))
    }

    /// `None` for an entry without an id: nothing can refer to it.
    fn stored(self) -> Option<StoredResponse> {
        let is_assistant = self.is_assistant();
        let chunks = if is_assistant { &self.output_chunks } else { &self.input_chunks };
        let words = chunks.as_deref().map(words_of).unwrap_or_default();
        Some(StoredResponse {
            id: self.response_id.into_owned()?,
            parent: self.parent_response_id.into_owned(),
            is_assistant,
            message: self.message.into_owned().unwrap_or(words),
            partial: self.partial.0.unwrap_or(false),
        })
    }
}

/// Reads the answer of [`super::clone_share`].
pub fn read_clone(body: &[u8]) -> Result<ClonedConversation, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Conversation<'a> {
        #[serde(borrow)]
        conversation_id: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Clone<'a> {
        #[serde(borrow, default)]
        conversation: Conversation<'a>,
        #[serde(borrow, default)]
        responses: Vec<ResponseForm<'a>>,
    }
    let clone: Clone<'_> = read("clone", body)?;
    let id = clone.conversation.conversation_id.into_owned();
    let conversation_id = id.ok_or_else(|| ReadError::missing("clone", "conversation.conversationId"))?;
    let responses: Vec<_> = clone.responses.into_iter().filter_map(ResponseForm::stored).collect();
    if responses.is_empty() {
        // Without a message there is nothing to continue below.
        return Err(ReadError::missing("clone", "responses"));
    }
    Ok(ClonedConversation { conversation_id, responses })
}

/// Reads the answer of [`super::load_responses`].
pub fn read_responses(body: &[u8]) -> Result<Vec<StoredResponse>, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize)]
    struct Responses<'a> {
        #[serde(borrow)]
        responses: Option<Vec<ResponseForm<'a>>>,
    }
    let answer: Responses<'_> = read("load-responses", body)?;
    let responses = answer.responses.ok_or_else(|| ReadError::missing("load-responses", "responses"))?;
    Ok(responses.into_iter().filter_map(ResponseForm::stored).collect())
}

/// Makes the answer of [`super::load_responses`] for one message into a frame that [`super::decode`] reads: the stored answer
/// then takes the same way as a streamed one.
pub fn stored_answer_frame(body: &[u8]) -> Result<String, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize)]
    struct Responses<'a> {
        #[serde(borrow)]
        responses: Option<Vec<&'a RawValue>>,
    }
    let answer: Responses<'_> = read("load-responses", body)?;
    for response in answer.responses.unwrap_or_default() {
        let form = serde_json::from_str::<ResponseForm<'_>>(response.get());
        if form.is_ok_and(|form| form.is_assistant() && form.partial.0 != Some(true)) {
            return Ok(format!(r#"{{"result":{{"modelResponse":{response}}}}}"#));
        }
    }
    Err(ReadError::missing("load-responses", "finished answer"))
}

/// Whose account a cookie is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// A living one.
    Known {
        /// The account's id at the upstream.
        user_id: String,
    },
    /// The upstream disowns it, whatever ids stand in the answer.
    Refused(Failure),
}

/// Reads the answer of [`super::account`] (UPSTREAM.md 12).
pub fn read_account(body: &[u8]) -> Result<Account, ReadError> {
    let body = &*mended_json(body);
    let answer: Map<String, Value> = read("session", body)?;
    let answer = Value::Object(answer);
    let text = |place: &str| answer.pointer(place)?.as_str().map(str::trim).filter(|text| !text.is_empty());
    for status in ["/status", "/session/status", "/user/status"].into_iter().filter_map(text) {
        let status = status.to_ascii_lowercase();
        let kind = match status.as_str() {
            "unauthenticated" => FailureKind::CredentialDead,
            "blocked" => FailureKind::UserBlocked,
            _ => continue,
        };
        let message = format!("the upstream calls this session {status}");
        return Ok(Account::Refused(Failure { kind, message, code: Some(status) }));
    }
    // Not `/session/id`: that is the session's own.
    let places =
        ["/session/userId", "/session/user_id", "/user/id", "/user/userId", "/user/sub", "/userId", "/id", "/sub"];
    let user_id = places.into_iter().find_map(text).ok_or_else(|| ReadError::missing("session", "user id"))?;
    Ok(Account::Known { user_id: user_id.to_owned() })
}

/// What is left of a mode. A figure the upstream does not tell is `None`, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Turns that are left.
    pub remaining: Option<i64>,
    /// Turns in a full window.
    pub total: Option<i64>,
    /// Length of the window, which begins with its first turn.
    pub window_seconds: Option<i64>,
    /// How long nothing is left; told only when used up.
    pub wait_seconds: Option<i64>,
}

/// Reads the answer of [`super::rate_limits`].
pub fn read_rate_limits(body: &[u8]) -> Result<RateLimits, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Limits {
        #[serde(default)]
        window_size_seconds: Number,
        #[serde(default)]
        remaining_queries: Number,
        #[serde(default)]
        total_queries: Number,
        #[serde(default)]
        remaining_tokens: Number,
        #[serde(default)]
        total_tokens: Number,
        #[serde(default)]
        wait_time_seconds: Number,
    }
    let limits: Limits = read("rate-limits", body)?;
    // While budgets were counted in tokens, the queries next to them were a constant without meaning.
    let tokens = limits.remaining_tokens.whole().filter(|_| limits.total_tokens.whole() != Some(0));
    let (remaining, total) = match tokens {
        Some(tokens) => (Some(tokens), limits.total_tokens.whole()),
        None => (limits.remaining_queries.whole(), limits.total_queries.whole()),
    };
    let wait_seconds = limits.wait_time_seconds.whole().filter(|seconds| *seconds > 0);
    if remaining.is_none() && wait_seconds.is_none() {
        return Err(ReadError::missing("rate-limits", "remainingQueries"));
    }
    Ok(RateLimits { remaining, total, window_seconds: limits.window_size_seconds.whole(), wait_seconds })
}

/// Reads the answer of [`super::subscriptions`]: the highest plan that is active, as this project names it (`basic`, `super`,
/// `heavy`). Old rows stay listed; an account without any has the free plan.
pub fn read_tier(body: &[u8]) -> Result<&'static str, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize)]
    struct Row {
        #[serde(default)]
        tier: String,
        #[serde(default)]
        status: String,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Wrapped {
            #[serde(default)]
            subscriptions: Vec<Row>,
        },
        Bare(Vec<Row>),
    }
    let (Body::Wrapped { subscriptions: rows } | Body::Bare(rows)) = read("subscriptions", body)?;
    let is_active = |row: &&Row| {
        let status = row.status.trim_start_matches("SUBSCRIPTION_STATUS_");
        status == "ACTIVE" || status.starts_with("TRIAL")
    };
    let rank = |row: &Row| match row.tier.trim_start_matches("SUBSCRIPTION_TIER_") {
        "SUPER_GROK_PRO" | "GROK_PRO_HEAVY" => 2,
        "GROK_PRO" | "SUPER_GROK_PLUS" | "SUPER_GROK" | "X_PREMIUM_PLUS" | "GROK_TEAMS" => 1,
        _ => 0,
    };
    let highest = rows.iter().filter(is_active).map(rank).max().unwrap_or(0);
    Ok(["basic", "super", "heavy"][highest])
}

/// The shape of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseNodes {
    /// Messages that are stored.
    pub nodes: Vec<ResponseNode>,
    /// Answers that are being written.
    pub in_flight: Vec<InFlightResponse>,
}

/// One stored message of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseNode {
    /// Its id.
    pub id: String,
    /// The message it answers.
    pub parent: Option<String>,
    /// Whether the model wrote it.
    pub is_assistant: bool,
}

/// An answer that is not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlightResponse {
    /// Its id, by which it can be reconnected to.
    pub id: String,
    /// The message it answers.
    pub parent: Option<String>,
    /// Whether the model is still at it.
    pub active: bool,
}

/// Reads the answer of [`super::response_node`].
pub fn read_response_nodes(body: &[u8]) -> Result<ResponseNodes, ReadError> {
    let body = &*mended_json(body);
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Nodes<'a> {
        #[serde(borrow)]
        response_nodes: Option<Vec<ResponseForm<'a>>>,
        #[serde(borrow, default)]
        inflight_responses: Option<Vec<ResponseForm<'a>>>,
    }
    let answer: Nodes<'_> = read("response-node", body)?;
    let nodes = answer.response_nodes.ok_or_else(|| ReadError::missing("response-node", "responseNodes"))?;
    let node = |form: ResponseForm<'_>| {
        let is_assistant = form.is_assistant();
        Some(ResponseNode {
            id: form.response_id.into_owned()?,
            parent: form.parent_response_id.into_owned(),
            is_assistant,
        })
    };
    let in_flight = |form: ResponseForm<'_>| {
        // An answer whose status is not told is taken to be running: reconnecting will show.
        let status = form.status.0.as_deref().unwrap_or("ACTIVE");
        let active = status.ends_with("ACTIVE");
        Some(InFlightResponse {
            id: form.response_id.into_owned()?,
            parent: form.parent_response_id.into_owned(),
            active,
        })
    };
    Ok(ResponseNodes {
        nodes: nodes.into_iter().filter_map(node).collect(),
        in_flight: answer.inflight_responses.unwrap_or_default().into_iter().filter_map(in_flight).collect(),
    })
}

#[cfg(test)]
mod tests;
