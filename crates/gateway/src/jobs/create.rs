//! How a job comes to be.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::progress::Progress;
use super::work::{ImportItem, ImportOptions, PAYLOAD_CONTEXT};
use super::{Active, DryRun, JobError, JobView, Jobs, Order, Scope, UNREADABLE, Work, state};
use crate::accounts::new_account_id;
use crate::imports::Preview;
use crate::store::jobs::{JobItemRow, JobRow};

/// A job to start.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    pub(crate) work: Work,
    pub(crate) scope: Option<Scope>,
    /// The preview that an import adds.
    pub(crate) preview_id: Option<String>,
    /// Count what it would hit, and do nothing.
    pub(crate) dry_run: bool,
    /// What a dry run gave.
    pub(crate) confirm_token: Option<String>,
    /// Who asks.
    pub(crate) created_by: String,
}

/// What came of asking for a job.
pub(crate) enum Created {
    Started(Box<JobView>),
    Counted(DryRun),
}

impl Jobs {
    /// Starts a job, or counts what it would hit.
    pub(crate) async fn create(&self, new: NewJob) -> Result<Created, JobError> {
        if let Some(message) = new.work.problem() {
            return Err(JobError::Invalid { path: "/options", message });
        }
        if let Work::Import(options) = &new.work {
            let id = new.preview_id.as_deref().ok_or_else(|| JobError::Invalid {
                path: "/preview_id",
                message: "must name a preview: POST /imports/preview gives one".to_owned(),
            })?;
            if new.dry_run {
                return Err(JobError::Invalid {
                    path: "/dry_run",
                    message: "the preview is an import's dry run".to_owned(),
                });
            }
            let preview = self.shared.previews.take(id).ok_or(JobError::PreviewExpired)?;
            let items = self.import_items(preview, options);
            return Ok(Created::Started(Box::new(self.start(new.work.clone(), items, new.created_by).await?)));
        }
        if let (Work::Restore(_), Some(Scope::View { .. } | Scope::Filter(_))) = (&new.work, &new.scope) {
            let message = "must be ids, or the job that deleted them: lists show what is not in the bin".to_owned();
            return Err(JobError::Invalid { path: "/scope", message });
        }
        let subjects = match (&new.confirm_token, &new.scope) {
            (Some(token), _) => self.shared.confirmations.take(token, &new.work)?,
            (None, Some(scope)) => self.resolve(scope, new.work.resource()).await?,
            (None, None) => {
                let message = "must say which are meant: ids, view, filter or job".to_owned();
                return Err(JobError::Invalid { path: "/scope", message });
            }
        };
        if new.dry_run {
            return Ok(Created::Counted(self.dry_run(new.work, subjects).await?));
        }
        if new.work.destroys() && new.confirm_token.is_none() {
            return Err(JobError::Invalid {
                path: "/confirm_token",
                message: "is required: send the same with dry_run first, and then the confirm_token that it gives"
                    .to_owned(),
            });
        }
        let items = (1..).zip(subjects).map(|(position, subject)| JobItemRow {
            position,
            subject: subject.to_string(),
            ..JobItemRow::default()
        });
        let items = items.collect();
        Ok(Created::Started(Box::new(self.start(new.work, items, new.created_by).await?)))
    }

    /// The things of an import: accounts to add first, then what is left out, so that the list of results is complete.
    fn import_items(&self, preview: Preview, options: &ImportOptions) -> Vec<JobItemRow> {
        let rooms = &self.shared.rooms;
        let now = rooms.clock.now_ms();
        let mut items = Vec::with_capacity(preview.new.len() + preview.left_out.len());
        for (number, placed) in (1_usize..).zip(preview.new) {
            let found = placed.found;
            let prefix = options.label_prefix.as_deref().map(str::trim).filter(|prefix| !prefix.is_empty());
            let mut tags = found.tags;
            tags.extend(options.tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect::<Vec<_>>());
            let item = ImportItem {
                token: found.token,
                label: found.label.or_else(|| prefix.map(|prefix| format!("{prefix}{number:04}"))),
                tags,
                tier: found.tier,
                enabled: found.enabled.unwrap_or(true) && options.enabled,
            };
            let payload = serde_json::to_string(&item).unwrap_or_default();
            items.push(JobItemRow {
                subject: new_account_id(),
                payload: Some(rooms.cipher.seal(&payload, PAYLOAD_CONTEXT)),
                ..JobItemRow::default()
            });
        }
        for entry in preview.left_out {
            let is_known = matches!(entry.code, "duplicate" | "already_exists");
            let source = if entry.source.is_empty() { String::new() } else { format!("{}:", entry.source) };
            items.push(JobItemRow {
                subject: format!("{source}{}", entry.place),
                outcome: if is_known { "skipped" } else { "failed" }.to_owned(),
                code: Some(if is_known { entry.code } else { UNREADABLE }.to_owned()),
                message: entry.existing.or_else(|| (!is_known).then(|| entry.code.to_owned())),
                finished_at: Some(now),
                ..JobItemRow::default()
            });
        }
        for (position, item) in (1..).zip(&mut items) {
            item.position = position;
        }
        items
    }

