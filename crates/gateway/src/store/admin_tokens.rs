//! Table `admin_tokens`.

use sqlx::FromRow;

use super::{Store, StoreError};

/// A token of the admin API.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct AdminTokenRow {
    pub(crate) id: String,
    pub(crate) name: String,
    /// SHA-256 of the secret in hexadecimal; unique.
    pub(crate) secret_hash: String,
    pub(crate) preview: String,
    /// JSON list of scopes.
    pub(crate) scopes: String,
    pub(crate) created_by: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
}

impl Store {
    pub(crate) async fn admin_tokens(&self) -> Result<Vec<AdminTokenRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM admin_tokens").fetch_all(self.reader()).await?)
    }

    pub(crate) async fn insert_admin_token(&self, row: &AdminTokenRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO admin_tokens (id, name, secret_hash, preview, scopes, created_by, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.secret_hash)
        .bind(&row.preview)
        .bind(&row.scopes)
        .bind(&row.created_by)
        .bind(row.created_at)
        .bind(row.expires_at);
        self.execute(query).await?;
        Ok(())
    }

    pub(crate) async fn delete_admin_token(&self, id: &str) -> Result<(), StoreError> {
        self.execute(sqlx::query("DELETE FROM admin_tokens WHERE id = $1").bind(id)).await?;
        Ok(())
    }

    /// Stores when tokens were last used: id and time.
    pub(crate) async fn touch_admin_tokens(&self, uses: &[(String, i64)]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (id, last_used_at) in uses {
            sqlx::query("UPDATE admin_tokens SET last_used_at = $2 WHERE id = $1")
                .bind(id)
                .bind(last_used_at)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
