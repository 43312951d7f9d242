//! Every failure the upstream reports, judged once (UPSTREAM.md 8).
//!
//! The numeric code is nearly useless: 7 stands for anti-bot, a blocked user and a missing model alike. So the words decide
//! first, the machine key in brackets before the prose, and the status only when the words say nothing.

use std::borrow::Cow;

use serde_json::Value;

use crate::halves::read_value;
use crate::{scan, steps};

/// Longest message kept from an upstream failure.
const MESSAGE_LIMIT_BYTES: usize = 2048;

/// One failure of the upstream, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means for the request, the account and the exit.
    pub kind: FailureKind,
    /// The upstream's words, at most 2 KiB, without anything that looks like a credential.
    pub message: String,
    /// The upstream's code as it was written: a gRPC number, a word, or the name of a stream error's detail.
    pub code: Option<String>,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Too many requests, or none left.
    RateLimited {
        /// Whether the account has quota left for the mode; `None` when the body does not say.
        quota_left: Option<bool>,
    },
    /// The cookie is unknown, malformed or revoked.
    CredentialDead,
    /// The account is banned.
    UserBlocked,
    /// The network exit is distrusted; the account is not to blame.
    Exit(ExitTrouble),
    /// The account may not use this mode, or the mode does not exist.
    ModelUnavailable,
    /// The conversation or response is not known to this account.
    NotFound,
    /// The request itself was refused; another account would refuse it too.
    Rejected {
        /// What was wrong with it.
        reason: Rejection,
    },
    /// The upstream is in trouble: try elsewhere.
    Unavailable,
}

/// Why the network exit was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitTrouble {
    /// Cloudflare shows its challenge page.
    Challenge,
    /// The upstream's own anti-bot rules.
    AntiBot,
    /// The service is not offered in the exit's region.
    Region,
    /// A 403 without a reason: reputation of the address.
    Refused,
    /// A 403 whose reason is not known to us.
    Unknown,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Malformed, or refused without a known reason.
    BadRequest,
    /// The message or the conversation is too long.
    TooLong,
    /// Refused by moderation.
    Moderated,
    /// An attachment could not be used.
    Attachment,
}

impl FailureKind {
    /// A constant name for logs, metrics and the request table.
    pub fn label(&self) -> &'static str {
        match self {
            Self::RateLimited { quota_left: Some(true) } => "rate_limited_quota_left",
            Self::RateLimited { quota_left: Some(false) } => "rate_limited_quota_gone",
            Self::RateLimited { quota_left: None } => "rate_limited",
            Self::CredentialDead => "credential_dead",
            Self::UserBlocked => "user_blocked",
            Self::Exit(trouble) => trouble.label(),
            Self::ModelUnavailable => "model_unavailable",
            Self::NotFound => "not_found",
            Self::Rejected { reason } => reason.label(),
            Self::Unavailable => "unavailable",
        }
    }
}

impl ExitTrouble {
    /// A constant name for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Challenge => "exit_challenge",
            Self::AntiBot => "exit_anti_bot",
            Self::Region => "exit_region",
            Self::Refused => "exit_refused",
            Self::Unknown => "exit_unknown",
        }
    }
}

impl Rejection {
    /// A constant name for logs and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadRequest => "rejected_bad_request",
            Self::TooLong => "rejected_too_long",
            Self::Moderated => "rejected_moderated",
            Self::Attachment => "rejected_attachment",
        }
    }
}

/// Judges an HTTP answer that is not a stream: any status other than 200, or a 200 whose body is a web page.
pub fn classify_http(status: u16, content_type: Option<&str>, body: &[u8]) -> Failure {
    steps::add(body.len());
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with('<') || content_type.is_some_and(|value| scan::contains(&value.to_ascii_lowercase(), "html")) {
        return classify_page(status, text);
    }
    let StatusBody { code, message, is_json } = StatusBody::read(text);
    let words = message.to_ascii_lowercase();
    let kind = if is_challenge(&words) {
        FailureKind::Exit(ExitTrouble::Challenge)
    } else if let Some(kind) = judge_words(&words, code.as_deref()) {
        kind
    } else if status == 403 && !is_json {
        // Nothing, or a bare word such as `Forbidden`: the address is distrusted.
        FailureKind::Exit(ExitTrouble::Refused)
    } else {
        // The HTTP status says more than the code inside when the two differ.
        judge_status(status).or_else(|| judge_code(code.as_deref())).unwrap_or(FailureKind::Unavailable)
    };
    let message = if message.is_empty() { format!("HTTP {status} with an empty body") } else { message };
    failure(kind, &message, code)
}

