//! Work on many things, started by a person or a script, done here whether or not anybody looks.
//!
//! A job is a row with a row per thing. What became of a thing is stored as it goes, so a job that a restart interrupts goes on
//! where it was. [`work`] says what is done to a thing, [`run`] does it, [`scope`] says which things are meant, [`confirm`] counts
//! what a job that destroys something would hit before it may.

mod confirm;
mod create;
mod progress;
mod purge;
mod run;
mod scan;
mod scope;
mod view;
mod work;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{AccountError, AccountPool};
use crate::audit::Recorder;
use crate::chat::ChatService;
use crate::clock::Clock;
use crate::conversations::Conversations;
use crate::events::Events;
use crate::images::Images;
use crate::imports::Previews;
use crate::secrets::Cipher;
use crate::settings::SettingsHandle;
use crate::store::jobs::JobRow;
use crate::store::{Store, StoreError};

pub(crate) use confirm::DryRun;
pub(crate) use create::{Created, NewJob, parse as parse_work};
pub(crate) use scope::{Filter, Resource, Scope};
pub(crate) use view::{JobItemPage, JobPage, JobView, OUTCOMES};
pub(crate) use work::{KINDS, Work};

use confirm::Confirmations;
use progress::Progress;

/// Finished jobs are kept for 30 days.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// The code of an entry that no second try can make an account of.
const UNREADABLE: &str = "unreadable";

/// The states of a job, by the names under which they are stored and shown.
mod state {
    pub(super) const RUNNING: &str = "running";
    pub(super) const PAUSING: &str = "pausing";
    pub(super) const PAUSED: &str = "paused";
    pub(super) const CANCELLING: &str = "cancelling";
    pub(super) const CANCELLED: &str = "cancelled";
    pub(super) const SUCCEEDED: &str = "succeeded";
    pub(super) const PARTIALLY_FAILED: &str = "partially_failed";
    pub(super) const FAILED: &str = "failed";
    pub(super) const INTERRUPTED: &str = "interrupted";
}

