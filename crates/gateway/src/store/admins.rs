//! Tables `admins` and `admin_sessions`.

use sqlx::FromRow;

use super::{Store, StoreError};

/// Who may use the console.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct AdminRow {
    pub(crate) username: String,
    /// Argon2id, as a PHC string.
    pub(crate) password_hash: String,
    pub(crate) created_at: i64,
}

/// One signed-in browser.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct SessionRow {
    /// SHA-256 of the session's secret in hexadecimal.
    pub(crate) id_hash: String,
    pub(crate) username: String,
    pub(crate) created_at: i64,
    pub(crate) last_seen_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) remember: bool,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

impl Store {
    pub(crate) async fn admins(&self) -> Result<Vec<AdminRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM admins").fetch_all(self.reader()).await?)
    }

    /// Stores the first admin; `false` when there is one already, whoever was faster.
    pub(crate) async fn insert_first_admin(&self, row: &AdminRow) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO admins (username, password_hash, created_at) \
             SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM admins)",
        )
        .bind(&row.username)
        .bind(&row.password_hash)
        .bind(row.created_at);
        let inserted = self.execute(insert).await?;
        Ok(inserted == 1)
    }

    /// Stores a new password in place of the one with this hash, and ends every session of its owner but one; `false` when another
    /// was stored in the meantime.
    pub(crate) async fn update_admin_password(
        &self,
        username: &str,
        present_hash: &str,
        password_hash: &str,
        kept_session: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let updated = sqlx::query("UPDATE admins SET password_hash = $3 WHERE username = $1 AND password_hash = $2")
            .bind(username)
            .bind(present_hash)
            .bind(password_hash)
            .execute(&mut *transaction)
            .await?;
        if updated.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM admin_sessions WHERE username = $1 AND id_hash <> $2")
            .bind(username)
            .bind(kept_session)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn admin_sessions(&self) -> Result<Vec<SessionRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM admin_sessions").fetch_all(self.reader()).await?)
    }

    /// Stores a session; `false` when its owner's password no longer has this hash.
    pub(crate) async fn insert_admin_session(&self, row: &SessionRow, password_hash: &str) -> Result<bool, StoreError> {
        let insert = sqlx::query(
            "INSERT INTO admin_sessions \
             (id_hash, username, created_at, last_seen_at, expires_at, remember, ip, user_agent) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
             WHERE EXISTS (SELECT 1 FROM admins WHERE username = $2 AND password_hash = $9)",
        )
        .bind(&row.id_hash)
        .bind(&row.username)
        .bind(row.created_at)
        .bind(row.last_seen_at)
        .bind(row.expires_at)
        .bind(row.remember)
        .bind(&row.ip)
        .bind(&row.user_agent)
        .bind(password_hash);
        Ok(self.execute(insert).await? == 1)
    }

    pub(crate) async fn delete_admin_session(&self, id_hash: &str) -> Result<(), StoreError> {
        self.execute(sqlx::query("DELETE FROM admin_sessions WHERE id_hash = $1").bind(id_hash)).await?;
        Ok(())
    }

    /// Stores when sessions were last used (hash and time) and forgets the given ones.
    pub(crate) async fn update_admin_sessions(
        &self,
        seen: &[(String, i64)],
        ended: &[String],
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (id_hash, last_seen_at) in seen {
            sqlx::query("UPDATE admin_sessions SET last_seen_at = $2 WHERE id_hash = $1")
                .bind(id_hash)
                .bind(last_seen_at)
                .execute(&mut *transaction)
                .await?;
        }
        for id_hash in ended {
            sqlx::query("DELETE FROM admin_sessions WHERE id_hash = $1")
                .bind(id_hash)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
