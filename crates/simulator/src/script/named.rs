//! Replies by name, for the command line, the control routes and tables of tests.

use std::time::Duration;

use serde_json::json;

use super::{
    framing::{NetworkCut, Separator},
    reply::{Reply, When},
    scenarios,
    socket_replies::TurnEnd,
    socket_scenarios::{self, CardPlace},
    socket_sessions,
    step::Severity,
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
    // The socket: whole answers.
    ("order-swap", Reply::order_swap),
    ("foreign-frames", Reply::foreign_frames),
    ("history", Reply::history),
    ("thinking-after-the-end", socket_scenarios::thinking_after_the_end),
    ("repeated-tokens", socket_scenarios::repeated_tokens),
    ("tools-out-of-order", socket_scenarios::tools_out_of_order),
    ("citations-repeated", socket_scenarios::citations_repeated),
    ("searched-image", socket_scenarios::searched_image),
    ("image-never-done", socket_scenarios::image_never_done),
    ("card-before-tag", || socket_scenarios::card(CardPlace::Before)),
    ("card-after-tag", || socket_scenarios::card(CardPlace::After)),
    ("card-after-text", || socket_scenarios::card(CardPlace::AfterText)),
    ("card-missing", || socket_scenarios::card(CardPlace::Nowhere)),
    ("only-completed", socket_scenarios::only_completed),
    ("double-payloads", socket_scenarios::double_payloads),
    ("distrusted", socket_scenarios::distrusted),
    ("quiet-minute", || Reply::quiet(Duration::from_secs(60))),
    // The socket: sessions that do not open.
    ("session-silent", socket_sessions::session_silent),
    ("session-unattached", socket_sessions::session_unattached),
    ("session-closed", socket_sessions::session_closed),
    ("session-not-found", || Reply::session_error("conversation_not_found", "Conversation not found")),
    ("session-anti-bot", || Reply::session_error("anti_bot", "Request rejected by anti-bot rules.")),
    // The socket: bad ends.
    ("drop-after-item", Reply::drop_after_item),
    ("no-pongs", Reply::no_pongs),
    ("oversized", Reply::oversized),
    ("ends-closed", || Reply::ended(TurnEnd::Closed, When::BeforeText)),
    ("ends-closed-after-text", || Reply::ended(TurnEnd::Closed, When::AfterText)),
    ("ends-session-ended", || Reply::ended(TurnEnd::SessionEnded, When::BeforeText)),
    ("ends-session-ended-after-text", || Reply::ended(TurnEnd::SessionEnded, When::AfterText)),
    ("ends-error", || Reply::ended(TurnEnd::Error, When::BeforeText)),
    ("ends-error-after-text", || Reply::ended(TurnEnd::Error, When::AfterText)),
    ("ends-incomplete", || Reply::ended(TurnEnd::Incomplete, When::BeforeText)),
    ("ends-incomplete-after-text", || Reply::ended(TurnEnd::Incomplete, When::AfterText)),
    ("ends-failed", || Reply::ended(TurnEnd::Failed, When::BeforeText)),
    ("ends-failed-after-text", || Reply::ended(TurnEnd::Failed, When::AfterText)),
    ("ends-cancelled", || Reply::ended(TurnEnd::Cancelled, When::BeforeText)),
    ("ends-cancelled-after-text", || Reply::ended(TurnEnd::Cancelled, When::AfterText)),
    ("ends-no-status", || Reply::ended(TurnEnd::NoStatus, When::BeforeText)),
    ("ends-no-status-after-text", || Reply::ended(TurnEnd::NoStatus, When::AfterText)),
    ("ends-silent", || Reply::ended(TurnEnd::Silence, When::BeforeText)),
    ("ends-silent-after-text", || Reply::ended(TurnEnd::Silence, When::AfterText)),
    ("output-anti-bot", || Reply::output_error("anti_bot", "Request rejected by anti-bot rules.", When::BeforeText)),
    ("output-entitlement", || {
        Reply::output_error("entitlement_required", "Upgrade to use this mode.", When::BeforeText)
    }),
    ("output-throttled", || Reply::output_error("global_rate_limit", "Too many requests", When::BeforeText)),
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
