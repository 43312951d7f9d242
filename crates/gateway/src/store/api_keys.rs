//! Table `api_keys`.

use sqlx::sqlite::SqliteConnection;
use sqlx::{FromRow, QueryBuilder};

use super::{Store, StoreError};

/// Rows per statement: 18 columns stay well below SQLite's 32,766 bound values.
const ROWS: usize = 1_000;

/// One API key. Its secret is here as a hash only.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
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
    pub(crate) expires_at: Option<i64>,
    pub(crate) requests_per_minute: Option<i64>,
    pub(crate) requests_per_day: Option<i64>,
    pub(crate) concurrent_requests: Option<i64>,
    /// JSON list of model names.
    pub(crate) models: Option<String>,
    /// Hash of the secret before the last rotation.
    pub(crate) previous_hash: Option<String>,
    /// Until when that one opens.
    pub(crate) previous_until: Option<i64>,
    /// The day, in days since 1970, that `usage_today` is about.
    pub(crate) usage_day: i64,
    pub(crate) usage_today: i64,
    pub(crate) usage_total: i64,
}

/// What a key has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyUse {
    pub(crate) id: String,
    pub(crate) last_used_at: i64,
    pub(crate) day: i64,
    pub(crate) today: i64,
    pub(crate) total: i64,
}

impl Store {
    pub(crate) async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM api_keys").fetch_all(self.reader()).await?)
    }

    /// Stores all of the keys or none.
    pub(crate) async fn insert_api_keys(&self, rows: &[ApiKeyRow]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for rows in rows.chunks(ROWS) {
            let mut query = QueryBuilder::new(
                "INSERT INTO api_keys (id, name, secret_hash, preview, enabled, reasoning, created_at, last_used_at, version, \
                 expires_at, requests_per_minute, requests_per_day, concurrent_requests, models) ",
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
                    .push_bind(row.version)
                    .push_bind(row.expires_at)
                    .push_bind(row.requests_per_minute)
                    .push_bind(row.requests_per_day)
                    .push_bind(row.concurrent_requests)
                    .push_bind(&row.models);
            });
            query.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Stores what a person edits, and the secret. What the key has done stays as it is.
    pub(crate) async fn update_api_key(&self, row: &ApiKeyRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "UPDATE api_keys SET name = $2, enabled = $3, reasoning = $4, version = $5, expires_at = $6, \
             requests_per_minute = $7, requests_per_day = $8, concurrent_requests = $9, models = $10, secret_hash = $11, \
             preview = $12, previous_hash = $13, previous_until = $14 WHERE id = $1",
        )
        .bind(&row.id)
        .bind(&row.name)
        .bind(row.enabled)
        .bind(&row.reasoning)
        .bind(row.version)
        .bind(row.expires_at)
        .bind(row.requests_per_minute)
        .bind(row.requests_per_day)
        .bind(row.concurrent_requests)
        .bind(&row.models)
        .bind(&row.secret_hash)
        .bind(&row.preview)
        .bind(&row.previous_hash)
        .bind(row.previous_until);
        self.execute(query).await?;
        Ok(())
    }

    pub(crate) async fn delete_api_key(&self, id: &str) -> Result<(), StoreError> {
        self.execute(sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(id)).await?;
        Ok(())
    }

    /// Stores what keys have done.
    pub(crate) async fn store_key_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for key_use in uses {
            write_key_use(&mut transaction, key_use).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Stores what a key has done, unless something later is stored already.
pub(super) async fn write_key_use(connection: &mut SqliteConnection, key_use: &KeyUse) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE api_keys SET last_used_at = $2, usage_day = $3, usage_today = $4, usage_total = $5 \
         WHERE id = $1 AND usage_total <= $5 AND COALESCE(last_used_at, 0) <= $2",
    )
    .bind(&key_use.id)
    .bind(key_use.last_used_at)
    .bind(key_use.day)
    .bind(key_use.today)
    .bind(key_use.total)
    .execute(connection)
    .await?;
    Ok(())
}
