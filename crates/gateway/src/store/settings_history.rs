//! Table `settings_history`.

use sqlx::FromRow;

use super::{Store, StoreError};

/// One change of the settings.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct SettingsHistoryRow {
    pub(crate) id: String,
    pub(crate) at: i64,
    pub(crate) actor: String,
    /// JSON list.
    pub(crate) changes: String,
    pub(crate) document_sealed: String,
}

impl Store {
    /// Adds a change and lets those beyond the newest `keep` go.
    pub(crate) async fn insert_settings_history(&self, row: &SettingsHistoryRow, keep: i64) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO settings_history (id, at, actor, changes, document_sealed) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&row.id)
        .bind(row.at)
        .bind(&row.actor)
        .bind(&row.changes)
        .bind(&row.document_sealed)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "DELETE FROM settings_history WHERE id <= \
             (SELECT id FROM settings_history ORDER BY id DESC LIMIT 1 OFFSET $1)",
        )
        .bind(keep)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The newest changes, newest first.
    pub(crate) async fn settings_history(&self, limit: i64) -> Result<Vec<SettingsHistoryRow>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM settings_history ORDER BY id DESC LIMIT $1");
        Ok(query.bind(limit).fetch_all(self.reader()).await?)
    }

    pub(crate) async fn settings_history_entry(&self, id: &str) -> Result<Option<SettingsHistoryRow>, StoreError> {
        let query = sqlx::query_as("SELECT * FROM settings_history WHERE id = $1");
        Ok(query.bind(id).fetch_optional(self.reader()).await?)
    }
}
