//! Doing what a job has to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::work::{ImportOptions, NoOptions};
use super::{Active, Jobs, Order, Resource, Work, state};
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
    /// It makes no sense to go on before a person has looked.
    Blocked(String),
}

impl Jobs {
    /// Runs a job to its end and writes down which it was.
    pub(super) async fn run(&self, active: Arc<Active>) {
        let end = self.work_through(&active).await;
        if matches!(end, Ok(End::Done)) {
            self.follow_up(&active).await;
        }
        let rooms = &self.shared.rooms;
        let row = {
            let mut row = active.row();
            let now = Some(rooms.clock.now_ms());
            let (name, finished_at) = match &end {
                Ok(End::Done) => (ended(row.succeeded + row.skipped, row.failed), now),
                Ok(End::Stopped(Order::Pause)) => (state::PAUSED, None),
                Ok(End::Stopped(_)) => (state::CANCELLED, now),
                Ok(End::Interrupted) => (state::INTERRUPTED, None),
                Ok(End::Blocked(reason)) => {
                    row.error = Some(reason.clone());
                    (state::PAUSED, None)
                }
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
        self.tell_list(&active, &row.id);
        self.publish_row(&row);
    }

    /// Tells consoles that a list has changed; those of other things are told by whoever changes them.
    fn tell_list(&self, active: &Active, job_id: &str) {
        if active.work.resource() == Resource::Accounts {
            let events = &self.shared.rooms.events;
            events.publish("account.list_changed", "accounts", "", &json!({ "job": job_id }));
        }
    }

    async fn work_through(&self, active: &Active) -> Result<End, StoreError> {
        let rooms = &self.shared.rooms;
        let (job_id, person) = {
            let row = active.row();
            (row.id.clone(), row.created_by.clone())
        };
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
            let limit = i64::try_from(active.work.batch_size(rooms)).unwrap_or(i64::MAX);
            let mut items = rooms.store.job_items(&job_id, Some(""), after, limit).await?;
            let Some(last) = items.last() else { return Ok(End::Done) };
            after = last.position;
            let blocked = active.work.batch(rooms, &mut items, &person).await?;
            items.retain(|item| !item.outcome.is_empty());
            self.store_results(active, &items).await?;
            if let Some(reason) = blocked {
                return Ok(End::Blocked(reason));
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                let row = active.row().clone();
                self.publish_row(&row);
                self.tell_list(active, &row.id);
            }
            // Whoever waits for this thread or the database comes first.
            tokio::task::yield_now().await;
        }
    }

    /// What an import added is checked by a job of its own, which is named in the import's result.
    async fn follow_up(&self, active: &Active) {
        let Work::Import(ImportOptions { check_quota: true, .. }) = active.work else { return };
        let rooms = &self.shared.rooms;
        let (id, created_by) = {
            let row = active.row();
            (row.id.clone(), row.created_by.clone())
        };
        let added = match rooms.store.job_subjects(&id, "succeeded").await {
            Ok(added) => added,
            Err(error) => return tracing::error!(job = id, %error, "what an import added cannot be checked"),
        };
        // One that came back from the bin has its old id, and what was read of it then.
        let items = (1..).zip(added.into_iter().filter(|id| rooms.accounts.get(id).is_some()));
        let items: Vec<JobItemRow> =
            items.map(|(position, subject)| JobItemRow { position, subject, ..JobItemRow::default() }).collect();
        if items.is_empty() {
            return;
        }
        match self.start(Work::CheckQuota(NoOptions {}), items, created_by).await {
            Ok(check) => active.row().result = Some(json!({ "check_job": check.id }).to_string()),
            Err(error) => tracing::error!(job = id, %error, "what an import added cannot be checked"),
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
