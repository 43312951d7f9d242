//! What the upstream says that this program does not know: counted, with one redacted sample of each kind, so that a change of
//! the upstream is seen before its users feel it.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::store::drift::DriftRow;
use crate::store::{Write, Writer};
use crate::telemetry::Metrics;
use crate::upstream::Transport;

/// Takes note; cheap to clone.
#[derive(Clone)]
pub(crate) struct DriftLog {
    writer: Writer,
    metrics: Metrics,
    clock: Clock,
}

impl DriftLog {
    pub(crate) fn new(writer: Writer, metrics: Metrics, clock: Clock) -> Self {
        Self { writer, metrics, clock }
    }

    /// Takes note of what one answer held: how often by kind, and what each looked like.
    pub(crate) fn note(
        &self,
        transport: Transport,
        counts: &BTreeMap<String, u64>,
        samples: &BTreeMap<String, String>,
    ) {
        let now = self.clock.now_ms();
        for (kind, count) in counts {
            self.metrics.unknown_frames(transport.label(), *count);
            self.writer.enqueue(Write::Drift(Box::new(DriftRow {
                transport: transport.label().to_owned(),
                kind: kind.clone(),
                count: i64::try_from(*count).unwrap_or(i64::MAX),
                first_at: now,
                last_at: now,
                sample: samples.get(kind).cloned().unwrap_or_default(),
            })));
        }
    }
}
