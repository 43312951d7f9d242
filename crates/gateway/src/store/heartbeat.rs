//! Table `heartbeat`: the number that the writer acknowledged last.

use sqlx::sqlite::SqliteConnection;

use super::{Store, StoreError};

impl Store {
    /// The newest heartbeat that a reader sees.
    pub(super) async fn heartbeat(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar("SELECT sequence FROM heartbeat WHERE id = 1").fetch_one(self.reader()).await?)
    }
}

/// Stores a heartbeat.
pub(super) async fn write_heartbeat(connection: &mut SqliteConnection, sequence: i64) -> Result<(), sqlx::Error> {
    let update = sqlx::query("UPDATE heartbeat SET sequence = $1 WHERE id = 1").bind(sequence);
    update.execute(connection).await?;
    Ok(())
}
