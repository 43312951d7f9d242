//! Table `account_history`.

use sqlx::sqlite::SqliteConnection;
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::{Store, StoreError};

/// Rows of one statement: 10 columns stay well below SQLite's 32,766 bound values.
const ROWS: usize = 500;

/// What the ids begin with.
const ID: &str = "ach_";

/// One change of an account's state.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct HistoryRow {
    pub(crate) id: String,
    pub(crate) account_id: String,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// `rest_began`, `rest_changed`, `rest_ended`, `invalid`, `valid_again`, `enabled`, `disabled`, `added`, `edited`, `deleted` or `restored`.
    pub(crate) kind: String,
    /// `request`, `check`, `time` or `person`.
    pub(crate) cause: String,
    /// The person's name.
    pub(crate) actor: Option<String>,
    /// The mode that rests; `None`: the whole account.
    pub(crate) mode: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) until_at: Option<i64>,
    /// The request that caused it.
    pub(crate) request_id: Option<String>,
}

impl HistoryRow {
    /// An id later than all before.
    pub(crate) fn new_id() -> String {
        format!("{ID}{}", Uuid::now_v7().simple())
    }
}

impl Store {
    /// An account's history, newest first; `before`: only what is older than the entry of this id.
    pub(crate) async fn account_history(
        &self,
        account_id: &str,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM account_history WHERE account_id = ");
        query.push_bind(account_id);
        if let Some(before) = before {
            query.push(" AND id < ").push_bind(before);
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(self.reader()).await?)
    }

    /// Lets go what is older than a time, and the oldest beyond `keep`; how many. Ids begin with when they were made.
    pub(crate) async fn trim_account_history(&self, before: i64, keep: i64) -> Result<u64, StoreError> {
        let old = sqlx::query("DELETE FROM account_history WHERE id < $1").bind(format!("{ID}{before:012x}"));
        let old = self.execute(old).await?;
        let many = sqlx::query(
            "DELETE FROM account_history WHERE id <= (SELECT id FROM account_history ORDER BY id DESC LIMIT 1 OFFSET $1)",
        );
        Ok(old + self.execute(many.bind(keep)).await?)
    }
}

pub(super) async fn insert_account_history(
    connection: &mut SqliteConnection,
    rows: &[&HistoryRow],
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO account_history (id, account_id, at, kind, cause, actor, mode, reason, until_at, request_id) ",
        );
        query.push_values(rows, |mut values, row| {
            values
                .push_bind(&row.id)
                .push_bind(&row.account_id)
                .push_bind(row.at)
                .push_bind(&row.kind)
                .push_bind(&row.cause)
                .push_bind(&row.actor)
                .push_bind(&row.mode)
                .push_bind(&row.reason)
                .push_bind(row.until_at)
                .push_bind(&row.request_id);
        });
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
