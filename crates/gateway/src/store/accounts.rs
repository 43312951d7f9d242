//! Tables `accounts`, `account_rests` and `account_quota`.

use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::{Store, StoreError};

/// One upstream account.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct AccountRow {
    pub(crate) id: String,
    pub(crate) label: String,
    /// JSON list of strings.
    pub(crate) tags: String,
    pub(crate) token_sealed: String,
    /// Keyed hash of the token; unique.
    pub(crate) fingerprint: String,
    pub(crate) user_id: Option<String>,
    pub(crate) tier: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) invalid_reason: Option<String>,
    pub(crate) invalid_since: Option<i64>,
    pub(crate) consecutive_failures: i64,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) version: i64,
    pub(crate) transport: Option<String>,
    pub(crate) websocket_missing_until: Option<i64>,
}

/// How long an account rests and why.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct RestRow {
    pub(crate) account_id: String,
    /// Empty: the whole account.
    pub(crate) mode: String,
    pub(crate) reason: String,
    pub(crate) since_at: i64,
    pub(crate) until_at: i64,
    /// The request that caused it.
    pub(crate) caused_by: Option<String>,
}

/// What is known of an account's quota in one mode.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct QuotaRow {
    pub(crate) account_id: String,
    pub(crate) mode: String,
    pub(crate) remaining: Option<i64>,
    pub(crate) total: Option<i64>,
    pub(crate) window_s: Option<i64>,
    pub(crate) resets_at: Option<i64>,
    pub(crate) source: String,
    pub(crate) measured_at: i64,
}

/// The part of an account that requests change.
#[derive(Clone, Debug)]
pub(crate) struct AccountState {
    pub(crate) id: String,
    pub(crate) invalid_reason: Option<String>,
    pub(crate) invalid_since: Option<i64>,
    pub(crate) consecutive_failures: i64,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) user_id: Option<String>,
    pub(crate) transport: Option<&'static str>,
    pub(crate) websocket_missing_until: Option<i64>,
    pub(crate) rests: Vec<RestRow>,
}

impl Store {
    pub(crate) async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM accounts").fetch_all(self.reader()).await?)
    }

    pub(crate) async fn account_rests(&self) -> Result<Vec<RestRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM account_rests").fetch_all(self.reader()).await?)
    }

    pub(crate) async fn account_quota(&self) -> Result<Vec<QuotaRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM account_quota").fetch_all(self.reader()).await?)
    }

    pub(crate) async fn insert_account(&self, row: &AccountRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO accounts (id, label, tags, token_sealed, fingerprint, user_id, tier, enabled, invalid_reason, \
             invalid_since, consecutive_failures, created_at, last_used_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(&row.id)
        .bind(&row.label)
        .bind(&row.tags)
        .bind(&row.token_sealed)
        .bind(&row.fingerprint)
        .bind(&row.user_id)
        .bind(&row.tier)
        .bind(row.enabled)
        .bind(&row.invalid_reason)
        .bind(row.invalid_since)
        .bind(row.consecutive_failures)
        .bind(row.created_at)
        .bind(row.last_used_at)
        .bind(row.version)
        .execute(self.writer())
        .await?;
        Ok(())
    }

    /// Stores what a person edits: label, tags, tier, enabled.
    pub(crate) async fn update_account(&self, row: &AccountRow) -> Result<(), StoreError> {
        sqlx::query("UPDATE accounts SET label = $2, tags = $3, tier = $4, enabled = $5, version = $6 WHERE id = $1")
            .bind(&row.id)
            .bind(&row.label)
            .bind(&row.tags)
            .bind(&row.tier)
            .bind(row.enabled)
            .bind(row.version)
            .execute(self.writer())
            .await?;
        Ok(())
    }

    pub(crate) async fn delete_account(&self, id: &str) -> Result<(), StoreError> {
        let mut transaction = self.writer().begin().await?;
        for statement in [
            "DELETE FROM account_rests WHERE account_id = $1",
            "DELETE FROM account_quota WHERE account_id = $1",
            "DELETE FROM accounts WHERE id = $1",
        ] {
            sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Stores an account's state at once, for a change that a person asked for.
    pub(crate) async fn save_account_state(&self, state: &AccountState) -> Result<(), StoreError> {
        let mut transaction = self.writer().begin().await?;
        write_account_state(&mut transaction, state).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Replaces what is stored of an account's state.
pub(super) async fn write_account_state(
    connection: &mut SqliteConnection,
    state: &AccountState,
) -> Result<(), sqlx::Error> {
    let changed = sqlx::query(
        "UPDATE accounts SET invalid_reason = $2, invalid_since = $3, consecutive_failures = $4, last_used_at = $5, \
         user_id = $6, transport = $7, websocket_missing_until = $8 WHERE id = $1",
    )
    .bind(&state.id)
    .bind(&state.invalid_reason)
    .bind(state.invalid_since)
    .bind(state.consecutive_failures)
    .bind(state.last_used_at)
    .bind(&state.user_id)
    .bind(state.transport)
    .bind(state.websocket_missing_until)
    .execute(&mut *connection)
    .await?;
    if changed.rows_affected() == 0 {
        // Deleted in the meantime: nothing of it may come back.
        return Ok(());
    }
    sqlx::query("DELETE FROM account_rests WHERE account_id = $1").bind(&state.id).execute(&mut *connection).await?;
    for rest in &state.rests {
        sqlx::query(
            "INSERT INTO account_rests (account_id, mode, reason, since_at, until_at, caused_by) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&rest.account_id)
        .bind(&rest.mode)
        .bind(&rest.reason)
        .bind(rest.since_at)
        .bind(rest.until_at)
        .bind(&rest.caused_by)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Stores one reading of an account's quota.
pub(super) async fn upsert_quota(connection: &mut SqliteConnection, row: &QuotaRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO account_quota (account_id, mode, remaining, total, window_s, resets_at, source, measured_at) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE EXISTS (SELECT 1 FROM accounts WHERE id = $1) \
         ON CONFLICT (account_id, mode) DO UPDATE SET remaining = excluded.remaining, total = excluded.total, \
         window_s = excluded.window_s, resets_at = excluded.resets_at, source = excluded.source, \
         measured_at = excluded.measured_at",
    )
    .bind(&row.account_id)
    .bind(&row.mode)
    .bind(row.remaining)
    .bind(row.total)
    .bind(row.window_s)
    .bind(row.resets_at)
    .bind(&row.source)
    .bind(row.measured_at)
    .execute(connection)
    .await?;
    Ok(())
}