/// Judges a status object inside a stream: `code` as written, a gRPC number or a word.
pub fn classify_status(code: Option<&str>, message: &str) -> Failure {
    let words = message.to_ascii_lowercase();
    let kind = judge_words(&words, code).or_else(|| judge_code(code)).unwrap_or(FailureKind::Unavailable);
    failure(kind, message, code.map(str::to_owned))
}

/// Judges a stream error: its words and the name of its detail member, if it has one (UPSTREAM.md 8.4).
pub fn classify_stream_error(message: &str, detail: Option<&str>) -> Failure {
    match detail {
        Some(name) => classify_named(name, message),
        None => {
            let kind = judge_words(&message.to_ascii_lowercase(), None).unwrap_or(FailureKind::Unavailable);
            failure(kind, message, None)
        }
    }
}

/// Judges an error that has a name: a stream error's detail, or a code of the WebSocket dialect, in camel or snake case
/// (UPSTREAM.md 8.4, 16.11). A name that says nothing leaves it to the words, and to the name read as words.
pub fn classify_named(name: &str, message: &str) -> Failure {
    let kind = judge_name(name)
        .or_else(|| judge_words(&message.to_ascii_lowercase(), Some(name)))
        .or_else(|| judge_words(&name.to_ascii_lowercase(), Some(name)))
        .or_else(|| judge_words(&name.to_ascii_lowercase().replace(['_', '-'], " "), None))
        .or_else(|| judge_code(Some(name)))
        .or_else(|| name.starts_with("attachment").then_some(rejected(Rejection::Attachment)))
        .unwrap_or(FailureKind::Unavailable);
    failure(kind, message, Some(name.to_owned()))
}

/// What the names of 8.4 and 16.11 stand for. `None`: not known.
fn judge_name(name: &str) -> Option<FailureKind> {
    let kind = match camel_case(name).as_str() {
        "usageLimitReached" | "usagePoolExhausted" => FailureKind::RateLimited { quota_left: Some(false) },
        "concurrencyLimit" => FailureKind::RateLimited { quota_left: Some(true) },
        "globalRateLimit" | "rateLimited" => FailureKind::RateLimited { quota_left: None },
        "modelNotAvailable" => FailureKind::ModelUnavailable,
        "beyondContextLength" | "userPromptTooLong" => rejected(Rejection::TooLong),
        "attachmentModerated" | "contentModerated" | "contentFilter" => rejected(Rejection::Moderated),
        "attachmentImageTooLarge" | "attachmentFileTooLarge" | "attachmentTooManyPages" | "attachmentLoadFailed" => {
            rejected(Rejection::Attachment)
        }
        "antiBot" => FailureKind::Exit(ExitTrouble::AntiBot),
        "conversationNotFound" => FailureKind::NotFound,
        // We spoke wrongly, and would with every account.
        "invalidEnvelope" => rejected(Rejection::BadRequest),
        "systemKillSwitch" | "internalError" | "requestCancelled" | "renderPerMessageLimitExceeded" => {
            FailureKind::Unavailable
        }
        other if is_harmless_by_nature(other) => FailureKind::Unavailable,
        _ => return None,
    };
    Some(kind)
}

/// Troubles of one tool or one picture: the answer goes on without it.
pub(crate) fn is_harmless_by_nature(name: &str) -> bool {
    matches!(camel_case(name).as_str(), "toolCallFailed" | "renderToolFailed" | "renderToolRateLimited")
}

/// Whether an error's name is one that was seen before; others are counted as drift.
pub(crate) fn is_known_name(name: &str) -> bool {
    judge_name(name).is_some() || judge_code(Some(name)).is_some() || is_grpc_code(name) || name == "content-moderated"
}