    pub(super) async fn start(
        &self,
        work: Work,
        items: Vec<JobItemRow>,
        created_by: String,
    ) -> Result<JobView, JobError> {
        let rooms = &self.shared.rooms;
        let count = |outcome: &str| items.iter().filter(|item| item.outcome == outcome).count();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (kind, options) = kind_and_options(&work);
        let now = rooms.clock.now_ms();
        let row = JobRow {
            id: format!("job_{}", Uuid::now_v7().simple()),
            kind,
            state: state::RUNNING.to_owned(),
            options,
            created_by,
            created_at: now,
            started_at: Some(now),
            finished_at: None,
            total: number(items.len()),
            succeeded: 0,
            failed: number(count("failed")),
            skipped: number(count("skipped")),
            result: None,
            error: None,
        };
        let subjects = items.iter().filter(|item| item.outcome.is_empty()).map(|item| Arc::from(item.subject.as_str()));
        let active = self.claim(work, subjects.collect(), row.clone())?;
        if let Err(error) = rooms.store.insert_job(&row, &items).await {
            self.all_active().remove(&row.id);
            return Err(error.into());
        }
        Ok(self.spawn(active))
    }

    /// Starts a stored job again, with what it has not done.
    pub(super) async fn start_again(&self, mut row: JobRow) -> Result<(), JobError> {
        let store = &self.shared.rooms.store;
        let work = parse(&row.kind, &row.options).map_err(|message| JobError::Invalid { path: "/options", message })?;
        let subjects = store.job_subjects(&row.id, "").await?.into_iter().map(Arc::from).collect();
        row.state = state::RUNNING.to_owned();
        row.finished_at = None;
        row.error = None;
        let active = self.claim(work, subjects, row.clone())?;
        if let Err(error) = store.update_job(&row).await {
            self.all_active().remove(&row.id);
            return Err(error.into());
        }
        self.spawn(active);
        Ok(())
    }

    /// Makes a job one of those that run, unless one of its kind works on some of the same things.
    fn claim(&self, work: Work, subjects: HashSet<Arc<str>>, row: JobRow) -> Result<Arc<Active>, JobError> {
        let mut active = self.all_active();
        let clash = active.iter().find(|(id, other)| {
            **id == row.id || other.row().kind == row.kind && !other.subjects.is_disjoint(&subjects)
        });
        if let Some((existing, _)) = clash {
            return Err(JobError::Running { existing: existing.clone() });
        }
        let id = row.id.clone();
        let new = Arc::new(Active {
            work,
            subjects,
            progress: Progress::begin(row.succeeded + row.failed + row.skipped),
            row: Mutex::new(row),
            order: watch::Sender::new(Order::GoOn),
            over: CancellationToken::new(),
        });
        active.insert(id, Arc::clone(&new));
        Ok(new)
    }

    fn spawn(&self, active: Arc<Active>) -> JobView {
        let row = active.row().clone();
        self.publish_row(&row);
        let (jobs, tasks) = (self.clone(), self.shared.tasks.clone());
        tasks.spawn(async move { jobs.run(active).await });
        self.view(&row)
    }
}

/// The name of a kind and its options as they are stored.
fn kind_and_options(work: &Work) -> (String, String) {
    let value = serde_json::to_value(work).unwrap_or_default();
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    (kind, value["options"].to_string())
}

/// The work that a kind and options stand for, or what is wrong with the options.
pub(crate) fn parse(kind: &str, options: &str) -> Result<Work, String> {
    let options: serde_json::Value = serde_json::from_str(options).map_err(|error| error.to_string())?;
    serde_json::from_value(serde_json::json!({ "kind": kind, "options": options })).map_err(|error| error.to_string())
}
