//! Table `api_keys`.

use sqlx::{FromRow, QueryBuilder};

use super::{Store, StoreError};

/// One API key. Its secret is here as a hash only.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ApiKeyRow {
    pub(crate) id: String,
    pub(crate) name: String,
    /// SHA-256 of the secret in hexadecimal; unique.
    pub(crate) secret_hash: String,
    pub(crate) preview: String,
    pub(crate) enabled: bool,
    /// Overrides the setting `reasoning_format`.
    pub(crate) reasoning: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) version: i64,
}

impl Store {
    pub(crate) async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM api_keys").fetch_all(self.reader()).await?)
    }

    /// Stores all of the keys or none.
    pub(crate) async fn insert_api_keys(&self, rows: &[ApiKeyRow]) -> Result<(), StoreError> {
        let mut query = QueryBuilder::new(
            "INSERT INTO api_keys (id, name, secret_hash, preview, enabled, reasoning, created_at, last_used_at, version) ",
        );
        query.push_values(rows, |mut values, row| {
            values
                .push_bind(&row.id)
                .push_bind(&row.name)
                .push_bind(&row.secret_hash)
                .push_bind(&row.preview)
                .push_bind(row.enabled)
                .push_bind(&row.reasoning)
                .push_bind(row.created_at)
                .push_bind(row.last_used_at)
                .push_bind(row.version);
        });
        query.build().execute(self.writer()).await?;
        Ok(())
    }

    /// Stores what a person edits: name, enabled, reasoning.
    pub(crate) async fn update_api_key(&self, row: &ApiKeyRow) -> Result<(), StoreError> {
        sqlx::query("UPDATE api_keys SET name = $2, enabled = $3, reasoning = $4, version = $5 WHERE id = $1")
            .bind(&row.id)
            .bind(&row.name)
            .bind(row.enabled)
            .bind(&row.reasoning)
            .bind(row.version)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    pub(crate) async fn delete_api_key(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(id).execute(self.writer()).await?;
        Ok(())
    }

    /// Stores when keys were last used: id and time.
    pub(crate) async fn touch_api_keys(&self, uses: &[(String, i64)]) -> Result<(), StoreError> {
        let mut transaction = self.writer().begin().await?;
        for (id, last_used_at) in uses {
            sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
                .bind(id)
                .bind(last_used_at)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
