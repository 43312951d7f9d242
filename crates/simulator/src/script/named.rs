//! Replies by name, for the command line, the control routes and tables of tests.

use std::time::Duration;

use serde_json::json;

use super::{
    reply::{Reply, When},
    scenarios,
    step::{NetworkCut, Separator, Severity},
};

type Make = fn() -> Reply;

/// Every name and the reply it stands for.
pub(super) const NAMES: &[(&str, Make)] = &[
    // Whole answers.
    ("default", || Reply::Default),
    ("text", || Reply::text(scenarios::SCENARIO_TEXT)),
    ("recite", || Reply::Recite),
    ("tokens", || Reply::Tokens { tokens: 100, interval: Duration::from_millis(5), thinking: 0 }),
    ("thinking", scenarios::thinking),
    ("untagged", scenarios::untagged),
    ("artifact", scenarios::artifact),
    ("citations", Reply::citations),
    ("image", Reply::image),
    ("image-member", Reply::image_member),
    ("soft-stop-then-image", Reply::soft_stop_then_image),
    ("moderated-image", Reply::moderated_image),
    ("failed-image", Reply::failed_image),
    // The same answer in other shapes.
    ("split-everywhere", Reply::split_everywhere),
    ("glued", Reply::glued),
    ("glued-split", || Reply::framed(Separator::Glued, NetworkCut::EveryByte)),
    ("crlf", Reply::crlf),
    ("blank-lines", || Reply::framed(Separator::BlankLines, NetworkCut::Whole)),
    ("no-last-newline", || Reply::framed(Separator::NewlineBetween, NetworkCut::Whole)),
    ("event-lines", || Reply::framed(Separator::ServerSentEvents, NetworkCut::Whole)),
    ("split-tags", Reply::split_tags),
    ("tool-leak", Reply::tool_leak),
    ("interleave", Reply::interleave),
    ("late-thinking", Reply::late_thinking),
    ("no-tokens", Reply::no_tokens),
    ("short-tokens", Reply::short_tokens),
    ("placeholder", Reply::placeholder),
    ("heartbeats", || Reply::heartbeats(6, Duration::from_millis(100))),
    ("unknown-kinds", Reply::unknown_kinds),
    ("side-by-side", Reply::side_by_side),
    ("empty-answer", Reply::empty_answer),
    // Bad ends.
    ("cut", || Reply::cut(4, true)),
    ("cut-before-text", || Reply::cut(0, true)),
    ("cut-for-good", || Reply::cut(4, false)),
    ("reset", || Reply::reset(4)),
    ("hang", Reply::hang),
    ("hang-after-headers", Reply::hang_after_headers),
    ("hang-after-tokens", || Reply::hang_after(3)),
    ("stall", || Reply::Stall),
    ("slow-first-byte", || Reply::slow_first_byte(Duration::from_secs(30))),
    // Errors inside a stream.
    ("in-band-error", || Reply::in_band_error(13, "Internal error", When::BeforeText)),
    ("in-band-error-after-text", || Reply::in_band_error(13, "Internal error", When::AfterText)),
    ("in-band-rate-limit", || Reply::in_band_error(8, "Too many requests", When::BeforeText)),
    ("in-band-rate-limit-after-text", || Reply::in_band_error(8, "Too many requests", When::AfterText)),
    ("in-band-anti-bot", || Reply::in_band_error(7, "Request rejected by anti-bot rules.", When::BeforeText)),
    ("stream-error", || Reply::stream_error("internalError", Severity::Fatal, When::BeforeText)),
    ("stream-error-after-text", || Reply::stream_error("internalError", Severity::Fatal, When::AfterText)),
    ("stream-error-normal", || Reply::stream_error("toolCallFailed", Severity::Normal, When::AfterText)),
    ("stream-usage-limit", || Reply::stream_error("usageLimitReached", Severity::Fatal, When::BeforeText)),
    ("stream-usage-limit-after-text", || Reply::stream_error("usageLimitReached", Severity::Fatal, When::AfterText)),
    ("stream-too-long", || Reply::stream_error("beyondContextLength", Severity::Fatal, When::BeforeText)),
    ("usage-limit", Reply::usage_limit),
    ("stored-error", || scenarios::stored_with(json!({"message": "", "error": "Something went wrong."}))),
    ("metadata-error", || {
        scenarios::stored_with(
            json!({"message": "", "metadata": {"request_metadata": {"stream_errors": [{"message": "Model failed"}]}}}),
        )
    }),
    // Answers that are not a stream.
    ("rate-limited", || Reply::rate_limited(true)),
    ("quota-exhausted", || Reply::rate_limited(false)),
    ("unauthorized", Reply::unauthorized),
    ("bad-credentials", || Reply::status(403, 16, "Bad credentials. [WKE=unauthenticated:bad-credentials]")),
    ("blocked", Reply::blocked),
    ("challenge", Reply::challenge),
    ("challenge-200", Reply::challenge_200),
    ("anti-bot", Reply::anti_bot),
    ("empty-403", Reply::empty_403),
    ("plain-403", || Reply::http(403, "text/plain", "Forbidden")),
    ("unknown-403", Reply::unknown_403),
    ("model-not-found", Reply::model_not_found),
    ("moderated-prompt", Reply::moderated_prompt),
    ("region", Reply::region),
    ("bad-request", || Reply::status(400, 3, "Invalid request")),
    ("not-found", || Reply::status(404, 5, "Conversation not found")),
    ("server-error", Reply::server_error),
    ("html-502", Reply::html_502),
    ("unavailable", Reply::unavailable),
    ("no-route", Reply::no_route),
];

pub(super) fn find(name: &str) -> Option<Reply> {
    let (_, make) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(make())
}
