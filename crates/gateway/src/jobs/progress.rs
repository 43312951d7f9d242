//! How fast a job goes.

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::jobs::JobRow;

/// Before this much is done, and this many things, a forecast would be a guess.
const SURE_AFTER: Duration = Duration::from_secs(5);
const SURE_AFTER_ITEMS: i64 = 20;

/// The pace of a job since it was started, or started again.
pub(super) struct Progress {
    began: Instant,
    /// What was done before that.
    before: i64,
}

/// How far a job is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProgressView {
    total: i64,
    done: i64,
    succeeded: i64,
    failed: i64,
    skipped: i64,
    /// Things per second; `null` when it does not run, or has just begun.
    rate_per_s: Option<f64>,
    /// Seconds that are left at this pace.
    eta_s: Option<i64>,
}

impl Progress {
    pub(super) fn begin(before: i64) -> Self {
        Self { began: Instant::now(), before }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
#[expect(clippy::cast_possible_truncation, reason = "seconds of a job")]
pub(super) fn view(row: &JobRow, progress: Option<&Progress>) -> ProgressView {
    let done = row.succeeded + row.failed + row.skipped;
    let sure = progress
        .filter(|progress| progress.began.elapsed() >= SURE_AFTER && done - progress.before >= SURE_AFTER_ITEMS);
    let rate = sure.map(|progress| (done - progress.before) as f64 / progress.began.elapsed().as_secs_f64());
    ProgressView {
        total: row.total,
        done,
        succeeded: row.succeeded,
        failed: row.failed,
        skipped: row.skipped,
        rate_per_s: rate.map(|rate| (rate * 10.0).round() / 10.0),
        eta_s: rate.filter(|rate| *rate > 0.0).map(|rate| ((row.total - done) as f64 / rate).ceil() as i64),
    }
}
