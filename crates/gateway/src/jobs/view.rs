//! Jobs and their things as they are shown.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::progress::{self, ProgressView};
use super::{JobError, Jobs, state};
use crate::clock::timestamp;
use crate::store::jobs::{JobItemRow, JobRow};

/// One job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobView {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// `running`, `pausing`, `paused`, `cancelling`, `cancelled`, `succeeded`, `partially_failed`, `failed`, `interrupted`.
    pub(crate) state: String,
    created_by: String,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    options: Value,
    progress: ProgressView,
    /// What came of it, where that is more than its things.
    result: Option<Value>,
    /// Why it could not go on.
    error: Option<String>,
    cancellable: bool,
    pausable: bool,
    /// It has things left to do, and can be told to do them.
    resumable: bool,
}

/// A window of the jobs, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobPage {
    pub(crate) items: Vec<JobView>,
    pub(crate) total: i64,
}

/// One thing of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobItemView {
    position: i64,
    /// What it is done to: an id, or the place in an imported list.
    subject: String,
    /// What the account is called that it is done to.
    label: Option<String>,
    /// `pending`, `succeeded`, `failed`, `skipped`.
    outcome: String,
    code: Option<String>,
    message: Option<String>,
    upstream_status: Option<i64>,
    duration_ms: Option<i64>,
    finished_at: Option<String>,
}

/// Things of a job, in order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct JobItemPage {
    items: Vec<JobItemView>,
    /// `after=` of the next page; `null` at the end.
    next: Option<i64>,
}

/// Outcomes of things, by the names under which they are stored and shown; what is pending is stored as an empty text.
const PENDING: &str = "pending";
pub(crate) const OUTCOMES: [&str; 4] = [PENDING, "succeeded", "failed", "skipped"];

impl Jobs {
    pub(crate) async fn show(&self, id: &str) -> Result<JobView, JobError> {
        Ok(self.view(&self.row(id).await?))
    }

    pub(crate) async fn list(&self, limit: usize, offset: usize) -> Result<JobPage, JobError> {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let store = &self.shared.rooms.store;
        let (rows, total) = tokio::try_join!(store.jobs(number(limit), number(offset)), store.job_count())?;
        let now = |row: &JobRow| self.active(&row.id).map_or_else(|| row.clone(), |active| active.row().clone());
        Ok(JobPage { items: rows.iter().map(|row| self.view(&now(row))).collect(), total })
    }

    /// Things of a job, of one outcome or all, after a position.
    pub(crate) async fn items(
        &self,
        id: &str,
        outcome: Option<&str>,
        after: usize,
        limit: usize,
    ) -> Result<JobItemPage, JobError> {
        self.row(id).await?;
        let stored = outcome.map(|outcome| if outcome == PENDING { "" } else { outcome });
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let rows = self.shared.rooms.store.job_items(id, stored, number(after), number(limit)).await?;
        let next = (rows.len() == limit).then(|| rows.last().map(|row| row.position)).flatten();
        let labels: Vec<Option<String>> = {
            let mut named = self.shared.rooms.accounts.labels(rows.iter().map(|row| row.subject.as_str()));
            rows.iter().map(|row| named.remove(row.subject.as_str()).map(|named| named.label)).collect()
        };
        let items = rows.into_iter().zip(labels).map(|(row, label)| item(row, label)).collect();
        Ok(JobItemPage { items, next })
    }

    pub(super) fn view(&self, row: &JobRow) -> JobView {
        let active = self.active(&row.id);
        let is_running = active.is_some();
        let done = row.succeeded + row.failed + row.skipped;
        let parsed = |text: &str| serde_json::from_str(text).unwrap_or_default();
        JobView {
            id: row.id.clone(),
            kind: row.kind.clone(),
            state: row.state.clone(),
            created_by: row.created_by.clone(),
            created_at: timestamp(row.created_at),
            started_at: row.started_at.map(timestamp),
            finished_at: row.finished_at.map(timestamp),
            options: parsed(&row.options),
            progress: progress::view(row, active.as_ref().map(|active| &active.progress)),
            result: row.result.as_deref().map(parsed),
            error: row.error.clone(),
            cancellable: is_running && row.state != state::CANCELLING
                || matches!(row.state.as_str(), state::PAUSED | state::INTERRUPTED),
            pausable: row.state == state::RUNNING,
            resumable: !is_running
                && match row.state.as_str() {
                    state::PAUSED | state::INTERRUPTED => true,
                    state::CANCELLED | state::FAILED => done < row.total,
                    _ => false,
                },
        }
    }
}

fn item(row: JobItemRow, label: Option<String>) -> JobItemView {
    JobItemView {
        position: row.position,
        subject: row.subject,
        label,
        outcome: if row.outcome.is_empty() { PENDING.to_owned() } else { row.outcome },
        code: row.code,
        message: row.message,
        upstream_status: row.upstream_status,
        duration_ms: row.duration_ms,
        finished_at: row.finished_at.map(timestamp),
    }
}
