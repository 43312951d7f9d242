//! The Prometheus metrics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
    ending: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceiptLabel {
    receipt: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabel {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// A cheap handle to all metrics.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    rejected: Family<CodeLabel, Counter>,
    first_token: Histogram,
    duration: Histogram,
    open_streams: Gauge,
    attempts: Family<VerdictLabel, Counter>,
    turns: Family<ReceiptLabel, Counter>,
    unknown_frames: Family<TransportLabel, Counter>,
    answers: Family<TransportLabel, Counter>,
    accounts: Family<StateLabel, Gauge>,
    writer_queue: Gauge,
    writer_dropped: Counter<u64, AtomicU64>,
    exit_opened: Gauge,
    log_dropped: Counter<u64, AtomicU64>,
}

/// Counts one open stream until it is dropped.
pub(crate) struct StreamGuard(Metrics);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.0.open_streams.dec();
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("grok2api");
        // 5 ms to about 3 minutes.
        let seconds = || Histogram::new(exponential_buckets(0.005, 2.0, 16));
        let inner = Inner {
            requests: Family::default(),
            rejected: Family::default(),
            first_token: seconds(),
            duration: seconds(),
            open_streams: Gauge::default(),
            attempts: Family::default(),
            turns: Family::default(),
            unknown_frames: Family::default(),
            answers: Family::default(),
            accounts: Family::default(),
            writer_queue: Gauge::default(),
            writer_dropped: Counter::default(),
            exit_opened: Gauge::default(),
            log_dropped: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests by route, status and ending", inner.requests.clone());
        let help = "Requests without a valid key, by error code; they are not among the requests";
        registry.register("rejected_requests", help, inner.rejected.clone());
        registry.register_with_unit(
            "first_token",
            "Time to the first visible event",
            Unit::Seconds,
            inner.first_token.clone(),
        );
        registry.register_with_unit("request_duration", "Time of a request", Unit::Seconds, inner.duration.clone());
        registry.register("open_streams", "Answers being relayed now", inner.open_streams.clone());
        registry.register("upstream_attempts", "Attempts by verdict", inner.attempts.clone());
        registry.register("turns", "Finished turns by receipt", inner.turns.clone());
        registry.register(
            "upstream_unknown_frames",
            "What the upstream said that is not known, by transport",
            inner.unknown_frames.clone(),
        );
        registry.register("upstream_answers", "Answers begun, by transport", inner.answers.clone());
        registry.register("accounts", "Accounts by state", inner.accounts.clone());
        registry.register("writer_queue", "Rows waiting for the database", inner.writer_queue.clone());
        registry.register("writer_dropped", "Rows that could not be written", inner.writer_dropped.clone());
        registry.register("log_lines_dropped", "Lines that did not get into the log file", inner.log_dropped.clone());
        registry.register("exit_breaker_opened", "Times the exit was left alone", inner.exit_opened.clone());
        Self(Arc::new(Inner { registry, ..inner }))
    }

    pub(crate) fn request(&self, route: &'static str, status: u16, ending: &'static str, seconds: f64) {
        self.0.requests.get_or_create(&RequestLabels { route, status, ending }).inc();
        self.0.duration.observe(seconds);
    }

    /// A request carried no valid key.
    pub(crate) fn rejected(&self, code: &'static str) {
        self.0.rejected.get_or_create(&CodeLabel { code }).inc();
    }

    pub(crate) fn first_token(&self, seconds: f64) {
        self.0.first_token.observe(seconds);
    }

    pub(crate) fn attempt(&self, verdict: &'static str) {
        self.0.attempts.get_or_create(&VerdictLabel { verdict }).inc();
    }

    pub(crate) fn turn(&self, receipt: &'static str) {
        self.0.turns.get_or_create(&ReceiptLabel { receipt }).inc();
    }

    pub(crate) fn unknown_frames(&self, transport: &'static str, count: u64) {
        self.0.unknown_frames.get_or_create(&TransportLabel { transport }).inc_by(count);
    }

    /// An answer has begun.
    pub(crate) fn answer(&self, transport: &'static str) {
        self.0.answers.get_or_create(&TransportLabel { transport }).inc();
    }

    /// Answers being relayed now.
    pub(crate) fn open_streams(&self) -> i64 {
        self.0.open_streams.get()
    }

    pub(crate) fn open_stream(&self) -> StreamGuard {
        self.0.open_streams.inc();
        StreamGuard(self.clone())
    }

    /// Sets what is counted elsewhere, before a scrape.
    pub(crate) fn accounts(&self, state: &'static str, count: u64) {
        let gauge = self.0.accounts.get_or_create(&StateLabel { state });
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Sets what is counted elsewhere, before a scrape.
    pub(crate) fn writer(&self, waiting: usize, dropped: u64) {
        self.0.writer_queue.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.0.writer_dropped.inner().store(dropped, std::sync::atomic::Ordering::Relaxed);
    }

    /// Sets what is counted elsewhere, before a scrape.
    pub(crate) fn exit_opened(&self, times: u64) {
        self.0.exit_opened.set(i64::try_from(times).unwrap_or(i64::MAX));
    }

    /// Sets what is counted elsewhere.
    pub(crate) fn log_dropped(&self, lines: u64) {
        self.0.log_dropped.inner().store(lines, std::sync::atomic::Ordering::Relaxed);
    }

    /// The text form.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}
