//! What grows too old or too many in the log goes, in small steps: between two of them the writer has its turn.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::settings::Settings;
use crate::store::requests::Cut;
use crate::store::{Store, StoreError};

/// How long one statement may take, about: a turn that waits for its commit behind it should not notice. What a row costs depends on
/// how many pages of the indexes it touches and on the disk, so the number of rows follows the time that the last step took.
const STEP_TIME: Duration = Duration::from_millis(5);

/// Rows of the first step, of the smallest and of the largest.
const FIRST_STEP: i64 = 50;
const SMALLEST_STEP: i64 = 10;
const LARGEST_STEP: i64 = 500;

const DAY_MS: i64 = 86_400_000;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// Entries of the log.
    pub(crate) entries: u64,
    /// Days an entry is kept.
    pub(crate) days: u64,
    /// Days the statistics are kept.
    pub(crate) statistics_days: u64,
}

impl Retention {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            entries: settings.max_log_entries,
            days: settings.log_retention_days,
            statistics_days: settings.stats_retention_days,
        }
    }

    /// Trims the log and the statistics; answers how many rows of the log went.
    pub(crate) async fn apply(self, store: &Store, clock: &Clock) -> Result<u64, StoreError> {
        let now = clock.now_ms();
        let oldest = now.saturating_sub(days(self.days));
        let beyond = store.requests_beyond(i64::try_from(self.entries).unwrap_or(i64::MAX)).await?;
        let aged = store.requests_before(oldest).await?;
        let gone = match beyond.max(aged) {
            Some(cut) => trim_log(store, &cut).await?,
            None => 0,
        };
        for (dimension, grain, kept_ms) in crate::store::statistics::kept(days(self.statistics_days)) {
            let before = now.saturating_sub(kept_ms);
            in_steps(|rows| store.trim_statistics(dimension, grain, before, rows)).await?;
        }
        Ok(gone)
    }
}

/// Deletes what is in the log from before a time; how many.
pub(crate) async fn purge_requests(store: &Store, before: i64) -> Result<u64, StoreError> {
    match store.requests_before(before).await? {
        Some(cut) => trim_log(store, &cut).await,
        None => Ok(0),
    }
}

fn days(days: u64) -> i64 {
    i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_MS)
}

async fn trim_log(store: &Store, cut: &Cut) -> Result<u64, StoreError> {
    in_steps(|rows| store.trim_requests(cut, rows)).await
}

/// Repeats a step until it has nothing left to do. It pauses as long as the step took, so that most of the time is the writer's.
async fn in_steps<F>(mut step: impl FnMut(i64) -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<u64, StoreError>>,
{
    let (mut gone, mut rows) = (0, FIRST_STEP);
    loop {
        let began = Instant::now();
        let count = step(rows).await?;
        gone += count;
        if i64::try_from(count).is_ok_and(|count| count < rows) {
            return Ok(gone);
        }
        let took = began.elapsed();
        rows = if took > STEP_TIME { rows / 2 } else { rows + rows / 4 }.clamp(SMALLEST_STEP, LARGEST_STEP);
        tokio::time::sleep(took.max(Duration::from_millis(1))).await;
    }
}
