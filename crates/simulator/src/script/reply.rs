//! Replies: what a test or a demo queues for an account.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    framing::{BeforeHeaders, NetworkCut, Separator},
    named, scenarios,
    step::{Script, Severity, Step},
};

/// What an account's next chat call is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// What an account without a queue says; see the crate's README.
    Default,
    /// This text, streamed word by word.
    Text(String),
    /// As many one-word tokens, `interval` apart, after `thinking` thinking chunks.
    Tokens {
        /// Visible tokens.
        tokens: usize,
        /// Time between two of them; zero sends all at once.
        interval: Duration,
        /// Thinking chunks in front.
        thinking: usize,
    },
    /// Raw objects, on a socket messages, one after another; `$conversation`, `$user` and `$response` become ids.
    Frames(Vec<String>),
    /// Events of a socket, one after another, each put into its envelope; `$conversation`, `$user` and `$response` become ids.
    Events(Vec<Value>),
    /// The branch that was continued, root first, one line per message.
    Recite,
    /// An answer that is not a stream. An empty content type leaves the header out.
    Http {
        /// Status.
        status: u16,
        /// Content type.
        content_type: String,
        /// Body.
        body: String,
    },
    /// 429 with code 8. Without quota left, the counter of the mode drops to zero too.
    RateLimited {
        /// Whether the rate-limits route still shows quota.
        quota_left: bool,
    },
    /// Headers, the usual start and one token, then silence until the client leaves; cheap, for thousands at once.
    Stall,
    /// Any script.
    Script(Script),
}

/// Where in an answer something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before any text.
    BeforeText,
    /// After some text.
    AfterText,
}

impl Reply {
    /// The reply with this name; see [`Reply::names`].
    pub fn named(name: &str) -> Option<Self> {
        named::find(name)
    }