/// The codes of gRPC as numbers or words (UPSTREAM.md 1).
fn is_grpc_code(code: &str) -> bool {
    const WORDS: [&str; 17] = [
        "ok",
        "cancelled",
        "unknown",
        "invalid_argument",
        "deadline_exceeded",
        "not_found",
        "already_exists",
        "permission_denied",
        "resource_exhausted",
        "failed_precondition",
        "aborted",
        "out_of_range",
        "unimplemented",
        "internal",
        "unavailable",
        "data_loss",
        "unauthenticated",
    ];
    code.parse::<usize>().is_ok_and(|number| number < WORDS.len())
        || WORDS.contains(&code.to_ascii_lowercase().as_str())
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut words = name.split('_');
    camel.push_str(words.next().unwrap_or_default());
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn rejected(reason: Rejection) -> FailureKind {
    FailureKind::Rejected { reason }
}

fn failure(kind: FailureKind, message: &str, code: Option<String>) -> Failure {
    Failure { kind, message: presentable(message), code: code.map(|code| presentable(&code)) }
}

/// A web page where JSON belongs: Cloudflare or a proxy in front of the upstream spoke.
fn classify_page(status: u16, page: &str) -> Failure {
    let words = page.to_ascii_lowercase();
    let kind = if is_challenge(&words) {
        FailureKind::Exit(ExitTrouble::Challenge)
    } else if status >= 500 || status == 404 {
        // A page for 404 means that the route is gone, which says nothing about a conversation.
        FailureKind::Unavailable
    } else {
        FailureKind::Exit(ExitTrouble::Refused)
    };
    let title = page_title(page, &words).unwrap_or("without a title");
    failure(kind, &format!("HTTP {status} with a web page: {title}"), None)
}

fn page_title<'a>(page: &'a str, lower_case: &str) -> Option<&'a str> {
    // ASCII lower-casing keeps byte offsets.
    let start = scan::find(lower_case, "<title>")? + "<title>".len();
    let length = scan::find(lower_case.get(start..)?, "</title>")?;
    Some(page.get(start..start + length)?.trim()).filter(|title| !title.is_empty())
}

fn is_challenge(words: &str) -> bool {
    ["just a moment", "challenge-platform", "__cf_chl", "cf-chl-", "_cf_chl_opt", "attention required"]
        .iter()
        .any(|mark| scan::contains(words, mark))
}

/// What the words alone say. `words` is lower case. The order matters: the machine keys come first, and "not available in your
/// region" must not be read as a missing model.
fn judge_words(words: &str, code: Option<&str>) -> Option<FailureKind> {
    let has = |marks: &[&str]| marks.iter().any(|mark| scan::contains(words, mark));
    if has(&["blocked-user", "user is blocked", "account suspended", "email-domain-rejected"]) {
        return Some(FailureKind::UserBlocked);
    }
    if has(&[
        "invalid-credentials",
        "bad-credentials",
        "no-credentials",
        "failed to look up session id",
        "session not found",
        "token revoked",
        "token expired",
    ]) {
        return Some(FailureKind::CredentialDead);
    }
    if has(&["anti-bot", "anti_bot"]) {
        return Some(FailureKind::Exit(ExitTrouble::AntiBot));
    }
    if has(&["region"]) {
        return Some(FailureKind::Exit(ExitTrouble::Region));
    }
    if code == Some("content-moderated") || has(&["content-moderated", "moderated", "moderation"]) {
        return Some(rejected(Rejection::Moderated));
    }
    if has(&["model is not found", "model not found", "unknown mode"])
        || (scan::contains(words, "not available") && has(&["model", "mode"]))
    {
        return Some(FailureKind::ModelUnavailable);
    }
    if says_none_left(words) {
        return Some(FailureKind::RateLimited { quota_left: Some(false) });
    }
    if has(&["too many requests", "rate limit"]) {
        return Some(FailureKind::RateLimited { quota_left: None });
    }
    if has(&["too long", "context length", "maximum length"]) {
        return Some(rejected(Rejection::TooLong));
    }
    None
}

