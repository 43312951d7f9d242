//! The figures that statistics tell, from sums.

use serde_json::{Value, json};

use crate::store::statistics::{DURATION_MS, FIRST_TOKEN_MS, Sums};
use crate::store::statistics_read::Wanted;

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Requests,
    Succeeded,
    Failed,
    Cancelled,
    Retried,
    /// Of what neither the client nor time took away.
    SuccessRate,
    PromptTokens,
    CompletionTokens,
    ReasoningTokens,
    Bytes,
    /// Of one answer, while it is being written.
    TokensPerSecond,
    FirstTokenP50,
    FirstTokenP95,
    DurationP50,
    DurationP95,
}

impl Metric {
    pub(crate) const ALL: [Self; 15] = [
        Self::Requests,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Retried,
        Self::SuccessRate,
        Self::PromptTokens,
        Self::CompletionTokens,
        Self::ReasoningTokens,
        Self::Bytes,
        Self::TokensPerSecond,
        Self::FirstTokenP50,
        Self::FirstTokenP95,
        Self::DurationP50,
        Self::DurationP95,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::SuccessRate => "success_rate",
            Self::PromptTokens => "prompt_tokens",
            Self::CompletionTokens => "completion_tokens",
            Self::ReasoningTokens => "reasoning_tokens",
            Self::Bytes => "bytes",
            Self::TokensPerSecond => "tokens_per_s",
            Self::FirstTokenP50 => "first_token_p50_ms",
            Self::FirstTokenP95 => "first_token_p95_ms",
            Self::DurationP50 => "duration_p50_ms",
            Self::DurationP95 => "duration_p95_ms",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// The column by which a list can be ordered.
    pub(crate) fn column(self) -> Option<&'static str> {
        match self {
            Self::Requests
            | Self::Succeeded
            | Self::Failed
            | Self::Cancelled
            | Self::Retried
            | Self::PromptTokens
            | Self::CompletionTokens
            | Self::ReasoningTokens
            | Self::Bytes => Some(self.name()),
            _ => None,
        }
    }

    /// The sums that these metrics need.
    pub(crate) fn wanted(metrics: &[Self]) -> Wanted {
        Wanted {
            first_token: metrics.iter().any(|metric| matches!(metric, Self::FirstTokenP50 | Self::FirstTokenP95)),
            duration: metrics.iter().any(|metric| matches!(metric, Self::DurationP50 | Self::DurationP95)),
        }
    }

    /// The figure; null where there is nothing that it could be of.
    pub(crate) fn of(self, sums: &Sums) -> Value {
        match self {
            Self::Requests => json!(sums.requests),
            Self::Succeeded => json!(sums.succeeded),
            Self::Failed => json!(sums.failed),
            Self::Cancelled => json!(sums.cancelled),
            Self::Retried => json!(sums.retried),
            Self::SuccessRate => ratio(sums.succeeded, sums.succeeded + sums.failed),
            Self::PromptTokens => json!(sums.prompt_tokens),
            Self::CompletionTokens => json!(sums.completion_tokens),
            Self::ReasoningTokens => json!(sums.reasoning_tokens),
            Self::Bytes => json!(sums.bytes),
            Self::TokensPerSecond => ratio(sums.completion_tokens * 1_000, sums.stream_ms),
            Self::FirstTokenP50 => json!(percentile(&sums.first_token, &FIRST_TOKEN_MS, 0.5)),
            Self::FirstTokenP95 => json!(percentile(&sums.first_token, &FIRST_TOKEN_MS, 0.95)),
            Self::DurationP50 => json!(percentile(&sums.duration, &DURATION_MS, 0.5)),
            Self::DurationP95 => json!(percentile(&sums.duration, &DURATION_MS, 0.95)),
        }
    }
}

/// To four digits behind the point.
fn ratio(part: i64, whole: i64) -> Value {
    if whole <= 0 {
        return Value::Null;
    }
    json!((part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

/// The value below which a share of the counted values lies, as if they were spread evenly within their bucket; the last bucket
/// has no upper bound and tells its lower one.
fn percentile(counts: &[i64; 12], bounds: &[i64; 11], share: f64) -> Option<i64> {
    let total: i64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = total as f64 * share;
    let mut below = 0.0;
    for (position, count) in counts.iter().enumerate() {
        let upto = below + *count as f64;
        if upto >= rank && *count > 0 {
            let lower = if position == 0 { 0 } else { bounds[position - 1] };
            let Some(upper) = bounds.get(position) else { return Some(lower) };
            let inside = (rank - below) / *count as f64;
            return Some(lower + ((*upper - lower) as f64 * inside).round() as i64);
        }
        below = upto;
    }
    bounds.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_histogram() {
        let mut counts = [0; 12];
        assert_eq!(percentile(&counts, &FIRST_TOKEN_MS, 0.5), None);
        counts[4] = 100;
        assert_eq!(percentile(&counts, &FIRST_TOKEN_MS, 0.5), Some(900));
        counts[11] = 100;
        assert_eq!(percentile(&counts, &FIRST_TOKEN_MS, 0.5), Some(1_000));
        assert_eq!(percentile(&counts, &FIRST_TOKEN_MS, 0.95), Some(15_000), "the last bucket is open");
        assert_eq!(percentile(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &DURATION_MS, 0.5), Some(250));
    }

    #[test]
    fn nothing_is_no_rate() {
        let nothing = Sums::default();
        assert_eq!(Metric::SuccessRate.of(&nothing), Value::Null);
        assert_eq!(Metric::TokensPerSecond.of(&nothing), Value::Null);
        assert_eq!(Metric::Requests.of(&nothing), json!(0));
        let some = Sums { succeeded: 2, failed: 1, cancelled: 7, completion_tokens: 90, stream_ms: 1_500, ..nothing };
        assert_eq!(Metric::SuccessRate.of(&some), json!(0.6667));
        assert_eq!(Metric::TokensPerSecond.of(&some), json!(60.0));
    }

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        for metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(metric));
        }
    }
}
