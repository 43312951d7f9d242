//! Table `drift`: what the upstream said that this program does not know.

use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::{Store, StoreError};

/// Kinds kept; an upstream that makes up names must not fill the disk.
const KINDS: i64 = 500;

/// One unknown thing.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct DriftRow {
    /// What it came over.
    pub(crate) transport: String,
    /// What it is and what it calls itself.
    pub(crate) kind: String,
    pub(crate) count: i64,
    pub(crate) first_at: i64,
    pub(crate) last_at: i64,
    /// Its shape: names and types alone.
    pub(crate) sample: String,
}

impl Store {
    /// All of it, the last seen first.
    pub(crate) async fn drift(&self) -> Result<Vec<DriftRow>, StoreError> {
        let rows = sqlx::query_as("SELECT * FROM drift ORDER BY last_at DESC, transport, kind");
        Ok(rows.fetch_all(self.reader()).await?)
    }

    /// Kinds seen since a time.
    pub(crate) async fn drift_since(&self, at: i64) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM drift WHERE last_at >= $1").bind(at);
        Ok(count.fetch_one(self.reader()).await?)
    }

    /// Forgets it, for instance after an update that knows it.
    pub(crate) async fn clear_drift(&self) -> Result<u64, StoreError> {
        self.execute(sqlx::query("DELETE FROM drift")).await
    }
}

/// Adds to what is known of a kind.
pub(super) async fn add_drift(connection: &mut SqliteConnection, row: &DriftRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO drift (transport, kind, count, first_at, last_at, sample) \
         SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM drift) < $7 \
         OR EXISTS (SELECT 1 FROM drift WHERE transport = $1 AND kind = $2) \
         ON CONFLICT (transport, kind) DO UPDATE SET count = drift.count + excluded.count, last_at = excluded.last_at",
    )
    .bind(&row.transport)
    .bind(&row.kind)
    .bind(row.count)
    .bind(row.first_at)
    .bind(row.last_at)
    .bind(&row.sample)
    .bind(KINDS)
    .execute(connection)
    .await?;
    Ok(())
}
