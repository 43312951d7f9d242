//! Tables `jobs` and `job_items`.

use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{Store, StoreError};

/// Rows of one statement: ten columns stay well below SQLite's 32,766 bound values.
const ROWS: usize = 500;

/// A job.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct JobRow {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    /// JSON.
    pub(crate) options: String,
    pub(crate) created_by: String,
    pub(crate) created_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    pub(crate) total: i64,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) skipped: i64,
    /// JSON.
    pub(crate) result: Option<String>,
    pub(crate) error: Option<String>,
}

/// One thing that a job does.
#[derive(Clone, Debug, Default, FromRow)]
pub(crate) struct JobItemRow {
    pub(crate) position: i64,
    pub(crate) subject: String,
    /// Sealed; gone once the thing is done.
    pub(crate) payload: Option<String>,
    /// Empty until it is done.
    pub(crate) outcome: String,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) upstream_status: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

impl Store {
    /// Stores a new job with its things. The job itself comes last, so that half a job is none ([`Store::interrupt_jobs`] removes
    /// its rest), and in pieces, so that no turn waits long behind a large one.
    pub(crate) async fn insert_job(&self, job: &JobRow, items: &[JobItemRow]) -> Result<(), StoreError> {
        for rows in items.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO job_items (job_id, position, subject, payload, outcome, code, message, finished_at) ",
            );
            query.push_values(rows, |mut values, row| {
                values
                    .push_bind(&job.id)
                    .push_bind(row.position)
                    .push_bind(&row.subject)
                    .push_bind(&row.payload)
                    .push_bind(&row.outcome)
                    .push_bind(&row.code)
                    .push_bind(&row.message)
                    .push_bind(row.finished_at);
            });
            self.execute(query.build()).await?;
        }
        let query = sqlx::query(
            "INSERT INTO jobs (id, kind, state, options, created_by, created_at, started_at, finished_at, total, succeeded, \
             failed, skipped, result, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&job.id)
        .bind(&job.kind)
        .bind(&job.state)
        .bind(&job.options)
        .bind(&job.created_by)
        .bind(job.created_at)
        .bind(job.started_at)
        .bind(job.finished_at)
        .bind(job.total)
        .bind(job.succeeded)
        .bind(job.failed)
        .bind(job.skipped)
        .bind(&job.result)
        .bind(&job.error);
        self.execute(query).await?;
        Ok(())
    }

    /// After a start: jobs that were running when the process ended are interrupted, and things without a job go.
    pub(crate) async fn interrupt_jobs(&self, now: i64) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM job_items WHERE job_id NOT IN (SELECT id FROM jobs)")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE jobs SET state = 'cancelled', finished_at = $1 WHERE state = 'cancelling'")
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE jobs SET state = 'paused' WHERE state = 'pausing'").execute(&mut *transaction).await?;
        let interrupted = sqlx::query("UPDATE jobs SET state = 'interrupted' WHERE state IN ('queued', 'running')")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(interrupted.rows_affected())
    }

    /// Stores where a job stands, all but its items and counts.
    pub(crate) async fn update_job(&self, job: &JobRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE jobs SET state = $2, started_at = $3, finished_at = $4, result = $5, error = $6 WHERE id = $1",
        )
        .bind(&job.id)
        .bind(&job.state)
        .bind(job.started_at)
        .bind(job.finished_at)
        .bind(&job.result)
        .bind(&job.error);
        self.execute(query).await?;
        Ok(())
    }

    /// Stores what became of some things, and the job's counts with them.
    pub(crate) async fn finish_job_items(&self, job: &JobRow, items: &[JobItemRow]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for item in items {
            sqlx::query(
                "UPDATE job_items SET outcome = $3, code = $4, message = $5, upstream_status = $6, duration_ms = $7, \
                 finished_at = $8, payload = CASE WHEN $3 = 'failed' THEN payload END WHERE job_id = $1 AND position = $2",
            )
            .bind(&job.id)
            .bind(item.position)
            .bind(&item.outcome)
            .bind(&item.code)
            .bind(&item.message)
            .bind(item.upstream_status)
            .bind(item.duration_ms)
            .bind(item.finished_at)
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE jobs SET succeeded = $2, failed = $3, skipped = $4 WHERE id = $1")
            .bind(&job.id)
            .bind(job.succeeded)
            .bind(job.failed)
            .bind(job.skipped)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Things that failed are to be done again, all but those of the code `except`, which no second try can help; how many.
    pub(crate) async fn reopen_failed_items(&self, job_id: &str, except: &str) -> Result<i64, StoreError> {
        let mut transaction = self.begin().await?;
        let reopened = sqlx::query(
            "UPDATE job_items SET outcome = '', code = NULL, message = NULL, upstream_status = NULL, duration_ms = NULL, \
             finished_at = NULL WHERE job_id = $1 AND outcome = 'failed' AND COALESCE(code, '') <> $2",
        )
        .bind(job_id)
        .bind(except)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        let reopened = i64::try_from(reopened).unwrap_or(i64::MAX);
        sqlx::query("UPDATE jobs SET failed = failed - $2 WHERE id = $1")
            .bind(job_id)
            .bind(reopened)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(reopened)
    }

    pub(crate) async fn job(&self, id: &str) -> Result<Option<JobRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM jobs WHERE id = $1").bind(id).fetch_optional(self.reader()).await?)
    }

    /// Jobs, newest first.
    pub(crate) async fn jobs(&self, limit: i64, offset: i64) -> Result<Vec<JobRow>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM jobs ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2");
        Ok(query.bind(limit).bind(offset).fetch_all(self.reports()).await?)
    }

    pub(crate) async fn job_count(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM jobs").fetch_one(self.reports()).await?)
    }

    /// Things of a job with an outcome (empty: still to be done; `None`: all), after a position.
    pub(crate) async fn job_items(
        &self,
        job_id: &str,
        outcome: Option<&str>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<JobItemRow>, StoreError> {
        const COLUMNS: &str =
            "position, subject, payload, outcome, code, message, upstream_status, duration_ms, finished_at";
        let by_outcome = if outcome.is_some() { "AND outcome = $4" } else { "" };
        let query = format!(
            "SELECT {COLUMNS} FROM job_items WHERE job_id = $1 AND position > $2 {by_outcome} ORDER BY position LIMIT $3"
        );
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(job_id).bind(after).bind(limit);
        if let Some(outcome) = outcome {
            query = query.bind(outcome);
        }
        Ok(query.fetch_all(self.reports()).await?)
    }

    /// The subjects of a job's things with an outcome.
    pub(crate) async fn job_subjects(&self, job_id: &str, outcome: &str) -> Result<Vec<String>, StoreError> {
        let query =
            sqlx::query_scalar("SELECT subject FROM job_items WHERE job_id = $1 AND outcome = $2 ORDER BY position");
        Ok(query.bind(job_id).bind(outcome).fetch_all(self.reports()).await?)
    }

    pub(crate) async fn delete_job(&self, id: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for statement in ["DELETE FROM job_items WHERE job_id = $1", "DELETE FROM jobs WHERE id = $1"] {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Ids of jobs that ended before a time.
    pub(crate) async fn jobs_finished_before(&self, time: i64) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT id FROM jobs WHERE finished_at < $1 LIMIT 100");
        Ok(query.bind(time).fetch_all(self.reader()).await?)
    }
}