/// What was asked for cannot be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("there is no such job")]
    NotFound,
    /// A job of the same kind works on some of the same things.
    #[error("a job of this kind is running on some of these things")]
    Running { existing: String },
    #[error("a job that is {state} cannot be told to {action}")]
    State { state: String, action: &'static str },
    #[error("{path}: {message}")]
    Invalid { path: &'static str, message: String },
    #[error("the preview is not there any more; make it again")]
    PreviewExpired,
    #[error("the confirmation is unknown, used or older than ten minutes, or of another job; make the dry run again")]
    ConfirmationExpired,
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rooms that jobs work with.
#[derive(Clone)]
pub(crate) struct JobRooms {
    pub(crate) store: Store,
    pub(crate) accounts: AccountPool,
    pub(crate) chat: ChatService,
    pub(crate) recorder: Recorder,
    pub(crate) conversations: Conversations,
    pub(crate) images: Images,
    pub(crate) settings: SettingsHandle,
    pub(crate) events: Events,
    pub(crate) cipher: Cipher,
    pub(crate) clock: Clock,
}

/// A cheap handle to all jobs.
#[derive(Clone)]
pub(crate) struct Jobs {
    shared: Arc<Shared>,
}

struct Shared {
    rooms: JobRooms,
    previews: Previews,
    confirmations: Confirmations,
    active: Mutex<HashMap<String, Arc<Active>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A job that runs in this process.
struct Active {
    work: Work,
    /// What it works on, so that another does not do the same at the same time.
    subjects: HashSet<Arc<str>>,
    /// The row as it stands.
    row: Mutex<JobRow>,
    progress: Progress,
    /// What it was told.
    order: watch::Sender<Order>,
    /// Ends when it does.
    over: CancellationToken,
}

/// What a running job is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    GoOn,
    Pause,
    Cancel,
}

impl Jobs {
    /// Jobs that ran when the process ended are interrupted: a person may continue them.
    pub(crate) async fn load(rooms: JobRooms, tasks: TaskTracker, stop: CancellationToken) -> Result<Self, StoreError> {
        let interrupted = rooms.store.interrupt_jobs(rooms.clock.now_ms()).await?;
        if interrupted > 0 {
            tracing::warn!(
                count = interrupted,
                "jobs were interrupted by the end of the process; they can be continued"
            );
        }
        let previews = Previews::new(rooms.clock.clone());
        let confirmations = Confirmations::new(rooms.clock.clone());
        let shared = Shared { rooms, previews, confirmations, active: Mutex::default(), tasks, stop };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The previews of imports.
    pub(crate) fn previews(&self) -> &Previews {
        &self.shared.previews
    }

    /// Tells a running job to stop after what is under way; one that does not run is cancelled at once.
    pub(crate) async fn cancel(&self, id: &str) -> Result<JobView, JobError> {
        match self.active(id) {
            Some(active) => self.order(&active, Order::Cancel, state::CANCELLING).await?,
            None => {
                let mut row = self.row(id).await?;
                if !matches!(row.state.as_str(), state::PAUSED | state::INTERRUPTED) {
                    return Err(JobError::State { state: row.state, action: "cancel" });
                }
                row.state = state::CANCELLED.to_owned();
                row.finished_at = Some(self.shared.rooms.clock.now_ms());
                self.shared.rooms.store.update_job(&row).await?;
                self.publish_row(&row);
            }
        }
        self.show(id).await
    }

    /// Tells a running job to stop for a while after what is under way.
    pub(crate) async fn pause(&self, id: &str) -> Result<JobView, JobError> {
        match self.active(id) {
            Some(active) => self.order(&active, Order::Pause, state::PAUSING).await?,
            None => return Err(JobError::State { state: self.row(id).await?.state, action: "pause" }),
        }
        self.show(id).await
    }

    /// Goes on with a job that was paused, interrupted, cancelled or failed, with what it has not done.
    pub(crate) async fn resume(&self, id: &str) -> Result<JobView, JobError> {
        let row = self.row(id).await?;
        let done = row.succeeded + row.failed + row.skipped;
        let can_go_on = match row.state.as_str() {
            state::PAUSED | state::INTERRUPTED => true,
            state::CANCELLED | state::FAILED => done < row.total,
            _ => false,
        };
        if self.active(id).is_some() || !can_go_on {
            return Err(JobError::State { state: row.state, action: "resume" });
        }
        self.start_again(row).await?;
        self.show(id).await
    }

    /// Does again what failed.
    pub(crate) async fn retry_failed(&self, id: &str) -> Result<JobView, JobError> {
        let mut row = self.row(id).await?;
        if self.active(id).is_some() || row.failed == 0 {
            return Err(JobError::State { state: row.state, action: "retry what failed" });
        }
        row.failed -= self.shared.rooms.store.reopen_failed_items(id, UNREADABLE).await?;
        self.start_again(row).await?;
        self.show(id).await
    }

    /// Forgets a job that has ended.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), JobError> {
        let row = self.row(id).await?;
        if self.active(id).is_some() {
            return Err(JobError::State { state: row.state, action: "go" });
        }
        self.shared.rooms.store.delete_job(id).await?;
        self.shared.rooms.events.publish("job.deleted", "jobs", id, &json!({ "id": id }));
        Ok(())
    }

    /// Forgets what ended long ago.
    pub(crate) async fn trim(&self) -> Result<(), StoreError> {
        let store = &self.shared.rooms.store;
        for id in store.jobs_finished_before(self.shared.rooms.clock.now_ms() - KEPT_MS).await? {
            store.delete_job(&id).await?;
        }
        Ok(())
    }

    /// Waits until a job has ended or the time is over.
    pub(crate) async fn wait(&self, id: &str, at_most: std::time::Duration) {
        if let Some(active) = self.active(id) {
            // Either way the caller looks at the job now.
            let _ = tokio::time::timeout(at_most, active.over.cancelled()).await;
        }
    }

    async fn order(&self, active: &Arc<Active>, order: Order, name: &str) -> Result<(), JobError> {
        let row = {
            let mut row = active.row();
            // Told to cancel while it pauses, it cancels; the other way round it goes on cancelling.
            if row.state == state::CANCELLING && order == Order::Pause {
                return Err(JobError::State { state: row.state.clone(), action: "pause" });
            }
            row.state = name.to_owned();
            row.clone()
        };
        active.order.send_replace(order);
        self.shared.rooms.store.update_job(&row).await?;
        self.publish_row(&row);
        Ok(())
    }

    fn active(&self, id: &str) -> Option<Arc<Active>> {
        self.all_active().get(id).cloned()
    }

    fn all_active(&self) -> MutexGuard<'_, HashMap<String, Arc<Active>>> {
        self.shared.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of a job as it stands now.
    async fn row(&self, id: &str) -> Result<JobRow, JobError> {
        if let Some(active) = self.active(id) {
            return Ok(active.row().clone());
        }
        self.shared.rooms.store.job(id).await?.ok_or(JobError::NotFound)
    }

    fn publish_row(&self, row: &JobRow) {
        let view = self.view(row);
        self.shared.rooms.events.publish("job", "jobs", &row.id, &view);
    }
}

impl Active {
    fn row(&self) -> MutexGuard<'_, JobRow> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
