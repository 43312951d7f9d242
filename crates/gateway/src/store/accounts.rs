//! Tables `accounts`, `account_rests` and `account_quota`.

use sqlx::sqlite::SqliteConnection;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::account_history::{HistoryRow, insert_account_history};
use super::{Store, StoreError};

/// Rows of one statement: 15 columns stay well below SQLite's 32,766 bound values.
const ROWS: usize = 500;

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
    /// Whether a person has set the tier.
    pub(crate) tier_by_owner: bool,
}

impl AccountRow {
    /// An account that nothing is known of yet.
    pub(crate) fn new(id: String, label: String, token_sealed: String, fingerprint: String, created_at: i64) -> Self {
        Self {
            id,
            label,
            tags: "[]".to_owned(),
            token_sealed,
            fingerprint,
            user_id: None,
            tier: None,
            enabled: true,
            invalid_reason: None,
            invalid_since: None,
            consecutive_failures: 0,
            created_at,
            last_used_at: None,
            version: 1,
            transport: None,
            websocket_missing_until: None,
            tier_by_owner: false,
        }
    }
}

/// A deleted account.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct BinnedRow {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) fingerprint: String,
    pub(crate) deleted_at: i64,
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
    /// What of its history is not stored yet.
    pub(crate) history: Vec<HistoryRow>,
}

