//! The limits of an API key, as its clients meet them: the errors, and the headers that tell how much is left.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::ApiError;
use super::when::in_words;
use crate::keys::{LimitKind, LimitReached, Rate};

/// OpenAI's names, which its SDKs and many clients read. They tell of the limit that will be met first.
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");

/// Adds to an answer how its key stands.
pub(super) fn mark(rate: &Rate, headers: &mut HeaderMap) {
    headers.insert(LIMIT, rate.limit.into());
    headers.insert(REMAINING, rate.remaining.into());
    if let Ok(reset) = HeaderValue::try_from(duration(rate.reset_ms)) {
        headers.insert(RESET, reset);
    }
}

/// The refusal.
pub(super) fn refusal(reached: &LimitReached) -> ApiError {
    let seconds = u64::try_from(reached.wait_ms.max(0)).unwrap_or(0).div_ceil(1_000).max(1);
    let (limit, next) = (reached.limit, in_words(seconds));
    let (code, message) = match reached.kind {
        LimitKind::Minute => (
            "rate_limit_exceeded",
            format!("This API key may make {limit} requests per minute. The next one may be made {next}."),
        ),
        LimitKind::Day => (
            "daily_limit_exceeded",
            format!(
                "This API key may make {limit} requests per day, and they are used up. The day ends {next}, at 00:00 UTC."
            ),
        ),
        LimitKind::Concurrent => (
            "concurrency_limit_exceeded",
            format!("This API key may have {limit} requests under way at the same time. Wait for one to end."),
        ),
    };
    let rate = Rate { limit, remaining: 0, reset_ms: reached.wait_ms };
    ApiError::key_limit(code, message, seconds, (reached.kind != LimitKind::Concurrent).then_some(rate))
}

/// As OpenAI writes it: `120ms`, `8.5s`, `6m0s`, `5h12m3s`.
fn duration(milliseconds: i64) -> String {
    let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("{rest}ms"),
        (0, 0, seconds) if rest == 0 => format!("{seconds}s"),
        (0, 0, seconds) => format!("{seconds}.{}s", format!("{rest:03}").trim_end_matches('0')),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (120, "120ms"),
            (8_000, "8s"),
            (8_640, "8.64s"),
            (1_005, "1.005s"),
            (360_000, "6m0s"),
            (18_723_999, "5h12m3s"),
        ] {
            assert_eq!(duration(milliseconds), text);
        }
    }
}