    /// All names that [`Reply::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        named::NAMES.iter().map(|(name, _)| *name)
    }

    /// This text, streamed word by word.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Steps between the usual start and the usual end.
    pub fn answer(steps: Vec<Step>) -> Self {
        Self::Script(Script::answer(steps))
    }

    /// Exactly these steps.
    pub fn steps(steps: Vec<Step>) -> Self {
        Self::Script(Script::of(steps))
    }

    // Answers that are not a stream (UPSTREAM.md 8.1). Chat routes wrap the status object in `error`.

    /// Any status with a wrapped gRPC status as body.
    pub fn status(status: u16, code: impl Into<Value>, message: &str) -> Self {
        let body = json!({"error": {"code": code.into(), "message": message, "details": []}}).to_string();
        Self::http(status, "application/json", &body)
    }

    /// Any status, content type and body.
    pub fn http(status: u16, content_type: &str, body: &str) -> Self {
        Self::Http { status, content_type: content_type.to_owned(), body: body.to_owned() }
    }

    /// 429, code 8; `quota_left` says what the rate-limits route will show.
    pub fn rate_limited(quota_left: bool) -> Self {
        Self::RateLimited { quota_left }
    }

    /// 401, code 16: the session is unknown.
    pub fn unauthorized() -> Self {
        Self::status(401, 16, "Failed to look up session ID. [WKE=unauthenticated:invalid-credentials]")
    }

    /// 403: the account is banned.
    pub fn blocked() -> Self {
        Self::status(403, 7, "User is blocked [WKE=unauthorized:blocked-user]")
    }

    /// 403 with the challenge page.
    pub fn challenge() -> Self {
        Self::http(403, "text/html; charset=UTF-8", scenarios::CHALLENGE_PAGE)
    }

    /// The challenge page with status 200.
    pub fn challenge_200() -> Self {
        Self::http(200, "text/html; charset=UTF-8", scenarios::CHALLENGE_PAGE)
    }

    /// 403: rejected by anti-bot rules.
    pub fn anti_bot() -> Self {
        Self::status(403, 7, "Request rejected by anti-bot rules.")
    }

    /// 403 without a body.
    pub fn empty_403() -> Self {
        Self::http(403, "", "")
    }

    /// 403 whose text nobody has seen before.
    pub fn unknown_403() -> Self {
        Self::status(403, 7, "The flux capacitor needs attention.")
    }

    /// 403: the model is not available to the account.
    pub fn model_not_found() -> Self {
        Self::status(403, 7, "Model is not found")
    }

    /// 403: not in this region.
    pub fn region() -> Self {
        Self::http(403, "text/plain", "This service is not available in your region.")
    }

    /// 403: the prompt was moderated; the code is a text here.
    pub fn moderated_prompt() -> Self {
        Self::status(403, "content-moderated", "rejected")
    }

    /// 404: there is no such route.
    pub fn no_route() -> Self {
        Self::http(404, "application/json", r#"{"code":5,"message":"Not Found","details":[]}"#)
    }

    /// 503 without a body that tells anything.
    pub fn unavailable() -> Self {
        Self::http(503, "text/plain", "upstream connect error or disconnect/reset before headers")
    }

    /// 500, code 13.
    pub fn server_error() -> Self {
        Self::status(500, 13, "Internal error")
    }

    /// 502 with the page of the network in front.
    pub fn html_502() -> Self {
        Self::http(502, "text/html; charset=UTF-8", scenarios::BAD_GATEWAY_PAGE)
    }

    // Errors inside a stream that began with status 200 (UPSTREAM.md 8.4).

    /// A top-level error object.
    pub fn in_band_error(code: impl Into<Value>, message: &str, when: When) -> Self {
        scenarios::failing(when, Step::TopLevelError { code: code.into(), message: message.to_owned() })
    }

    /// An error chunk; `kind` is the detail member, for example `usageLimitReached`.
    pub fn stream_error(kind: &str, severity: Severity, when: When) -> Self {
        scenarios::stream_error(kind, severity, when)
    }

    /// A stored answer without text and with the usage limit in `streamErrors`.
    pub fn usage_limit() -> Self {
        scenarios::usage_limit()
    }

    // Streams that end badly or late.

    /// Layout, soft stop, stored answer, and no text.
    pub fn empty_answer() -> Self {
        Self::answer(Vec::new())
    }

    /// End of body after this many tokens.
    pub fn cut(after_tokens: usize, reconnectable: bool) -> Self {
        scenarios::interrupted(after_tokens, Step::Cut { reconnectable })
    }

    /// A broken connection after this many tokens.
    pub fn reset(after_tokens: usize) -> Self {
        scenarios::interrupted(after_tokens, Step::Reset)
    }

    /// Not even headers.
    pub fn hang() -> Self {
        Self::Script(Script::default().before_headers(BeforeHeaders::Hang))
    }

    /// Headers, then silence.
    pub fn hang_after_headers() -> Self {
        Self::steps(vec![Step::Hang])
    }

    /// Silence after this many tokens.
    pub fn hang_after(tokens: usize) -> Self {
        scenarios::interrupted(tokens, Step::Hang)
    }

    /// Headers and answer only after this long.
    pub fn slow_first_byte(wait: Duration) -> Self {
        let script = Script::answer(scenarios::text_tokens());
        Self::Script(script.before_headers(BeforeHeaders::Wait(wait)))
    }

    // Peculiar but whole answers.

    /// The scenario text in another framing.
    pub fn framed(separator: Separator, cut: NetworkCut) -> Self {
        scenarios::framed(separator, cut)
    }

    /// Thinking that goes on after the first text.
    pub fn late_thinking() -> Self {
        scenarios::late_thinking()
    }

    /// Text in the stored answer alone.
    pub fn no_tokens() -> Self {
        scenarios::no_tokens()
    }

    /// Tokens that are a proper prefix of the stored answer.
    pub fn short_tokens() -> Self {
        scenarios::short_tokens()
    }

    /// An empty stored answer near the start.
    pub fn placeholder() -> Self {
        scenarios::placeholder()
    }

    /// An image whose card comes after the soft stop.
    pub fn soft_stop_then_image() -> Self {
        scenarios::soft_stop_then_image()
    }

    /// Empty tokens and `keepAlive` with silence between, then text.
    pub fn heartbeats(count: usize, interval: Duration) -> Self {
        scenarios::heartbeats(count, interval)
    }

    /// Unknown members, tags, cards and a line that is not JSON.
    pub fn unknown_kinds() -> Self {
        scenarios::unknown_kinds()
    }

    /// Objects without anything between them.
    pub fn glued() -> Self {
        Self::framed(Separator::Glued, NetworkCut::Whole)
    }

    /// Lines that end in CR LF.
    pub fn crlf() -> Self {
        Self::framed(Separator::CarriageReturnNewline, NetworkCut::Whole)
    }

    /// Each byte a network write of its own.
    pub fn split_everywhere() -> Self {
        Self::framed(Separator::Newline, NetworkCut::EveryByte)
    }

    /// Tags and look-alikes cut at each character.
    pub fn split_tags() -> Self {
        scenarios::split_tags()
    }

    /// Tool XML where visible text belongs.
    pub fn tool_leak() -> Self {
        scenarios::tool_leak()
    }

    /// Thinking and text alternating while a tag is open, from several agents.
    pub fn interleave() -> Self {
        scenarios::interleave()
    }

    /// Two alternatives at once.
    pub fn side_by_side() -> Self {
        scenarios::side_by_side()
    }

    /// Two cited sources, one of them twice.
    pub fn citations() -> Self {
        scenarios::citations()
    }

    /// A generated image, told by cards.
    pub fn image() -> Self {
        scenarios::image()
    }

    /// A generated image, told by the older member.
    pub fn image_member() -> Self {
        scenarios::image_member()
    }

    /// An image that is withdrawn.
    pub fn moderated_image() -> Self {
        scenarios::moderated_image()
    }

    /// An image that fails with a code.
    pub fn failed_image() -> Self {
        scenarios::failed_image()
    }
}
