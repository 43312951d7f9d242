//! Doing what a job has to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Active, Jobs, Order, state};
use crate::store::StoreError;
use crate::store::jobs::JobItemRow;

/// How often consoles are told how far a job is.
const TELL: Duration = Duration::from_millis(250);

/// How a run ended.
enum End {
    Done,
    /// Told to.
    Stopped(Order),
    /// The process ends.
    Interrupted,
}

impl Jobs {
    /// Runs a job to its end and writes down which it was.
    pub(super) async fn run(&self, active: Arc<Active>) {
        let end = self.work_through(&active).await;
        let rooms = &self.shared.rooms;
        let row = {
            let mut row = active.row();
            let now = Some(rooms.clock.now_ms());
            let (name, finished_at) = match &end {
                Ok(End::Done) => (ended(row.succeeded + row.skipped, row.failed), now),
                Ok(End::Stopped(Order::Pause)) => (state::PAUSED, None),
                Ok(End::Stopped(_)) => (state::CANCELLED, now),
                Ok(End::Interrupted) => (state::INTERRUPTED, None),
                Err(error) => {
                    tracing::error!(job = row.id, %error, "a job could not go on");
                    row.error = Some(error.to_string());
                    (state::FAILED, now)
                }
            };
            row.state = name.to_owned();
            row.finished_at = finished_at;
            row.clone()
        };
        tracing::info!(
            job = row.id,
            kind = row.kind,
            state = row.state,
            succeeded = row.succeeded,
            failed = row.failed,
            skipped = row.skipped,
            "a job has ended"
        );
        if let Err(error) = rooms.store.update_job(&row).await {
            // The next start finds it running and calls it interrupted.
            tracing::error!(job = row.id, %error, "how a job ended could not be stored");
        }
        self.all_active().remove(&row.id);
        active.over.cancel();
        rooms.events.publish("account.list_changed", "accounts", "", &json!({ "job": row.id }));
        self.publish_row(&row);
    }

    async fn work_through(&self, active: &Active) -> Result<End, StoreError> {
        let rooms = &self.shared.rooms;
        let job_id = active.row().id.clone();
        let mut told = Instant::now();
        let mut after = 0;
        loop {
            match *active.order.borrow() {
                Order::GoOn => {}
                order => return Ok(End::Stopped(order)),
            }
            if self.shared.stop.is_cancelled() {
                return Ok(End::Interrupted);
            }
            let limit = i64::try_from(active.work.batch_size()).unwrap_or(i64::MAX);
            let mut items = rooms.store.job_items(&job_id, Some(""), after, limit).await?;
            let Some(last) = items.last() else { return Ok(End::Done) };
            after = last.position;
            active.work.batch(rooms, &mut items).await?;
            self.store_results(active, &items).await?;
            if told.elapsed() >= TELL {
                told = Instant::now();
                let row = active.row().clone();
                self.publish_row(&row);
                rooms.events.publish("account.list_changed", "accounts", "", &json!({ "job": row.id }));
            }
            // Whoever waits for this thread or the database comes first.
            tokio::task::yield_now().await;
        }
    }

    async fn store_results(&self, active: &Active, items: &[JobItemRow]) -> Result<(), StoreError> {
        let row = {
            let mut row = active.row();
            for item in items {
                match item.outcome.as_str() {
                    "succeeded" => row.succeeded += 1,
                    "failed" => row.failed += 1,
                    _ => row.skipped += 1,
                }
            }
            row.clone()
        };
        self.shared.rooms.store.finish_job_items(&row, items).await
    }
}

fn ended(well: i64, failed: i64) -> &'static str {
    match (well, failed) {
        (_, 0) => state::SUCCEEDED,
        (0, _) => state::FAILED,
        _ => state::PARTIALLY_FAILED,
    }
}