impl Store {
    pub(crate) async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM accounts WHERE deleted_at IS NULL").fetch_all(self.reader()).await?)
    }

    pub(crate) async fn account_rests(&self) -> Result<Vec<RestRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM account_rests").fetch_all(self.reader()).await?)
    }

    pub(crate) async fn account_quota(&self) -> Result<Vec<QuotaRow>, StoreError> {
        Ok(sqlx::query_as("SELECT * FROM account_quota").fetch_all(self.reader()).await?)
    }

    /// Stores new accounts; answers the rows that are in the pool now. One whose token is in the bin comes back under its old id;
    /// one whose token is in the pool is left as it is and not answered.
    pub(crate) async fn insert_accounts(&self, rows: &[AccountRow]) -> Result<Vec<AccountRow>, StoreError> {
        let mut stored = Vec::with_capacity(rows.len());
        let mut transaction = self.begin().await?;
        for rows in rows.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO accounts (id, label, tags, token_sealed, fingerprint, user_id, tier, enabled, invalid_reason, \
                 invalid_since, consecutive_failures, created_at, last_used_at, version, tier_by_owner) ",
            );
            query.push_values(rows, |mut values, row| {
                values
                    .push_bind(&row.id)
                    .push_bind(&row.label)
                    .push_bind(&row.tags)
                    .push_bind(&row.token_sealed)
                    .push_bind(&row.fingerprint)
                    .push_bind(&row.user_id)
                    .push_bind(&row.tier)
                    .push_bind(row.enabled)
                    .push_bind(&row.invalid_reason)
                    .push_bind(row.invalid_since)
                    .push_bind(row.consecutive_failures)
                    .push_bind(row.created_at)
                    .push_bind(row.last_used_at)
                    .push_bind(row.version)
                    .push_bind(row.tier_by_owner);
            });
            query.push(
                " ON CONFLICT (fingerprint) DO UPDATE SET deleted_at = NULL, label = excluded.label, tags = excluded.tags, \
                 enabled = excluded.enabled, invalid_reason = NULL, invalid_since = NULL, consecutive_failures = 0, \
                 version = accounts.version + 1 WHERE accounts.deleted_at IS NOT NULL RETURNING *",
            );
            stored.extend(query.build_query_as::<AccountRow>().fetch_all(&mut *transaction).await?);
        }
        transaction.commit().await?;
        Ok(stored)
    }

    /// Stores what a person edits: label, tags, tier, enabled.
    pub(crate) async fn update_accounts(&self, rows: &[&AccountRow]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for row in rows {
            sqlx::query(
                "UPDATE accounts SET label = $2, tags = $3, tier = $4, enabled = $5, version = $6, tier_by_owner = $7 WHERE id = $1",
            )
            .bind(&row.id)
            .bind(&row.label)
            .bind(&row.tags)
            .bind(&row.tier)
            .bind(row.enabled)
            .bind(row.version)
            .bind(row.tier_by_owner)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The account that has a token, also one in the bin.
    pub(crate) async fn account_of_fingerprint(&self, fingerprint: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT id FROM accounts WHERE fingerprint = $1");
        Ok(query.bind(fingerprint).fetch_optional(self.reader()).await?)
    }

    /// Rests and quota of accounts that come back from the bin.
    pub(crate) async fn rests_and_quota_of(&self, ids: &[&str]) -> Result<(Vec<RestRow>, Vec<QuotaRow>), StoreError> {
        let (mut rests, mut quota) = (Vec::new(), Vec::new());
        for ids in ids.chunks(ROWS) {
            let list = |table: &str| {
                let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT * FROM {table} WHERE account_id IN ("));
                let mut values = query.separated(", ");
                for id in ids {
                    values.push_bind((*id).to_owned());
                }
                query.push(")");
                query
            };
            rests.extend(list("account_rests").build_query_as::<RestRow>().fetch_all(self.reader()).await?);
            quota.extend(list("account_quota").build_query_as::<QuotaRow>().fetch_all(self.reader()).await?);
        }
        Ok((rests, quota))
    }

    /// Stores lines of accounts' history that no change of a state comes with.
    pub(crate) async fn add_account_history(&self, rows: &[HistoryRow]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        insert_account_history(&mut transaction, &rows.iter().collect::<Vec<_>>()).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives an account another token: whose it is at the upstream is then to be learned anew. Whether it could: another account,
    /// which may be in the bin, can have that token.
    pub(crate) async fn replace_token(&self, row: &AccountRow) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE accounts SET token_sealed = $2, fingerprint = $3, user_id = NULL, version = $4 WHERE id = $1 \
             AND NOT EXISTS (SELECT 1 FROM accounts WHERE fingerprint = $3 AND id <> $1)",
        );
        let query = query.bind(&row.id).bind(&row.token_sealed).bind(&row.fingerprint).bind(row.version);
        Ok(self.execute(query).await? > 0)
    }

    /// Takes accounts out of the pool: into the bin at a time, with their rests, or for good.
    pub(crate) async fn delete_accounts(
        &self,
        ids: &[&str],
        into_bin_at: Option<i64>,
        history: &[HistoryRow],
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        insert_account_history(&mut transaction, &history.iter().collect::<Vec<_>>()).await?;
        for id in ids {
            match into_bin_at {
                Some(at) => {
                    let query = sqlx::query("UPDATE accounts SET deleted_at = $2 WHERE id = $1").bind(id).bind(at);
                    query.execute(&mut *transaction).await?;
                }
                None => {
                    for statement in [
                        "DELETE FROM account_rests WHERE account_id = $1",
                        "DELETE FROM account_quota WHERE account_id = $1",
                        "DELETE FROM account_history WHERE account_id = $1",
                        "DELETE FROM accounts WHERE id = $1",
                    ] {
                        sqlx::query(statement).bind(id).execute(&mut *transaction).await?;
                    }
                }
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Takes accounts out of the bin; answers those that were in it.
    pub(crate) async fn restore_accounts(&self, ids: &[&str]) -> Result<Vec<AccountRow>, StoreError> {
        let mut restored = Vec::new();
        let mut transaction = self.begin().await?;
        for id in ids {
            let query = sqlx::query_as(
                "UPDATE accounts SET deleted_at = NULL, version = version + 1 \
                 WHERE id = $1 AND deleted_at IS NOT NULL RETURNING *",
            );
            restored.extend(query.bind(id).fetch_optional(&mut *transaction).await?);
        }
        transaction.commit().await?;
        Ok(restored)
    }

    /// A window of the bin, the latest deletion first, and how many there are.
    pub(crate) async fn binned_accounts(&self, limit: i64, offset: i64) -> Result<(Vec<BinnedRow>, i64), StoreError> {
        let rows = sqlx::query_as(
            "SELECT id, label, fingerprint, deleted_at FROM accounts WHERE deleted_at IS NOT NULL \
             ORDER BY deleted_at DESC, id DESC LIMIT $1 OFFSET $2",
        );
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM accounts WHERE deleted_at IS NOT NULL");
        Ok((rows.bind(limit).bind(offset).fetch_all(self.reports()).await?, count.fetch_one(self.reports()).await?))
    }

    pub(crate) async fn purge_accounts_deleted_before(&self, time: i64) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        for statement in [
            "DELETE FROM account_rests WHERE account_id IN (SELECT id FROM accounts WHERE deleted_at < $1)",
            "DELETE FROM account_quota WHERE account_id IN (SELECT id FROM accounts WHERE deleted_at < $1)",
            "DELETE FROM account_history WHERE account_id IN (SELECT id FROM accounts WHERE deleted_at < $1)",
        ] {
            sqlx::query(statement).bind(time).execute(&mut *transaction).await?;
        }
        let accounts = sqlx::query("DELETE FROM accounts WHERE deleted_at < $1").bind(time);
        let purged = accounts.execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(purged)
    }

    /// Stores accounts' states at once, for a change that a person asked for.
    pub(crate) async fn save_account_states(&self, states: &[AccountState]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for state in states {
            write_account_state(&mut transaction, state).await?;
        }
        let history: Vec<_> = states.iter().flat_map(|state| &state.history).collect();
        insert_account_history(&mut transaction, &history).await?;
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
         user_id = $6, transport = $7, websocket_missing_until = $8 WHERE id = $1 AND deleted_at IS NULL",
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
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND deleted_at IS NULL) \
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