fn says_none_left(words: &str) -> bool {
    if ["no quota", "quota exceeded", "usage limit", "usage_limit"].iter().any(|mark| scan::contains(words, mark)) {
        return true;
    }
    // "0 remaining", but not "10 remaining".
    let is_number = |index: usize| !words[..index].ends_with(|before: char| before.is_ascii_digit());
    scan::find_where(words, "0 remaining", is_number).is_some()
}

fn judge_code(code: Option<&str>) -> Option<FailureKind> {
    match code?.trim().to_ascii_lowercase().as_str() {
        "3" | "invalid_argument" => Some(rejected(Rejection::BadRequest)),
        "5" | "not_found" => Some(FailureKind::NotFound),
        "7" | "permission_denied" => Some(FailureKind::Exit(ExitTrouble::Unknown)),
        "8" | "resource_exhausted" => Some(FailureKind::RateLimited { quota_left: None }),
        "16" | "unauthenticated" => Some(FailureKind::CredentialDead),
        // Test servers put HTTP statuses here.
        other => other.parse().ok().filter(|status| *status >= 400).and_then(judge_status),
    }
}

fn judge_status(status: u16) -> Option<FailureKind> {
    match status {
        401 => Some(FailureKind::CredentialDead),
        403 => Some(FailureKind::Exit(ExitTrouble::Unknown)),
        404 => Some(FailureKind::NotFound),
        413 => Some(rejected(Rejection::TooLong)),
        429 => Some(FailureKind::RateLimited { quota_left: None }),
        400 | 405..=407 | 409..=412 | 414..=428 => Some(rejected(Rejection::BadRequest)),
        408 | 500.. => Some(FailureKind::Unavailable),
        _ => None,
    }
}

/// The two members that matter of `{"code":…,"message":…}`, bare or inside `error`.
struct StatusBody {
    code: Option<String>,
    message: String,
    is_json: bool,
}

impl StatusBody {
    fn read(text: &str) -> Self {
        let Some(body) = read_value(text) else {
            return Self { code: None, message: text.to_owned(), is_json: false };
        };
        let status = match body.get("error") {
            Some(error @ (Value::Object(_) | Value::String(_))) => error,
            _ => &body,
        };
        let code = code_text(status.get("code")).or_else(|| code_text(body.get("code")));
        let message = status.as_str().or_else(|| status.get("message")?.as_str()).unwrap_or_default();
        // Of a body in another shape, all of it is shown.
        let message = if message.is_empty() && code.is_none() { text } else { message };
        Self { code, message: message.to_owned(), is_json: true }
    }
}

/// A status code as text: the upstream writes numbers, some test servers strings.
pub(crate) fn code_text(code: Option<&Value>) -> Option<String> {
    match code? {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

/// Bounds a text of the upstream and takes out whatever looks like a credential, so that it may be logged and shown.
fn presentable(message: &str) -> String {
    steps::add(message.len().min(MESSAGE_LIMIT_BYTES));
    let mut end = message.len().min(MESSAGE_LIMIT_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut bounded = String::with_capacity(end);
    for word in message[..end].split_inclusive(ends_word) {
        bounded.push_str(&without_credential(word));
    }
    bounded.retain(|character| character == '\n' || !character.is_control());
    bounded
}

fn ends_word(character: char) -> bool {
    character.is_whitespace() || matches!(character, ',' | ';' | '"' | '\'')
}

/// Replaces the value of a cookie of ours, or a JSON Web Token, inside one word.
fn without_credential(word: &str) -> Cow<'_, str> {
    const HIDDEN: &str = "[removed]";
    let secret_start = ["sso=", "sso-rw=", "cf_clearance=", "__cf_bm="]
        .iter()
        .filter_map(|name| scan::find(word, name).map(|index| index + name.len()))
        .chain(scan::find(word, "eyJ"))
        .min();
    let Some(start) = secret_start else { return Cow::Borrowed(word) };
    let tail_start = word.trim_end_matches(ends_word).len();
    Cow::Owned(format!("{}{HIDDEN}{}", &word[..start], &word[tail_start.max(start)..]))
}

#[cfg(test)]
mod tests;
